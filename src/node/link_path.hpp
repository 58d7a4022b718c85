// SPDX-License-Identifier: Apache-2.0
// The way that a connection goes.
#pragma once

#include <optional>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "ladder/methods.hpp"
#include "wire/circuit_message.hpp"
#include "wire/multiaddr.hpp"

namespace dig::node {

struct LinkPath {
  // The ends of the transport; of a circuit, those of the connection to the relay.
  Endpoint local;
  Endpoint remote;
  Multiaddr address;  // of the peer, as it was reached: /ip4/192.0.2.1/tcp/4001, or with /p2p-circuit
  bool is_relayed = false;
  circuit::Limit limit;  // of a circuit, as the relay announces it
  Instant since;         // then it began to count

  [[nodiscard]] static LinkPath tcp(const Endpoint& local, const Endpoint& remote,
                                    Multiaddr::Carrier carrier = Multiaddr::Carrier::plain) {
    return {local, remote, Multiaddr::tcp(remote, carrier)};
  }
  // A circuit over the connection that goes `relay`'s way, to the relay `by`.
  [[nodiscard]] static LinkPath circuit(Instant now, const LinkPath& relay, const PeerId& by, const PeerId& peer,
                                        const circuit::Limit& limit);
};

[[nodiscard]] const ladder::MethodRow& method_row_of(bool is_relayed);

}  // namespace dig::node
