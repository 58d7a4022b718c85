// SPDX-License-Identifier: Apache-2.0
#include "sim/datagram_network.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace dig::sim {
namespace {

constexpr std::uint16_t k_first_ephemeral_port = 49'152;  // RFC 6335 §6

const IpAddress& router_of(const IpAddress& address) { return address.is_v4() ? k_router_v4 : k_router_v6; }

}  // namespace

DatagramNetwork::DatagramNetwork(EventQueue& events, Trace& trace, Rng& rng)
    : events_(events), trace_(trace), rng_(rng) {
  realms_.emplace_back();  // the Internet: its own parent, and nothing goes up from it
}

// --- topology -------------------------------------------------------------------------------------------------------

RealmId DatagramNetwork::add_realm(const RealmSpec& spec) {
  const auto is_v4 = [](const IpAddress& address) { return address.is_v4(); };
  if (spec.nat.has_value() == spec.outside.empty() || !std::ranges::all_of(spec.outside, is_v4)) {
    throw std::logic_error("a NAT needs IPv4 addresses outside, a router without NAT has none");
  }
  for (const IpAddress& address : spec.outside) expect_unused(spec.parent, address);
  const RealmId id{realms_.size()};
  Realm realm{.spec = spec};
  if (spec.nat) realm.nat = std::make_unique<Nat>(*spec.nat, spec.outside, rng_);
  if (spec.firewall) realm.firewall = std::make_unique<Firewall>(*spec.firewall);
  find(spec.parent).children.push_back(id);
  realms_.push_back(std::move(realm));
  return id;
}

void DatagramNetwork::attach(RealmId realm, const IpAddress& address) {
  expect_unused(realm, address);
  find(realm).addresses.insert(address);
}

void DatagramNetwork::expect_unused(RealmId realm, const IpAddress& address) const {
  // The widest realm in which the address is seen must not have it yet.
  RealmId top = realm;
  while (top != k_internet && !translates(find(top), address)) top = find(top).spec.parent;
  if (address.is_unspecified() || holds(find(top), address)) {
    throw std::logic_error("in use already, or no address: " + address.to_string());
  }
}

void DatagramNetwork::set_default_link(RealmId realm, const LinkSpec& spec) {
  find(realm).spec.link = spec;
  for (auto& [hop, link] : links_) {
    if (hop.realm == realm && !specs_.contains(hop)) link.link.change(spec);
  }
}

void DatagramNetwork::set_link(RealmId realm, const IpAddress& a, const IpAddress& b, const LinkSpec& spec) {
  set_link_one_way(realm, a, b, spec);
  set_link_one_way(realm, b, a, spec);
}

void DatagramNetwork::set_link_one_way(RealmId realm, const IpAddress& from, const IpAddress& to,
                                       const LinkSpec& spec) {
  const Hop hop{realm, from, to};
  specs_[hop] = spec;
  if (const auto link = links_.find(hop); link != links_.end()) link->second.link.change(spec);
}

bool DatagramNetwork::holds(const Realm& realm, const IpAddress& address) const {
  return realm.addresses.contains(address) || child_with(realm, address).has_value();
}

bool DatagramNetwork::accepts(const Realm& realm, const IpAddress& address) const {
  return translates(realm, address) ? realm.nat->owns(address) : holds(realm, address);
}

std::optional<RealmId> DatagramNetwork::child_with(const Realm& realm, const IpAddress& address) const {
  for (const RealmId child : realm.children) {
    if (accepts(find(child), address)) return child;
  }
  return std::nullopt;
}

// --- sockets --------------------------------------------------------------------------------------------------------

DatagramSocketId DatagramNetwork::open(DatagramOwner& owner, RealmId realm, const Endpoint& local) {
  Endpoint bound = local;
  if (!find(realm).addresses.contains(bound.address)) throw std::logic_error("not attached: " + bound.to_string());
  if (bound.port == 0) bound.port = free_port(realm, bound.address);
  const DatagramSocketId id{next_socket_++};
  if (!bound_.emplace(std::pair(realm, bound), id).second) throw std::logic_error("in use: " + bound.to_string());
  sockets_.emplace(id, Socket{&owner, realm, bound});
  return id;
}

