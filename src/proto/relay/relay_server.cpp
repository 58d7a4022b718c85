// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/relay_server.hpp"

#include "wire/reservation_voucher.hpp"

namespace dig::relay {

using circuit::Status;

RelayServer::RelayServer(const Identity& identity, Rng& rng, Limits limits)
    : identity_(identity), limits_(std::move(limits)), limiter_(rng, limits_.requests) {}

void RelayServer::set_addresses(const std::vector<Multiaddr>& addresses) {
  addresses_.clear();
  std::size_t size = 0;
  for (const Multiaddr& address : addresses) {
    if (addresses_.size() == max_addresses) return;
    auto full = address.with_peer_id(identity_.peer_id());
    if (!full || full->has(Protocol::p2p_circuit) || size + full->bytes().size() > max_addresses_size) continue;
    size += full->bytes().size();
    addresses_.push_back(*std::move(full));
  }
}

void RelayServer::set_mode(RelayMode mode) {
  mode_ = mode;
  if (mode != RelayMode::off) return;
  while (!reservations_.empty()) remove(reservations_.begin(), ReservationEnd::turned_off);
}

// --- RESERVE --------------------------------------------------------------------------------------------------------

circuit::HopMessage RelayServer::reserve(Instant now, UnixTime wall, const RelayClient& client) {
  handle_timeout(now);
  if (const Status refusal = refusal_of_reserve(now, client); refusal != Status::ok) {
    ++counters_.reservations_refused;
    return circuit::HopMessage::answer(refusal);
  }
  put(now, client);
  ++counters_.reservations_granted;
  return grant(wall, client.peer);
}

Status RelayServer::refusal_of_reserve(Instant now, const RelayClient& client) {
  if (client.is_relayed || mode_ == RelayMode::off) return Status::permission_denied;
  if (mode_ == RelayMode::draining) return Status::reservation_refused;
  const AcceptLimiter::Prefix source = AcceptLimiter::prefix_of(client.address);
  if (!limiter_.allows(now, client.peer, source)) return Status::reservation_refused;
  // A refresh takes the place of what it refreshes.
  const auto existing = reservations_.find(client.peer);
  const std::size_t own = existing == reservations_.end() ? 0 : 1;
  const std::size_t own_of_source = own == 1 && existing->second.source == source ? 1 : 0;
  if (reservations_.size() - own >= limits_.reservations ||
      reservations_of_source_.count(source) - own_of_source >= limits_.reservations_per_source) {
    return Status::reservation_refused;
  }
  return Status::ok;
}

void RelayServer::put(Instant now, const RelayClient& client) {
  const auto [entry, is_new] = reservations_.try_emplace(client.peer);
  Reservation& reservation = entry->second;
  if (!is_new) {
    expiries_.erase({reservation.expires, client.peer});
    carried_.erase(reservation.connection);
    reservations_of_source_.remove(reservation.source);
  }
  reservation = {.connection = client.connection,
                 .source = AcceptLimiter::prefix_of(client.address),
                 .expires = now + limits_.reservation_lifetime};
  expiries_.emplace(reservation.expires, client.peer);
  carried_[client.connection] = client.peer;
  reservations_of_source_.add(reservation.source);
  events_.emplace_back(ReservationMade{client.peer, client.connection, !is_new});
}

circuit::HopMessage RelayServer::grant(UnixTime wall, const PeerId& client) const {
  const auto lifetime = std::chrono::floor<std::chrono::seconds>(limits_.reservation_lifetime);
  const UnixTime expiration{wall.seconds + lifetime.count()};
  circuit::HopMessage message = circuit::HopMessage::answer(Status::ok, limits_.circuit);
  message.reservation =
      circuit::Reservation{.expiration = expiration,
                           .addresses = addresses_,
                           .voucher = ReservationVoucher{identity_.peer_id(), client, expiration}.seal(identity_)};
  return message;
}

void RelayServer::remove(Reservations::iterator entry, ReservationEnd why) {
  const auto& [peer, reservation] = *entry;
  expiries_.erase({reservation.expires, peer});
  carried_.erase(reservation.connection);
  reservations_of_source_.remove(reservation.source);
  events_.emplace_back(ReservationEnded{peer, reservation.connection, why});
  reservations_.erase(entry);
}

// --- CONNECT --------------------------------------------------------------------------------------------------------

std::expected<RelayServer::Admitted, Status> RelayServer::connect(Instant now, const RelayClient& client,
                                                                  const PeerId& target) {
  handle_timeout(now);
  if (const Status refusal = refusal_of_connect(now, client, target); refusal != Status::ok) {
    ++counters_.circuits_refused;
    return std::unexpected(refusal);
  }
  const ConnectionId stop = reservations_.at(target).connection;
  const CircuitId id{next_circuit_++};
  const Circuit made{.initiator = client.peer,
                     .target = target,
                     .source = AcceptLimiter::prefix_of(client.address),
                     .hop = client.connection,
                     .stop = stop};
  circuits_of_peer_.add(made.initiator);
  circuits_of_peer_.add(made.target);
  circuits_of_source_.add(made.source);
  circuits_.emplace(id, made);
  ++counters_.circuits_admitted;
  return Admitted{id, stop, limits_.circuit};
}

Status RelayServer::refusal_of_connect(Instant now, const RelayClient& client, const PeerId& target) {
  if (client.is_relayed || client.peer == target || mode_ == RelayMode::off) return Status::permission_denied;
  const AcceptLimiter::Prefix source = AcceptLimiter::prefix_of(client.address);
  if (mode_ == RelayMode::draining || !limiter_.allows(now, client.peer, source)) {
    return Status::resource_limit_exceeded;
  }
  if (!reservations_.contains(target)) return Status::no_reservation;
  if (circuits_.size() >= limits_.circuits || circuits_of_peer_.count(client.peer) >= limits_.circuits_per_peer ||
      circuits_of_peer_.count(target) >= limits_.circuits_per_peer ||
      circuits_of_source_.count(source) >= limits_.circuits_per_source) {
    return Status::resource_limit_exceeded;
  }
  return Status::ok;
}

void RelayServer::circuit_ended(CircuitId id) {
  const auto found = circuits_.find(id);
  if (found == circuits_.end()) return;
  forget(found->second);
  circuits_.erase(found);
}

void RelayServer::forget(const Circuit& circuit) {
  circuits_of_peer_.remove(circuit.initiator);
  circuits_of_peer_.remove(circuit.target);
  circuits_of_source_.remove(circuit.source);
}

// --- what ends ------------------------------------------------------------------------------------------------------

void RelayServer::handle_connection_closed(ConnectionId connection, std::optional<ConnectionId> another) {
  std::erase_if(circuits_, [&](const auto& entry) {
    const Circuit& circuit = entry.second;
    if (circuit.hop != connection && circuit.stop != connection) return false;
    forget(circuit);
    return true;
  });
  const auto carried = carried_.find(connection);
  if (carried == carried_.end()) return;
  const auto reservation = reservations_.find(carried->second);
  if (!another) return remove(reservation, ReservationEnd::connection_closed);
  carried_.erase(carried);
  carried_[*another] = reservation->first;
  reservation->second.connection = *another;
}

void RelayServer::handle_timeout(Instant now) {
  while (!expiries_.empty() && expiries_.begin()->first <= now) {
    remove(reservations_.find(expiries_.begin()->second), ReservationEnd::expired);
  }
}

std::optional<Instant> RelayServer::next_timeout() const {
  return expiries_.empty() ? std::nullopt : std::optional(expiries_.begin()->first);
}

std::optional<RelayServer::Event> RelayServer::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

RelayStatus RelayServer::snapshot() const {
  RelayStatus status = counters_;
  status.reservations = reservations_.size();
  status.circuits = circuits_.size();
  status.sources = reservations_of_source_.keys() + circuits_of_source_.keys();
  status.peers = circuits_of_peer_.keys();
  return status;
}

}  // namespace dig::relay
