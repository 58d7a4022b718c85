// SPDX-License-Identifier: Apache-2.0
// Circuit relays: dialling through them, links that are carried by them, reservations at them, and being one.
#include <algorithm>
#include <utility>

#include "node/node_core.hpp"
#include "proto/relay/protocol.hpp"

namespace dig::node {
namespace {

// The shell counts its connections from 1; those that are carried by others have numbers of their own.
constexpr std::uint64_t k_first_circuit = std::uint64_t{1} << 63U;

// No relay over a relay.
ladder::TierSet direct_only() {
  ladder::TierSet tiers;
  tiers.insert(ladder::Tier::direct);
  return tiers;
}

}  // namespace

UnixTime NodeCore::wall(Instant now) const {
  return {wall_.wall.seconds + std::chrono::duration_cast<std::chrono::seconds>(now - wall_.at).count()};
}

PeerLink* NodeCore::find_direct_link(const PeerId& peer, std::optional<ConnectionId> except) {
  for (auto [found, last] = peers_.equal_range(peer); found != last; ++found) {
    PeerLink* const link = found->second == except ? nullptr : find_link(found->second);
    if (link != nullptr && !link->path().is_relayed) return link;
  }
  return nullptr;
}

// --- dialling through a relay ---------------------------------------------------------------------------------------

void NodeCore::dial_circuit(Instant now, DiallingId dialling, Reacher::DialCircuit& dial) {
  const DialId id{next_id_++};
  Dialling& of = diallings_.at(dialling);
  of.dials[dial.dial] = id;
  circuit_dials_.emplace(id, CircuitDial{{dialling, dial.dial}, of.peer});
  if (PeerLink* relay = find_direct_link(dial.relay, std::nullopt)) return ask_for_circuit(now, id, *relay);
  dial_server(now, id, dial.relay, dial.addresses);
}

void NodeCore::dial_server(Instant now, const DialOwner& owner, const PeerId& peer,
                           const std::vector<Multiaddr>& addresses) {
  for (auto& [id, dialling] : diallings_) {
    if (dialling.own_log && dialling.peer == peer) return dialling.owners.push_back(owner);
  }
  auto log = std::make_unique<ladder::AttemptLog>(now);
  ladder::AttemptLog& own = *log;
  start_dialling(now, {.owners = {owner},
                       .peer = peer,
                       .own_log = std::move(log),
                       .reacher = Reacher(now, addresses, direct_only(), own, config_.limits.reach)});
}

void NodeCore::handle_relay_reached(Instant now, DialId dial, const Result<ConnectionId>& relay) {
  const auto waiting = circuit_dials_.find(dial);
  if (waiting == circuit_dials_.end()) return;
  PeerLink* const link = relay ? find_link(*relay) : nullptr;
  if (link != nullptr) return ask_for_circuit(now, dial, *link);
  handle_circuit_failed(now, dial, relay ? Error(Errc::connection_closed) : relay.error());
}

void NodeCore::ask_for_circuit(Instant now, DialId dial, PeerLink& relay) {
  const PeerId& target = circuit_dials_.at(dial).target;
  const auto opened =
      relay.open(now, std::string(relay::k_hop_protocol), make_circuit_request(now, *this, dial, relay.id(), target));
  if (!opened) handle_circuit_failed(now, dial, opened.error());
}

std::optional<ConnectionId> NodeCore::handle_circuit_made(Instant now, DialId dial, const CircuitCarrier& carrier,
                                                          const circuit::Limit& limit) {
  const auto waiting = circuit_dials_.extract(dial);
  if (waiting.empty()) return std::nullopt;
  const CircuitDial& wanted = waiting.mapped();
  Dialling& dialling = diallings_.at(wanted.ref.dialling);
  dialling.dials.erase(wanted.ref.index);
  dialling.has_connected = true;
  const ConnectionId id = add_circuit(now, Direction::outbound, carrier, limit, wanted.target, wanted.ref);
  dialling.handshakes.emplace(wanted.ref.index, id);
  return id;
}

void NodeCore::handle_circuit_failed(Instant now, DialId dial, const Error& why) {
  const auto waiting = circuit_dials_.extract(dial);
  if (waiting.empty()) return;
  const DialRef ref = waiting.mapped().ref;
  Dialling& dialling = diallings_.at(ref.dialling);
  dialling.dials.erase(ref.index);
  dialling.reacher.handle_failed(now, ref.index, why);
  drain_dialling(now, ref.dialling);
}

void NodeCore::abandon_circuit(Instant now, DialId dial) {
  circuit_dials_.erase(dial);
  for (auto& [id, dialling] : diallings_) {
    if (std::erase(dialling.owners, DialOwner(dial)) == 0) continue;
    if (dialling.owners.empty()) abandon_dialling(now, id);
    return;
  }
}

// --- links that are carried -----------------------------------------------------------------------------------------

ConnectionId NodeCore::add_circuit(Instant now, Direction direction, const CircuitCarrier& carrier,
                                   const circuit::Limit& limit, const PeerId& peer, std::optional<DialRef> dial) {
  const ConnectionId id{k_first_circuit + next_circuit_++};
  const PeerLink& relay = *links_.at(carrier.connection).link;
  carriers_[id] = carrier;
  // The relay says who is at the other end; the handshake must prove it, whoever began.
  add_link(now, id, direction, LinkPath::circuit(now, relay.path(), relay.peer(), peer, limit), dial, peer);
  mark_stream_active(carrier.connection, carrier.stream);
  return id;
}

bool NodeCore::admits_circuit(ConnectionId relay) const {
  const auto carrying = links_.find(relay);
  if (carrying == links_.end() || carrying->second.link->path().is_relayed) return false;
  const auto inbound = std::ranges::count_if(carriers_, [&](const auto& entry) {
    const auto found = links_.find(entry.first);
    return found != links_.end() && found->second.link->direction() == Direction::inbound;
  });
  return static_cast<std::size_t>(inbound) < config_.limits.max_inbound_circuits &&
         links_.size() < config_.limits.max_connections;
}

ConnectionId NodeCore::handle_circuit_accepted(Instant now, const CircuitCarrier& carrier,
                                               const relay::CircuitOffered& offer) {
  return add_circuit(now, Direction::inbound, carrier, offer.limit, offer.initiator, std::nullopt);
}

void NodeCore::handle_carried_bytes(Instant now, ConnectionId id, BytesView bytes) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  touched_.insert(id);
  found->second.link->handle_bytes(now, bytes);
}

