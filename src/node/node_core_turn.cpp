// SPDX-License-Identifier: Apache-2.0
// TURN: being a TURN server for peers, and asking others for credentials.
#include <algorithm>
#include <utility>

#include "node/node_core.hpp"

namespace dig::node {

void NodeCore::set_turn_wish(Instant now, std::optional<TurnWish> wish, std::string why) {
  turn_wish_ = wish;
  update_turn_role(why.empty() ? why_roles() : std::move(why));
  publish_addresses(now);
  settle(now);
}

// Allocations that stand are left alone when the offer ends: they end with their credentials.
void NodeCore::update_turn_role(std::string why) {
  const bool is_offered = turn_wish_ && has_public_roles();
  const auto role = is_offered ? make_turn_role(*turn_wish_, proven_addresses()) : std::nullopt;
  const std::optional before = turn_.offer();
  if (before == (role ? std::optional(role->offer) : std::nullopt)) return;
  dignet::TurnRoleChanged fact{.is_on = role.has_value(), .kind = {}, .servers = {}, .why = std::move(why)};
  fact.kind = (role ? role->offer : *before).kind == TurnRelayKind::pair ? "pair" : "open";
  if (role) {
    for (const StunUri& server : role->offer.servers) fact.servers.push_back(server.to_string());
    put(ServeTurn{role->relay_v4, role->relay_v6});
    turn_.set_offer(role->offer);
  } else {
    turn_.set_offer(std::nullopt);
  }
  put(NodeFact{std::move(fact)});
  set_protocol(turn_credentials::k_protocol, role.has_value());
}

OperationId NodeCore::ask_turn_credentials(Instant now, ConnectionId relay, const PeerId& target) {
  const OperationId id{next_id_++};
  PeerLink* const link = find_link(relay);
  if (link == nullptr) {
    put(TurnCredentialsEnded{id, fail(Errc::connection_closed)});
    return id;
  }
  const auto opened =
      link->open(now, std::string(turn_credentials::k_protocol), make_turn_requester(now, *this, id, target));
  if (!opened) put(TurnCredentialsEnded{id, std::unexpected(opened.error())});
  settle(now);
  return id;
}

}  // namespace dig::node
