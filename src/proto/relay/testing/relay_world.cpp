// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/testing/relay_world.hpp"

#include "proto/relay/testing/relay_world_parts.hpp"

namespace dig::relay::testing {
namespace {

ReservationKeeper::Limits keeper_limits() {
  ReservationKeeper::Limits limits;
  limits.min_lifetime = 10s;
  limits.max_retry = 20s;
  limits.steady = 5s;
  return limits;
}

}  // namespace

RelayWorld::RelayWorld(std::uint64_t seed, const RelayServer::Limits& limits)
    : rng_(seed), relay_(Identity::generate(rng_)), limits_(limits), server_(relay_, rng_, limits), model_(limits) {
  server_.set_addresses({Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value()});
  for (std::size_t i = 0; i < k_peers; ++i) {
    peers_.push_back(std::make_unique<Peer>(Identity::generate(rng_).peer_id(), rng_, keeper_limits()));
  }
}

RelayWorld::~RelayWorld() = default;

void RelayWorld::require(bool holds, std::string_view what) {
  if (!holds && complaint_.empty()) complaint_ = what;
}

RelayClient RelayWorld::client_of(const Link& link) const {
  return {.connection = link.id, .peer = peers_[link.peer]->id, .address = link.address, .is_relayed = link.is_relayed};
}

RelayWorld::Link* RelayWorld::find_link(ConnectionId id) {
  for (const auto& link : links_) {
    if (link->id == id) return link.get();
  }
  return nullptr;
}

template <class T>
T* RelayWorld::any_of(std::vector<std::unique_ptr<T>>& all) {
  return all.empty() ? nullptr : all[rng_.below(all.size())].get();
}

void RelayWorld::step() {
  const std::uint64_t what = rng_.below(100);
  if (what < 60) {
    for (std::uint64_t i = rng_.below(20); i > 0; --i) {
      if (Hop* hop = any_of(hops_)) pump(*hop);
      if (Stop* stop = any_of(stops_)) pump(*stop);
    }
  } else if (what < 75) {
    pass_time();
  } else if (what < 80) {
    open_link(rng_.below(k_peers));
  } else if (what < 81) {
    if (Link* link = any_of(links_); link != nullptr && chance(2)) close_link(*link);
  } else if (what < 90) {
    if (Link* link = any_of(links_)) open_hop(*link, peers_[rng_.below(k_peers)]->id, {});
  } else if (what < 91) {
    if (Hop* hop = any_of(hops_); hop != nullptr && chance(4)) break_stream(*hop);
    if (Stop* stop = any_of(stops_); stop != nullptr && chance(4)) break_stream(*stop);
  } else if (what < 92) {
    change_mode();
  } else {
    Peer& peer = *peers_[rng_.below(k_peers)];
    (void)peer.keeper.add_relay(relay_.peer_id(), {});
    answer_connect(peer);
  }
  sweep();
  for (const auto& peer : peers_) serve_keeper(*peer);
  check();
}

void RelayWorld::check() {
  while (server_.poll_event()) {
  }
  require(server_.snapshot().reservations == model_.reservations(), "another number of reservations");
  require(server_.snapshot().circuits == model_.circuits(), "another number of circuits");
  require(model_.is_within_limits(), "more than the limits allow");
  require(circuits_.size() == model_.circuits(), "a circuit that nobody counts");
}

void RelayWorld::close_everything() {
  while (!links_.empty()) {
    close_link(*links_.back());
    sweep();
  }
  require(hops_.empty() && stops_.empty() && circuits_.empty(), "streams without a connection");
  const RelayStatus left = server_.snapshot();
  require(left.reservations == 0 && left.circuits == 0 && left.sources == 0 && left.peers == 0,
          "the relay keeps something of those that are gone");
  require(!server_.next_timeout(), "the relay waits for something");
  for (const auto& peer : peers_) {
    require(peer->keeper.relayed_addresses().empty(), "an address that leads nowhere");
    require(!peer->keeper.has_reservation(relay_.peer_id()), "a reservation without a connection");
  }
  check();
}

// --- connections ----------------------------------------------------------------------------------------------------

void RelayWorld::open_link(std::size_t peer) {
  if (links_.size() >= 16) return;
  auto link = std::make_unique<Link>();
  link->id = {next_connection_++};
  link->peer = peer;
  link->address = IpAddress::v4({198, 51, 100, static_cast<std::uint8_t>(rng_.below(4))});
  link->is_relayed = chance(10);
  links_.push_back(std::move(link));
}

void RelayWorld::close_link(Link& link) {
  link.is_open = false;
  for (const auto& hop : hops_) {
    if (hop->link == &link) break_stream(*hop);
  }
  for (const auto& stop : stops_) {
    if (stop->link == &link) break_stream(*stop);
  }
  std::optional<ConnectionId> another;
  for (const auto& other : links_) {
    if (other->is_open && other->peer == link.peer && !other->is_relayed) another = other->id;
  }
  server_.handle_connection_closed(link.id, another);
  model_.connection_closed(link.id, another);
  peers_[link.peer]->keeper.handle_connection_closed(now_, link.id);
  std::erase_if(circuits_, [](const auto& circuit) { return circuit->is_over; });
  for (const auto& hop : hops_) {
    if (hop->link == &link) hop->link = nullptr;
  }
  for (const auto& stop : stops_) {
    if (stop->link == &link) stop->link = nullptr;
  }
  std::erase_if(links_, [&](const auto& each) { return each.get() == &link; });
}

void RelayWorld::serve_keeper(Peer& peer) {
  while (const auto event = peer.keeper.poll_event()) {
    if (const auto* connect = std::get_if<ConnectRelay>(&*event)) {
      peer.connecting = connect->attempt;
    } else if (const auto* open = std::get_if<OpenReserveStream>(&*event)) {
      Link* link = find_link(open->connection);
      require(link != nullptr, "a reservation over a connection that is gone");
      if (link != nullptr) open_hop(*link, std::nullopt, open->attempt);
    } else if (std::holds_alternative<RelayGivenUp>(*event)) {
      ++tally_.given_up;
    }
  }
  // A client that believes in its reservation is right, until the relay has turned it off or replaced it.
  require(peer.keeper.relayed_addresses().size() <= 2, "more addresses than there are");
}

void RelayWorld::answer_connect(Peer& peer) {
  if (!peer.connecting) return;
  const AttemptId attempt = *std::exchange(peer.connecting, std::nullopt);
  if (chance(5)) return peer.keeper.handle_failed(now_, attempt, Error(Errc::connect_timeout));
  for (const auto& link : links_) {
    if (peers_[link->peer].get() == &peer) return peer.keeper.handle_connected(attempt, link->id, {});
  }
  const auto index = static_cast<std::size_t>(
      std::ranges::find_if(peers_, [&](const auto& each) { return each.get() == &peer; }) - peers_.begin());
  const std::size_t before = links_.size();
  open_link(index);
  if (links_.size() == before) return peer.keeper.handle_failed(now_, attempt, Error(Errc::connection_refused));
  peer.keeper.handle_connected(attempt, links_.back()->id, Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value());
}

void RelayWorld::open_hop(Link& link, std::optional<PeerId> target, AttemptId attempt) {
  if (hops_.size() >= 20) {
    if (!target) peers_[link.peer]->keeper.handle_failed(now_, attempt, Error(Errc::limit_reached));
    return;
  }
  auto hop = std::make_unique<Hop>(now_);
  hop->link = &link;
  hop->attempt = attempt;
  hop->is_initiator = true;
  if (target) {
    hop->connect.emplace(now_, ConnectRequest{*target}, k_hop_timeout);
  } else {
    hop->reserve.emplace(now_, ReserveRequest{relay_.peer_id(), peers_[link.peer]->id}, k_hop_timeout);
  }
  hops_.push_back(std::move(hop));
}

// --- time -----------------------------------------------------------------------------------------------------------

void RelayWorld::pass_time() {
  now_ = now_ + std::chrono::milliseconds(rng_.below(chance(40) ? 10'000 : 300));
  server_.handle_timeout(now_);
  model_.advance(now_);
  for (const auto& hop : hops_) {
    hop->responder.handle_timeout(now_);
    if (hop->reserve) hop->reserve->handle_timeout(now_);
    if (hop->connect) hop->connect->handle_timeout(now_);
    settle_hop(*hop);
  }
  for (const auto& stop : stops_) {
    stop->client.handle_timeout(now_);
    stop->responder.handle_timeout(now_);
    settle_stop(*stop);
  }
  for (const auto& circuit : circuits_) {
    if (circuit->splice) circuit->splice->handle_timeout(now_);
    settle_circuit(*circuit);
  }
  for (const auto& peer : peers_) peer->keeper.handle_timeout(now_);
}

void RelayWorld::change_mode() {
  if (!chance(10)) {
    server_.set_mode(RelayMode::serving);
    return model_.set_mode(RelayMode::serving);
  }
  const RelayMode mode = chance(2) ? RelayMode::draining : RelayMode::off;
  server_.set_mode(mode);
  model_.set_mode(mode);
}

}  // namespace dig::relay::testing
