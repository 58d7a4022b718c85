// SPDX-License-Identifier: Apache-2.0
// Streams that somebody else has accepted and carries for a TURN shard.
#include "net/turn_shard_impl.hpp"

namespace dig::net {

bool TurnShard::Impl::adopt(Instant now, TransportId id, const turn::ClientPath& path, StreamCarrier& carrier) {
  if (!admits(now, path.local, path.remote)) return false;
  Stream& stream = add_stream(now, inner_id(id), path);
  stream.carrier = &carrier;
  stream.has_begun = true;  // TLS, if there is any, was taken off
  return true;
}

void TurnShard::Impl::handle_adopted_bytes(Instant now, TransportId id, BytesView bytes) {
  const auto found = streams_.find(inner_id(id));
  if (found != streams_.end()) handle_plaintext(now, found->first, found->second, bytes);
}

void TurnShard::Impl::handle_adopted_closed(Instant now, TransportId id) { end_stream(now, inner_id(id)); }

std::size_t TurnShard::Impl::poll_adopted(Instant now, TransportId id, MutableBytes out) {
  return poll_bytes(now, inner_id(id), out);
}

bool TurnShard::Impl::wants_adopted_bytes(TransportId id) const { return has_room(inner_id(id)); }

}  // namespace dig::net