std::uint16_t DatagramNetwork::free_port(RealmId realm, const IpAddress& address) const {
  for (std::uint32_t port = k_first_ephemeral_port; port <= 65'535; ++port) {
    const Endpoint candidate{address, static_cast<std::uint16_t>(port)};
    if (!bound_.contains({realm, candidate})) return candidate.port;
  }
  throw std::logic_error("no port is free at " + address.to_string());
}

void DatagramNetwork::close(DatagramSocketId id) {
  const auto socket = sockets_.find(id);
  if (socket == sockets_.end()) return;
  bound_.erase({socket->second.realm, socket->second.local});
  sockets_.erase(socket);
}

const Endpoint& DatagramNetwork::local(DatagramSocketId socket) const { return sockets_.at(socket).local; }

void DatagramNetwork::forget(const DatagramOwner& owner) {
  std::erase_if(bound_, [&](const auto& entry) { return sockets_.at(entry.second).owner == &owner; });
  std::erase_if(sockets_, [&](const auto& entry) { return entry.second.owner == &owner; });
}

void DatagramNetwork::send(DatagramSocketId id, const Endpoint& remote, BytesView bytes) {
  const auto found = sockets_.find(id);
  if (found == sockets_.end()) return;
  const Socket& socket = found->second;
  ++status_.sent;
  trace_.add(events_.now(), socket.owner->number().value, TraceKind::datagram_sent, id.value << 16U | remote.port,
             bytes);
  if (bytes.size() > max_datagram) {
    ++status_.too_long;
    return;
  }
  forward(socket.realm, false, {socket.local, remote, to_bytes(bytes)});
}

// --- the way of a datagram ------------------------------------------------------------------------------------------

void DatagramNetwork::forward(RealmId id, bool is_from_router, Datagram datagram) {
  const Realm& realm = find(id);
  const bool is_local = holds(realm, datagram.to.address);
  const bool may_go_up = id != k_internet && !is_from_router;
  // A socket has addresses of one family only.
  const bool is_one_family = datagram.from.address.family() == datagram.to.address.family();
  const bool is_isolated = realm.spec.isolates_clients && is_local && !is_from_router;
  if (!is_one_family || is_isolated || (!is_local && !may_go_up)) {
    drop(Drop::unroutable, datagram);
    return;
  }
  const IpAddress& router = router_of(datagram.to.address);
  const Hop hop{id, is_from_router ? router : datagram.from.address, is_local ? datagram.to.address : router};
  Link& link = link_of(hop);
  link.link.send(events_.now(), datagram);
  schedule(hop, link);
}

void DatagramNetwork::handle_hop(const Hop& hop, Datagram datagram) {
  if (hop.to.is_unspecified()) {
    handle_outbound(hop.realm, std::move(datagram));
  } else if (find(hop.realm).addresses.contains(hop.to)) {
    deliver(hop.realm, datagram);
  } else {
    handle_inbound(child_with(find(hop.realm), hop.to).value(), std::move(datagram));
  }
}

void DatagramNetwork::handle_outbound(RealmId id, Datagram datagram) {
  const Realm& realm = find(id);
  if (realm.spec.blocks_udp) {
    drop(Drop::refused, datagram);
    return;
  }
  if (!translates(realm, datagram.from.address)) {
    if (realm.firewall != nullptr) realm.firewall->outbound(events_.now(), datagram.from, datagram.to);
    forward(realm.spec.parent, false, std::move(datagram));
    return;
  }
  if (realm.nat->owns(datagram.to.address)) {
    const auto hairpinned = realm.nat->hairpin(events_.now(), datagram.from, datagram.to);
    if (hairpinned) {
      forward(id, true, {hairpinned->source, hairpinned->inside, std::move(datagram.bytes)});
    } else {
      drop(Drop::refused, datagram);
    }
    return;
  }
  const auto mapped = realm.nat->outbound(events_.now(), datagram.from, datagram.to);
  if (!mapped) {
    drop(Drop::refused, datagram);
    return;
  }
  datagram.from = *mapped;
  forward(realm.spec.parent, false, std::move(datagram));
}

void DatagramNetwork::handle_inbound(RealmId id, Datagram datagram) {
  const Realm& realm = find(id);
  bool passes = !realm.spec.blocks_udp;
  if (passes && translates(realm, datagram.to.address)) {
    const auto inside = realm.nat->inbound(events_.now(), datagram.from, datagram.to);
    passes = inside.has_value();
    if (inside) datagram.to = *inside;
  } else if (passes && realm.firewall != nullptr) {
    passes = realm.firewall->inbound(events_.now(), datagram.from, datagram.to);
  }
  if (!passes) {
    drop(Drop::refused, datagram);
    return;
  }
  forward(id, true, std::move(datagram));
}

