// SPDX-License-Identifier: Apache-2.0
// TURN: being a TURN server for peers, and asking others for credentials.
#include <algorithm>
#include <utility>

#include "node/node_core.hpp"

namespace dig::node {

void NodeCore::set_turn_wish(Instant now, std::optional<TurnWish> wish, std::string why) {
  turn_wish_ = wish;
  why_turn_wish_ = std::move(why);
  update_turn_role(now);
  if (is_turn_wished()) why_turn_wish_.clear();  // what comes later has other reasons
  publish_addresses(now);
  settle(now);
}

// Why it is no TURN server though its owner wants one now.
std::string NodeCore::why_no_turn() const {
  if (!has_public_roles()) return why_roles();
  const bool has_name = std::ranges::any_of(announced_, [](const Multiaddr& one) { return one.dns_tcp().has_value(); });
  return has_name ? "it is announced by name only: an address is needed to relay from"
                  : "it is reached at no address of plain TCP";
}

// Allocations that stand are left alone when the offer ends: they end with their credentials.
void NodeCore::update_turn_role(Instant now) {
  std::string why = why_turn_wish_.empty() ? why_roles() : why_turn_wish_;
  std::optional<TurnRole> role;
  if (is_turn_wished()) {
    if (has_public_roles()) role = make_turn_role(*turn_wish_, proven_addresses(), listening_);
    if (!role) why = why_no_turn();
  }
  const bool needs_probe = turn_wish_ && turn_wish_->needs_probe;
  udp_probes_.set_target(now, IpFamily::v4, needs_probe && role ? role->relay_v4 : std::nullopt);
  udp_probes_.set_target(now, IpFamily::v6, needs_probe && role ? role->relay_v6 : std::nullopt);
  if (needs_probe && role) require_reached_ports(role, why);
  serve_turn(role);
  const std::optional before = turn_.offer();
  if (before != (role ? std::optional(role->offer) : std::nullopt)) {
    turn_.set_offer(role ? std::optional(role->offer) : std::nullopt);
    set_protocol(turn_credentials::k_protocol, role.has_value());
    tell_turn_role(role, (role ? role->offer : *before).kind, std::move(why));
  } else if (needs_probe && !role && told_turn_off_ != why) {
    // An owner who asks for an open relay and has none learns why.
    tell_turn_role(std::nullopt, turn_wish_->kind, std::move(why));
  }
}

// Leaves of the role what datagrams from outside have reached.
void NodeCore::require_reached_ports(std::optional<TurnRole>& role, std::string& why) const {
  const IpFamily first = role->relay_v4 ? IpFamily::v4 : IpFamily::v6;
  if (!udp_probes_.is_reached(IpFamily::v4)) role->relay_v4.reset();
  if (!udp_probes_.is_reached(IpFamily::v6)) role->relay_v6.reset();
  if (role->relay_v4 || role->relay_v6) {
    why = "a datagram from outside has reached a relay port";
  } else {
    role.reset();
    why = udp_probes_.why_not(first);
  }
}

// The addresses may change while the offer, which is of the one port, stays the same.
void NodeCore::serve_turn(const std::optional<TurnRole>& role) {
  const auto served = role ? std::optional(ServeTurn{role->relay_v4, role->relay_v6}) : std::nullopt;
  if (std::exchange(turn_served_, served) != served && served) put(*served);
}

void NodeCore::tell_turn_role(const std::optional<TurnRole>& role, TurnRelayKind kind, std::string why) {
  told_turn_off_ = role ? "" : why;
  dignet::TurnRoleChanged fact{.is_on = role.has_value(),
                               .kind = kind == TurnRelayKind::pair ? "pair" : "open",
                               .servers = {},
                               .why = std::move(why)};
  if (role) {
    for (const StunUri& server : role->offer.servers) fact.servers.push_back(server.to_string());
  }
  put(NodeFact{std::move(fact)});
}

void NodeCore::handle_udp_probe_listening(Instant now, UdpProbeId id, const Result<Endpoint>& relay) {
  udp_probes_.handle_listening(now, id, relay);
  settle(now);
}

void NodeCore::handle_udp_probe_datagram(Instant now, UdpProbeId id, BytesView datagram) {
  udp_probes_.handle_datagram(now, id, datagram);
  settle(now);
}

void NodeCore::handle_udp_probe_sent(Instant now, UdpSendId id, bool is_sent) {
  udp_probes_.handle_sent(id, is_sent);
  settle(now);
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
