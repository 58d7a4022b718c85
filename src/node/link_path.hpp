// SPDX-License-Identifier: Apache-2.0
// The way that a connection goes.
#pragma once

#include "base/endpoint.hpp"
#include "wire/multiaddr.hpp"

namespace dig::node {

struct LinkPath {
  // The ends of the transport; of a circuit, those of the connection to the relay.
  Endpoint local;
  Endpoint remote;
  Multiaddr address;  // of the peer, as it was reached: /ip4/192.0.2.1/tcp/4001, or with /p2p-circuit
  bool is_relayed = false;

  [[nodiscard]] static LinkPath tcp(const Endpoint& local, const Endpoint& remote) {
    return {local, remote, Multiaddr::tcp(remote), false};
  }
};

}  // namespace dig::node