void DatagramNetwork::deliver(RealmId realm, const Datagram& datagram) {
  const auto bound = bound_.find({realm, datagram.to});
  if (bound == bound_.end()) {
    drop(Drop::no_socket, datagram);
    return;
  }
  ++status_.delivered;
  const DatagramSocketId id = bound->second;
  DatagramOwner& owner = *sockets_.at(id).owner;
  trace_.add(events_.now(), owner.number().value, TraceKind::datagram_arrived, id.value << 16U | datagram.from.port,
             datagram.bytes);
  owner.handle_datagram(id,
                        {.now = events_.now(), .local = datagram.to, .remote = datagram.from, .bytes = datagram.bytes});
}

void DatagramNetwork::drop(Drop cause, const Datagram& datagram) {
  ++(cause == Drop::unroutable ? status_.unroutable : cause == Drop::refused ? status_.refused : status_.no_socket);
  constexpr std::uint64_t k_no_owner = 0;
  trace_.add(events_.now(), k_no_owner, TraceKind::datagram_dropped,
             static_cast<std::uint64_t>(cause) << 16U | datagram.to.port, datagram.bytes);
}

// --- links ----------------------------------------------------------------------------------------------------------

DatagramNetwork::Link& DatagramNetwork::link_of(const Hop& hop) {
  if (const auto found = links_.find(hop); found != links_.end()) return found->second;
  Link& link = links_.emplace(hop, Link(DatagramLink(spec_of(hop), rng_))).first->second;
  if (cut_.contains(hop)) link.link.cut();
  return link;
}

const LinkSpec& DatagramNetwork::spec_of(const Hop& hop) const {
  const auto found = specs_.find(hop);
  return found == specs_.end() ? find(hop.realm).spec.link : found->second;
}

void DatagramNetwork::schedule(const Hop& hop, Link& link) {
  const auto arrival = link.link.next_arrival();
  if (!arrival || (link.wakes_at && *link.wakes_at <= *arrival)) return;
  link.wakes_at = arrival;
  events_.at(*arrival, [this, hop] { handle_arrivals(hop); });
}

void DatagramNetwork::handle_arrivals(const Hop& hop) {
  Link& link = links_.at(hop);
  // An arrival that was put before another one leaves the other's event behind: it finds nothing, or what is due.
  if (link.wakes_at && *link.wakes_at <= events_.now()) link.wakes_at.reset();
  while (auto datagram = link.link.receive(events_.now())) handle_hop(hop, std::move(*datagram));
  schedule(hop, link);
}

// --- faults ---------------------------------------------------------------------------------------------------------

void DatagramNetwork::cut(RealmId realm, const IpAddress& a, const IpAddress& b) {
  cut_one_way(realm, a, b);
  cut_one_way(realm, b, a);
}

void DatagramNetwork::cut_one_way(RealmId realm, const IpAddress& from, const IpAddress& to) {
  const Hop hop{realm, from, to};
  cut_.insert(hop);
  if (const auto link = links_.find(hop); link != links_.end()) link->second.link.cut();
}

void DatagramNetwork::heal(RealmId realm, const IpAddress& a, const IpAddress& b) {
  for (const Hop& hop : {Hop{realm, a, b}, Hop{realm, b, a}}) {
    cut_.erase(hop);
    if (const auto link = links_.find(hop); link != links_.end()) link->second.link.restore();
  }
}

void DatagramNetwork::reboot_router(RealmId id) {
  const Realm& realm = find(id);
  if (realm.nat != nullptr) realm.nat->flush();
  if (realm.firewall != nullptr) realm.firewall->flush();
}

DatagramNetwork::Status DatagramNetwork::snapshot() const {
  Status status = status_;
  for (const auto& [hop, link] : links_) {
    const DatagramLink::Status& on_link = link.link.snapshot();
    status.lost += on_link.lost + on_link.dropped;
    status.doubled += on_link.doubled;
    status.under_way += on_link.sent + on_link.doubled - on_link.lost - on_link.dropped - on_link.delivered;
  }
  status.sockets = sockets_.size();
  return status;
}

}  // namespace dig::sim
