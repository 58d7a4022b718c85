// SPDX-License-Identifier: Apache-2.0
// A pair relay: what a node offers that is nobody's open proxy. An allocation of A for B reaches the allocations of B
// for A on this server, in memory, and nothing else; so only the port on which the server listens must be reachable.
//
// The rule is asked for each permission, each channel and again for each packet, because the other allocation may end
// meanwhile and its port may become somebody else's. What it refuses gets 403, also where the other allocation is only
// not there yet: a permission that is given in advance would be one for whoever comes by that address (RFC 8656 §10.2
// lets a server refuse any peer). This delays nobody: a client learns a relayed address from its peer, which has it
// from the allocation. Only a client that knows this relay's IP address and is faster than its peer has to ask again.
//
// An allocation outlives its credential by what was granted with it: without a valid one no permission is renewed, and
// so nothing passes after five minutes.
#include "proto/turn_server/server_reply.hpp"

namespace dig::turn {

std::uint16_t Server::refusal_of(const Authenticated& who) const {
  if (!config_.is_pair_relay) return 0;
  if (!who.pair) return 403;
  return pairs_.has_room(who.pair->self) ? 0 : 486;
}

// There is no socket to wait for.
void Server::allocate_for_pair(const Request& request, const PairRole& role, Allocation& allocation) {
  pairs_.add(role, allocation);
  answer_allocate(request.now, allocation, request.sink);
}

// A permission is for an IP address (RFC 8656 §9), which all relayed addresses here share; a packet and a channel need
// the very port.
bool Server::has_mirror(const Allocation& allocation, const IpAddress& peer) const {
  return allocation.pair && PairTable::has_mirror(*allocation.pair, peer);
}

Allocation* Server::find_mirror(const Allocation& allocation, const Endpoint& peer) const {
  return allocation.pair ? PairTable::find_mirror(*allocation.pair, peer) : nullptr;
}

}  // namespace dig::turn