void NodeCore::handle_carried_eof(Instant now, ConnectionId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  touched_.insert(id);
  found->second.link->handle_eof(now);
}

void NodeCore::handle_carrier_lost(Instant now, ConnectionId id, const Error& why) {
  carriers_.erase(id);
  ending_carriers_.erase(id);
  leaving_.erase(id);
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  found->second.has_transport = false;
  found->second.link->close(now, why);
}

std::size_t NodeCore::poll_carried(Instant now, ConnectionId id, MutableBytes out) { return poll_bytes(now, id, out); }

// What still comes for a link that is gone is thrown away.
bool NodeCore::wants_carried(ConnectionId id) const { return !links_.contains(id) || wants_bytes(id); }

bool NodeCore::is_carried_over(ConnectionId id) const { return !links_.contains(id) && !leaving_.contains(id); }

// The link is gone: its stream says what is left to say and ends when the peer's half has ended too.
void NodeCore::end_carrier(Instant now, ConnectionId id) {
  const CircuitCarrier& carrier = carriers_.at(id);
  mark_stream_active(carrier.connection, carrier.stream);
  ending_carriers_[id] = now + config_.limits.linger;
}

void NodeCore::end_late_carriers(Instant now) {
  std::vector<ConnectionId> late;
  for (const auto& [id, deadline] : ending_carriers_) {
    if (deadline <= now) late.push_back(id);
  }
  for (const ConnectionId id : late) {
    ending_carriers_.erase(id);
    leaving_.erase(id);
    const auto carrier = carriers_.extract(id);
    if (carrier.empty()) continue;
    if (PeerLink* relay = find_link(carrier.mapped().connection)) {
      relay->reset(now, carrier.mapped().stream, 0, Error(Errc::stream_reset, "the circuit is over"));
    }
  }
}

// --- reservations ---------------------------------------------------------------------------------------------------

Result<void> NodeCore::add_relay(Instant now, const PeerId& relay, std::vector<Multiaddr> addresses) {
  DIG_CHECK(keeper_.add_relay(relay, std::move(addresses)));
  drain_keeper(now);
  settle(now);
  return {};
}

