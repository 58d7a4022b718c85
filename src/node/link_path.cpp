// SPDX-License-Identifier: Apache-2.0
#include "node/link_path.hpp"

namespace dig::node {

LinkPath LinkPath::circuit(Instant now, const LinkPath& relay, const PeerId& by, const PeerId& peer,
                           const circuit::Limit& limit) {
  const std::string text = relay.address.without_peer_id().to_string() + "/p2p/" + by.to_string() + "/p2p-circuit/p2p/";
  // Too long an address is told as that of the relay alone.
  return {relay.local, relay.remote, Multiaddr::parse(text + peer.to_string()).value_or(relay.address),
          true,        limit,        now};
}

const ladder::MethodRow& method_row_of(bool is_relayed) {
  return is_relayed ? ladder::method_row(ladder::Tier::traversal, ladder::Method::circuit)
                    : ladder::method_row(ladder::Tier::direct, ladder::Method::tcp);
}

}  // namespace dig::node
