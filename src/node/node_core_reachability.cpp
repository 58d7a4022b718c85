// SPDX-License-Identifier: Apache-2.0
// AutoNAT v2 both ways, and what follows from it: which roles are on, and which addresses others are told.
#include <algorithm>
#include <utility>

#include "node/node_core.hpp"
#include "proto/relay/protocol.hpp"

namespace dig::node {
namespace {

// Where its TCP connections go, whatever they carry; nothing for a name.
std::optional<Endpoint> endpoint_of(const Multiaddr& address) {
  const auto target = address.stream_target();
  const auto* const endpoint = target ? std::get_if<Endpoint>(&target->remote) : nullptr;
  return endpoint == nullptr ? std::nullopt : std::optional(*endpoint);
}

autonat::AddressScope scope_of(const Multiaddr& address) {
  const auto endpoint = endpoint_of(address);
  return endpoint ? autonat::scope_of(endpoint->address) : autonat::AddressScope::internet;  // a name
}

// Of one's own addresses those that the most of the world may be able to dial.
std::vector<Multiaddr> of_widest_scope(const std::vector<Multiaddr>& addresses) {
  std::vector<Multiaddr> widest;
  const auto best = std::ranges::max_element(addresses, {}, scope_of);
  for (const Multiaddr& address : addresses) {
    if (scope_of(address) == scope_of(*best)) widest.push_back(address);
  }
  return widest;
}

void add_unknown(std::vector<Multiaddr>& to, const std::vector<Multiaddr>& addresses) {
  for (const Multiaddr& address : addresses) {
    if (std::ranges::find(to, address) == to.end()) to.push_back(address);
  }
}

}  // namespace

// --- this node as a client ------------------------------------------------------------------------------------------

void NodeCore::handle_identified(Instant now, ConnectionId connection, const Identify& message) {
  PeerLink* const link = find_link(connection);
  if (link == nullptr || link->path().is_relayed) return;
  const auto bootstrap = bootstraps_.find(link->peer());
  reachability_.handle_identified(now, *link, message, bootstrap != bootstraps_.end());
  const bool is_relay = std::ranges::find(message.protocols, relay::k_hop_protocol) != message.protocols.end();
  udp_probes_.handle_identified(now, *link, message, bootstrap != bootstraps_.end());
  if (bootstrap != bootstraps_.end() && is_relay) remember_relay(bootstrap->first, bootstrap->second);
}

void NodeCore::settle_reachability(Instant now) {
  if (std::exchange(are_dial_backs_active_, false)) dial_backs_.settle(now);
  end_dial_backs(now);
  if (std::exchange(is_reachability_active_, false) && reachability_.settle(now)) are_roles_due_ = true;
  if (std::exchange(are_udp_probes_active_, false) && udp_probes_.settle(now)) are_roles_due_ = true;
  if (std::exchange(are_roles_due_, false)) update_roles(now);
  if (wants_push() && next_push_ <= now) push_identify_now(now);
}

bool NodeCore::is_reachability_settled(Instant now) const {
  return !are_dial_backs_active_ && !are_udp_probes_active_ && !is_reachability_active_ && !are_roles_due_ &&
         (!wants_push() || now < next_push_) && dial_back_ends_.empty() && unwanted_links_.empty();
}

// --- dialling back --------------------------------------------------------------------------------------------------

bool NodeCore::is_connected_to(const IpAddress& address) const {
  return std::ranges::any_of(links_, [&](const auto& entry) {
    const LinkPath& path = entry.second.link->path();
    return !path.is_relayed && path.remote.address == address;
  });
}

// From a fresh port. An ordinary dial leaves from the listening port (net/tcp_dial.cpp): a client that had dialled this
// server would then be asked from just the endpoint that its NAT knows.
void NodeCore::dial_back(Instant now, DialBackId id, const autonat::WantDialBack& wanted) {
  if (links_.size() >= config_.limits.max_connections) {
    dial_back_ends_.emplace_back(id, autonat::DialBackOutcome::not_tried);
    return;
  }
  const DialId dial{next_id_++};
  dial_back_attempts_.emplace(id, DialBackAttempt{wanted, dial, std::nullopt});
  dial_back_dials_.emplace(dial, id);
  reachability_.note_contact(now, wanted.remote.address);
  put(DialTcp{.dial = dial, .remote = wanted.remote, .peer = wanted.peer, .is_from_fresh_port = true});
}

void NodeCore::cancel_dial_back(DialBackId id) {
  const auto attempt = dial_back_attempts_.extract(id);
  if (attempt.empty()) return;
  if (const auto dial = attempt.mapped().dial) {
    dial_back_dials_.erase(*dial);
    put(CancelDial{*dial});
  }
  if (const auto connection = attempt.mapped().connection) unwanted_links_.push_back(*connection);
}

bool NodeCore::handle_dial_back_dialled(Instant now, DialId dial, ConnectionId id, const Endpoint& local,
                                        const Endpoint& remote) {
  const auto known = dial_back_dials_.extract(dial);
  if (known.empty()) return false;
  DialBackAttempt& attempt = dial_back_attempts_.at(known.mapped());
  attempt.dial.reset();
  attempt.connection = id;
  add_link(now, id, Direction::outbound, LinkPath::tcp(local, remote), std::nullopt, attempt.wanted.peer);
  links_.at(id).dial_back = known.mapped();
  put(Flush{id});
  return true;
}

bool NodeCore::handle_dial_back_failed(DialId dial) {
  const auto known = dial_back_dials_.extract(dial);
  if (known.empty()) return false;
  dial_back_ends_.emplace_back(known.mapped(), autonat::DialBackOutcome::not_connected);
  return true;
}

// The peer at the other end has proven to be the client.
void NodeCore::handle_dial_back_established(Instant now, PeerLink& link, DialBackId id) {
  const auto attempt = dial_back_attempts_.find(id);
  if (attempt == dial_back_attempts_.end()) return;  // it is about to be closed
  const auto opened = link.open(now, std::string(autonat::k_dial_back_protocol),
                                make_dial_back_sender(now, *this, id, attempt->second.wanted.nonce));
  if (!opened) handle_nonce_said(id, autonat::DialBackOutcome::not_delivered);
}

void NodeCore::end_dial_backs(Instant now) {
  for (const auto& [id, outcome] : std::exchange(dial_back_ends_, {})) {
    const auto attempt = dial_back_attempts_.extract(id);
    if (!attempt.empty() && attempt.mapped().connection) unwanted_links_.push_back(*attempt.mapped().connection);
    dial_backs_.handle_dial_back_ended(now, id, outcome);
  }
  for (const ConnectionId id : std::exchange(unwanted_links_, {})) {
    if (const auto found = links_.find(id); found != links_.end()) {
      found->second.link->close(now, Error(Errc::connection_closed, "the dial-back is over"));
    }
  }
}

Result<void> NodeCore::add_dial_back_helper(Instant now, const PeerId& peer, std::vector<Multiaddr> addresses) {
  if (peer == identity_.peer_id()) return fail(Errc::invalid_argument, "a node does not dial back in its own place");
  DIG_CHECK(dial_backs_.add_partner(now, peer, std::move(addresses)));
  update_roles(now);
  settle(now);
  return {};
}

void NodeCore::dial_partner(Instant now, const PeerId& partner, const std::vector<Multiaddr>& addresses) {
  dial_server(now, PartnerOf{}, partner, addresses);
}

// Over a family without an address of its own on the Internet this node could only say wrongly that nobody is there.
autonat::DialPolicy NodeCore::dial_policy() const {
  autonat::DialPolicy policy{.has_v4 = false, .has_v6 = false};
  policy.is_public = std::ranges::find(announced_, autonat::AddressScope::internet, scope_of) != announced_.end();
  for (const Multiaddr& address : listening_) {
    const auto endpoint = address.tcp_endpoint();
    if (!endpoint) continue;
    const autonat::AddressScope scope = autonat::scope_of(endpoint->address);
    // Behind IPv4 NATs private addresses reach the Internet too.
    if (endpoint->address.is_v4()) {
      policy.has_v4 = policy.has_v4 || scope >= autonat::AddressScope::local;
    } else {
      policy.has_v6 = policy.has_v6 || scope == autonat::AddressScope::internet;
    }
  }
  return policy;
}

// --- roles ----------------------------------------------------------------------------------------------------------

void NodeCore::set_relay(Instant now, bool is_on) {
  roles_.wants_relay = is_on;
  update_roles(now);
  settle(now);
}

void NodeCore::set_autonat_server(Instant now, bool is_on) {
  roles_.wants_autonat_server = is_on;
  update_roles(now);
  settle(now);
}

void NodeCore::force_roles(Instant now, bool is_on) {
  roles_.is_forced = is_on;
  update_roles(now);
  settle(now);
}

// What the owner announces counts until it is refuted.
bool NodeCore::is_announced() const {
  return roles_.is_forced || (!announced_.empty() && !reachability_.is_unreachable());
}

std::string NodeCore::why_roles() const {
  if (is_announced()) return "its owner announces where it is";
  return has_public_roles() ? "others have reached it" : "it is not known to be reached";
}

bool NodeCore::has_public_roles() const { return is_announced() || reachability_.is_reachable(); }

void NodeCore::set_protocol(std::string_view protocol, bool is_spoken) {
  const auto found = std::ranges::find(protocols_, protocol);
  if (app_protocols_.contains(std::string(protocol))) return;  // the application speaks it
  if (is_spoken == (found != protocols_.end())) return;
  if (is_spoken) {
    protocols_.emplace_back(protocol);
  } else {
    protocols_.erase(found);
  }
  push_identify();
}

void NodeCore::update_roles(Instant now) {
  const bool is_public = has_public_roles();
  const bool is_relay = roles_.wants_relay && is_public;
  relay_.server().set_mode(is_relay ? relay::RelayMode::serving : relay::RelayMode::off);
  set_protocol(relay::k_hop_protocol, is_relay);
  set_protocol(autonat::k_dial_request_protocol, roles_.wants_autonat_server && is_public);
  set_protocol(autonat::k_dial_back_order_protocol, dial_backs_.has_partners());
  set_protocol(udp_probe::k_protocol, roles_.wants_autonat_server && is_public);
  dial_backs_.set_policy(dial_policy());
  udp_probes_.set_policy(dial_policy());
  update_turn_role(now);
  keep_reservations(now);
  publish_addresses(now);
}

// --- relays for a node that cannot be reached -----------------------------------------------------------------------

void NodeCore::offer_relay(Instant now, const PeerId& relay, std::vector<Multiaddr> addresses) {
  remember_relay(relay, std::move(addresses));
  settle(now);
}

void NodeCore::remember_relay(const PeerId& relay, std::vector<Multiaddr> addresses) {
  if (relay == identity_.peer_id()) return;
  if (known_relays_.size() >= config_.limits.max_known_relays && !known_relays_.contains(relay)) return;
  known_relays_[relay].addresses = std::move(addresses);
  are_roles_due_ = true;
}

// One that is full may have room later; another one is tried meanwhile.
void NodeCore::handle_relay_refused(Instant now, const PeerId& relay, const Error& why) {
  const bool is_full = why.code() == Errc::relay_reservation_refused || why.code() == Errc::relay_limit_exceeded;
  const auto known = known_relays_.find(relay);
  if (known == known_relays_.end()) return;
  if (is_full) {
    known->second.not_before = now + config_.limits.full_relay_rest;
  } else {
    known_relays_.erase(known);
  }
  are_roles_due_ = true;
}

std::optional<Instant> NodeCore::next_relay_attempt(Instant now) const {
  std::optional<Instant> next;
  for (const auto& [relay, known] : known_relays_) {
    if (known.not_before > now) next = earliest(next, known.not_before);
  }
  return next;
}

// Kept from the beginning, so that a node can be found at once, and given up only when somebody has reached it whom it
// had not called before: behind a NAT that filters by address the others prove nothing.
void NodeCore::keep_reservations(Instant now) {
  if (is_announced() || reachability_.is_reached_by_strangers()) {
    for (const PeerId& relay : std::exchange(automatic_relays_, {})) keeper_.remove_relay(relay);
  } else if (directory_clients_.is_publishing()) {
    for (const auto& [relay, known] : known_relays_) {
      if (automatic_relays_.size() >= config_.limits.automatic_relays) break;
      if (known.not_before > now) continue;
      if (keeper_.add_relay(relay, known.addresses)) automatic_relays_.insert(relay);  // otherwise it is kept already
    }
    next_relay_attempt_ = next_relay_attempt(now);
  }
  drain_keeper(now);
}

// --- addresses ------------------------------------------------------------------------------------------------------

void NodeCore::set_addresses(Instant now, std::vector<Multiaddr> listening, std::vector<Multiaddr> announced) {
  listening_ = std::move(listening);
  announced_ = std::move(announced);
  reachability_.set_addresses(now, listening_, announced_);
  update_roles(now);
  settle(now);
}

void NodeCore::handle_network_changed(Instant now, std::vector<Multiaddr> listening, std::vector<Multiaddr> announced) {
  listening_ = std::move(listening);
  announced_ = std::move(announced);
  const std::vector<Multiaddr> before = identify_.addresses();
  reachability_.handle_network_changed(now, listening_, announced_);
  turn_served_.reset();  // relay ports are at this machine's own addresses, whatever others reach
  update_roles(now);
  udp_probes_.handle_network_changed(now);  // with the new target, if there is one
  if (identify_.addresses() != before) tell_addresses();
  settle(now);
}

void NodeCore::tell_addresses() {
  dignet::ListenAddressesChanged changed;
  for (const Multiaddr& address : identify_.addresses()) changed.addresses.push_back(address.to_string());
  put(NodeFact{std::move(changed)});
}

// What connected peers are told by identify, without relayed addresses: where this node listens too, proven or not.
// That is what libp2p's peers do: those in the same network use it, and an AutoNAT server or a peer that punches holes
// needs it. It goes to nobody but them.
std::vector<Multiaddr> NodeCore::own_addresses() const {
  if (!announced_.empty()) return announced_;
  std::vector<Multiaddr> all = reachability_.confirmed();
  add_unknown(all, listening_);
  return all;
}

// What the world may be told, without relayed addresses.
std::vector<Multiaddr> NodeCore::proven_addresses() const {
  if (!announced_.empty()) return announced_;
  std::vector<Multiaddr> proven = reachability_.confirmed();
  // What is spoken on a port beside plain TCP is reached as that is.
  std::set<Endpoint> endpoints;
  for (const Multiaddr& address : proven) {
    if (const auto endpoint = endpoint_of(address)) endpoints.insert(*endpoint);
  }
  for (const Multiaddr& address : listening_) {
    const auto endpoint = endpoint_of(address);
    if (endpoint && endpoints.contains(*endpoint)) add_unknown(proven, {address});
  }
  if (roles_.is_forced) add_unknown(proven, of_widest_scope(listening_));
  return proven;
}

NodeRoles NodeCore::roles() const {
  const auto speaks = [&](std::string_view protocol) {
    return std::ranges::find(protocols_, protocol) != protocols_.end();
  };
  NodeRoles roles;
  if (speaks(relay::k_hop_protocol)) roles.add(NodeRole::relay);
  if (speaks(autonat::k_dial_request_protocol)) roles.add(NodeRole::autonat_server);
  if (directory_) roles.add(NodeRole::bootstrap);
  if (const auto& turn = turn_.offer()) {
    roles.add(turn->kind == TurnRelayKind::pair ? NodeRole::turn_pair_relay : NodeRole::turn_open_relay);
  }
  return roles;
}

void NodeCore::publish_addresses(Instant now) {
  std::vector<Multiaddr> own = own_addresses();
  // The clients of the relay put them into their signed records: what is proven, not all that is listened on.
  relay_.server().set_addresses(proven_addresses());
  directory::NodeDescription description{
      .addresses = proven_addresses(), .roles = roles(), .reachability = reachability_.facts(now)};
  const auto relayed = keeper_.relayed_addresses();
  description.addresses.insert(description.addresses.end(), relayed.begin(), relayed.end());
  directory_clients_.set_node(now, std::move(description));
  own.insert(own.end(), relayed.begin(), relayed.end());
  if (identify_.set_addresses(std::move(own))) push_identify();
}

}  // namespace dig::node