void NodeCore::drain_keeper(Instant now) {
  while (auto event = keeper_.poll_event()) {
    if (auto* wanted = std::get_if<relay::ConnectRelay>(&*event)) {
      connect_relay(now, *wanted);
    } else if (const auto* open = std::get_if<relay::OpenReserveStream>(&*event)) {
      PeerLink* const link = find_link(ConnectionId{open->connection.value});
      const auto opened =
          link == nullptr
              ? fail(Errc::connection_closed)
              : link->open(now, std::string(relay::k_hop_protocol),
                           make_reserve_request(now, *this, open->attempt, {open->relay, identity_.peer_id()}));
      if (!opened) keeper_.handle_failed(now, open->attempt, opened.error());
    } else if (const auto* given_up = std::get_if<relay::RelayGivenUp>(&*event)) {
      // What this node has tried by itself is no loss to tell.
      if (automatic_relays_.erase(given_up->relay) == 0) {
        put(NodeFact{dignet::ReservationLost{given_up->relay.to_string(), given_up->why}});
      } else {
        handle_relay_refused(now, given_up->relay, given_up->why);
      }
    } else {
      publish_addresses(now);
      tell_addresses();
    }
  }
}

void NodeCore::connect_relay(Instant now, relay::ConnectRelay& wanted) {
  if (const PeerLink* link = find_direct_link(wanted.relay, std::nullopt)) {
    const bool was_dialled = link->direction() == Direction::outbound;
    return keeper_.handle_connected(wanted.attempt, {link->id().value},
                                    was_dialled ? link->path().address : Multiaddr());
  }
  dial_server(now, wanted.attempt, wanted.relay, wanted.addresses);
}

void NodeCore::handle_keeper_connected(Instant now, relay::AttemptId attempt, const Result<ConnectionId>& connection) {
  if (connection) {
    keeper_.handle_connected(attempt, {connection->value}, links_.at(*connection).link->path().address);
  } else {
    keeper_.handle_failed(now, attempt, connection.error());
  }
  drain_keeper(now);
}

void NodeCore::handle_reserved(Instant now, relay::AttemptId attempt, relay::GrantedReservation reservation) {
  keeper_.handle_reserved(now, wall(now), attempt, std::move(reservation));
  drain_keeper(now);
}

void NodeCore::handle_reserve_failed(Instant now, relay::AttemptId attempt, const Error& why) {
  keeper_.handle_failed(now, attempt, why);
  drain_keeper(now);
}

// --- the directory --------------------------------------------------------------------------------------------------

void NodeCore::set_wall_clock(Instant now, UnixTime wall) {
  wall_ = {now, wall};
  if (directory_) directory_->server().set_wall_clock(now, wall);
  directory_clients_.set_wall_clock(now, wall);
}

void NodeCore::start_directory(Instant now) {
  if (directory_) return;
  DirectoryHost& host = *this;
  directory_.emplace(now, wall(now), rng_, host, config_.limits.directory);
  protocols_.emplace_back(k_directory_protocol);
  push_identify();
  settle(now);
}

Result<void> NodeCore::load_directory_row(Instant now, const store::DirectoryRow& row) {
  return directory_->server().load(now, row, directory::RowOrigin::own_disk);
}

Result<void> NodeCore::load_shared_row(Instant now, const store::DirectoryRow& row) {
  Result<void> loaded = directory_->load_shared_row(now, row);
  settle(now);
  return loaded;
}

bool NodeCore::has_directory_row(const store::RowName& row) const {
  return directory_ && directory_->server().has_row(row);
}

void NodeCore::handle_replicated(std::span<const store::RowName> rows) {
  if (directory_) directory_->server().handle_replicated(rows);
}

void NodeCore::forget_replicas() {
  if (directory_) directory_->server().forget_replicas();
}

void NodeCore::handle_persisted(Instant now, directory::PersistToken token,
                                const Result<directory::PersistOutcome>& result) {
  if (directory_) directory_->handle_persisted(now, token, result);
  settle(now);
}

Result<void> NodeCore::add_bootstrap(Instant now, const PeerId& peer, std::vector<Multiaddr> addresses) {
  DIG_CHECK(directory_clients_.add_server(now, peer, addresses));
  bootstraps_[peer] = std::move(addresses);
  settle(now);
  return {};
}

void NodeCore::start_publishing(Instant now, std::uint64_t last_sequence) {
  directory_clients_.start_publishing(now, wall(now), last_sequence);
  update_roles(now);
  settle(now);
}

void NodeCore::set_stores(Instant now, std::vector<StoreId> stores) {
  directory_clients_.set_stores(now, std::move(stores));
  settle(now);
}

OperationId NodeCore::find_holders(Instant now, const StoreId& store) {
  const OperationId id{next_id_++};
  directory_clients_.find_holders(now, id, store);
  settle(now);
  return id;
}

void NodeCore::dial_bootstrap(Instant now, directory::BootstrapId server, const PeerId& peer,
                              const std::vector<Multiaddr>& addresses) {
  dial_server(now, server, peer, addresses);
}

}  // namespace dig::node
