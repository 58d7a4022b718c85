// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/testing/relay_model.hpp"

#include <algorithm>

namespace dig::relay::testing {
namespace {

using circuit::Status;

// An IPv4 address or an IPv6 /56 is one source.
bool are_near(const IpAddress& a, const IpAddress& b) {
  const std::size_t size = a.is_v4() ? 4 : 7;
  return a.family() == b.family() && equal(a.bytes().first(size), b.bytes().first(size));
}

}  // namespace

std::size_t RelayModel::reservations_near(const IpAddress& address, const PeerId* without) const {
  return static_cast<std::size_t>(std::ranges::count_if(reservations_, [&](const Reservation& reservation) {
    return are_near(reservation.address, address) && (without == nullptr || reservation.peer != *without);
  }));
}

std::size_t RelayModel::circuits_of(const PeerId& peer) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      circuits_, [&](const Circuit& circuit) { return circuit.initiator == peer || circuit.target == peer; }));
}

std::size_t RelayModel::circuits_near(const IpAddress& address) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(circuits_, [&](const Circuit& circuit) { return are_near(circuit.address, address); }));
}

Status RelayModel::reserve(Instant now, const RelayClient& client) {
  advance(now);
  if (client.is_relayed || mode_ == RelayMode::off) return Status::permission_denied;
  if (mode_ == RelayMode::draining) return Status::reservation_refused;
  const auto is_own = [&](const Reservation& reservation) { return reservation.peer == client.peer; };
  const auto others = reservations_.size() - static_cast<std::size_t>(std::ranges::count_if(reservations_, is_own));
  if (others >= limits_.reservations) return Status::reservation_refused;
  if (reservations_near(client.address, &client.peer) >= limits_.reservations_per_source) {
    return Status::reservation_refused;
  }
  std::erase_if(reservations_, is_own);
  reservations_.push_back({client.peer, client.connection, client.address, now + limits_.reservation_lifetime});
  return Status::ok;
}

Status RelayModel::connect(Instant now, const RelayClient& client, const PeerId& target) {
  advance(now);
  if (client.is_relayed || mode_ == RelayMode::off || client.peer == target) return Status::permission_denied;
  if (mode_ == RelayMode::draining) return Status::resource_limit_exceeded;
  if (!carrier_of(target)) return Status::no_reservation;
  const bool has_room = circuits_.size() < limits_.circuits && circuits_of(client.peer) < limits_.circuits_per_peer &&
                        circuits_of(target) < limits_.circuits_per_peer &&
                        circuits_near(client.address) < limits_.circuits_per_source;
  return has_room ? Status::ok : Status::resource_limit_exceeded;
}

void RelayModel::circuit_opened(CircuitId id, const RelayClient& client, const PeerId& target) {
  circuits_.push_back({id, client.peer, target, client.address, client.connection, *carrier_of(target)});
}

void RelayModel::circuit_ended(CircuitId id) {
  std::erase_if(circuits_, [&](const Circuit& circuit) { return circuit.id == id; });
}

void RelayModel::connection_closed(ConnectionId connection, std::optional<ConnectionId> another) {
  std::erase_if(circuits_,
                [&](const Circuit& circuit) { return circuit.hop == connection || circuit.stop == connection; });
  for (Reservation& reservation : reservations_) {
    if (reservation.connection == connection && another) reservation.connection = *another;
  }
  std::erase_if(reservations_, [&](const Reservation& reservation) { return reservation.connection == connection; });
}

void RelayModel::advance(Instant now) {
  std::erase_if(reservations_, [&](const Reservation& reservation) { return reservation.expires <= now; });
}

void RelayModel::set_mode(RelayMode mode) {
  mode_ = mode;
  if (mode == RelayMode::off) reservations_.clear();
}

std::optional<ConnectionId> RelayModel::carrier_of(const PeerId& peer) const {
  for (const Reservation& reservation : reservations_) {
    if (reservation.peer == peer) return reservation.connection;
  }
  return std::nullopt;
}

bool RelayModel::is_within_limits() const {
  return reservations_.size() <= limits_.reservations && circuits_.size() <= limits_.circuits &&
         std::ranges::all_of(reservations_,
                             [&](const Reservation& reservation) {
                               return reservations_near(reservation.address, nullptr) <=
                                      limits_.reservations_per_source;
                             }) &&
         std::ranges::all_of(circuits_, [&](const Circuit& circuit) {
           return circuits_of(circuit.initiator) <= limits_.circuits_per_peer &&
                  circuits_of(circuit.target) <= limits_.circuits_per_peer &&
                  circuits_near(circuit.address) <= limits_.circuits_per_source;
         });
}

}  // namespace dig::relay::testing
