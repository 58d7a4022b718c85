// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/reservation_keeper.hpp"

#include <algorithm>

#include "proto/autonat/address_scope.hpp"

namespace dig::relay {
namespace {

// The relay has decided, or cannot be one: asking it again does not help.
bool is_refusal(const Error& error) {
  switch (error.code()) {
    case Errc::relay_refused:
    case Errc::relay_reservation_refused:
    case Errc::relay_limit_exceeded:
    case Errc::relay_permission_denied:
    case Errc::relay_connection_failed:
    case Errc::relay_no_reservation:
    case Errc::protocol_not_supported:
    case Errc::protocol_violation:
    case Errc::malformed:
    case Errc::oversized:
    case Errc::bad_signature:
    case Errc::bad_public_key:
    case Errc::peer_id_mismatch:
    case Errc::dialled_self:
      return true;
    default:
      return false;
  }
}

// A name is one of the Internet; an address that says nothing of where it leads is of no scope.
autonat::AddressScope scope_of_host(const Multiaddr& address) {
  const std::string host = address.host();
  if (host.empty()) return autonat::AddressScope::none;
  const auto ip = IpAddress::parse(host);
  return ip ? autonat::scope_of(*ip) : autonat::AddressScope::internet;
}

}  // namespace

Result<void> ReservationKeeper::add_relay(const PeerId& relay, std::vector<Multiaddr> addresses) {
  if (relay == self_ || relays_.contains(relay)) return fail(Errc::invalid_argument, relay.to_string());
  if (relays_.size() >= limits_.relays) return fail(Errc::limit_reached, "relays");
  std::erase_if(addresses, [](const Multiaddr& address) { return address.has(Protocol::p2p_circuit); });
  Relay& added = relays_[relay];
  added.addresses = std::move(addresses);
  begin(relay, added);
  return {};
}

void ReservationKeeper::remove_relay(const PeerId& relay) {
  const auto found = relays_.find(relay);
  if (found == relays_.end()) return;
  hold(found->second, std::nullopt);
  relays_.erase(found);
}

void ReservationKeeper::handle_connected(AttemptId attempt, ConnectionId connection, const Multiaddr& address) {
  const auto entry = find(attempt, State::connecting);
  if (entry == relays_.end()) return;
  entry->second.connection = connection;
  entry->second.dialled = address;
  begin(entry->first, entry->second);
}

void ReservationKeeper::handle_reserved(Instant now, UnixTime wall, AttemptId attempt, GrantedReservation reservation) {
  const auto entry = find(attempt, State::reserving);
  if (entry == relays_.end()) return;
  auto& [id, relay] = *entry;
  const Duration lifetime = lifetime_of(wall, reservation.expiration);
  // A first reservation proves little: see handle_connection_closed.
  if (relay.held) relay.failures = 0;
  relay.last_failure.reset();
  relay.state = State::waiting;
  // Early enough for several more tries, and not at the same time as everybody else.
  relay.next = now + between(lifetime / 2, lifetime / 4 * 3);
  hold(relay, Relay::Held{.since = now,
                          .until = now + lifetime,
                          .limit = reservation.limit,
                          .addresses = relayed(id, relay.dialled, reservation.addresses)});
}

void ReservationKeeper::handle_failed(Instant now, AttemptId attempt, const Error& why) {
  auto entry = find(attempt, State::connecting);
  if (entry == relays_.end()) entry = find(attempt, State::reserving);
  if (entry == relays_.end()) return;
  retry(now, entry->second, why);
  if (!advance(now, entry->first, entry->second)) relays_.erase(entry);
}

void ReservationKeeper::handle_connection_closed(Instant now, ConnectionId connection) {
  for (auto& [id, relay] : relays_) {
    if (relay.connection != connection) continue;
    relay.connection.reset();
    if (relay.held && now - relay.held->since >= limits_.steady) relay.failures = 0;
    hold(relay, std::nullopt);
    retry(now, relay, Error(Errc::connection_closed, "to the relay"));
  }
}

void ReservationKeeper::handle_timeout(Instant now) {
  for (auto entry = relays_.begin(); entry != relays_.end();) {
    entry = advance(now, entry->first, entry->second) ? std::next(entry) : relays_.erase(entry);
  }
}

std::optional<Instant> ReservationKeeper::next_timeout() const {
  std::optional<Instant> next;
  for (const auto& [id, relay] : relays_) {
    if (relay.held) next = earliest(next, relay.held->until);
    if (relay.state == State::waiting) next = earliest(next, relay.next);
  }
  return next;
}

std::optional<ReservationKeeper::Event> ReservationKeeper::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::vector<Multiaddr> ReservationKeeper::relayed_addresses() const {
  std::vector<Multiaddr> all;
  for (const auto& [id, relay] : relays_) {
    if (relay.held) all.insert(all.end(), relay.held->addresses.begin(), relay.held->addresses.end());
  }
  return all;
}

bool ReservationKeeper::has_reservation(const PeerId& relay) const {
  const auto found = relays_.find(relay);
  return found != relays_.end() && found->second.held.has_value();
}

KeeperStatus ReservationKeeper::snapshot() const {
  KeeperStatus status;
  for (const auto& [id, relay] : relays_) {
    KeptRelay& kept = status.relays.emplace_back();
    kept.relay = id;
    kept.connection = relay.connection;
    if (relay.held) kept.reserved_until = relay.held->until;
    if (relay.held) kept.limit = relay.held->limit;
    if (relay.state == State::waiting) kept.next_attempt = relay.next;
    kept.failures = relay.failures;
    kept.last_failure = relay.last_failure;
  }
  return status;
}

// --- one relay ------------------------------------------------------------------------------------------------------

ReservationKeeper::Relays::iterator ReservationKeeper::find(AttemptId attempt, State state) {
  return std::ranges::find_if(
      relays_, [&](const auto& entry) { return entry.second.state == state && entry.second.attempt == attempt; });
}

void ReservationKeeper::begin(const PeerId& id, Relay& relay) {
  relay.attempt = AttemptId{next_attempt_++};
  if (relay.connection) {
    relay.state = State::reserving;
    events_.emplace_back(OpenReserveStream{relay.attempt, id, *relay.connection});
  } else {
    relay.state = State::connecting;
    events_.emplace_back(ConnectRelay{relay.attempt, id, relay.addresses});
  }
}

bool ReservationKeeper::advance(Instant now, const PeerId& id, Relay& relay) {
  if (relay.held && now >= relay.held->until) hold(relay, std::nullopt);
  if (relay.state != State::waiting) return true;
  if (!relay.held && relay.last_failure && is_refusal(*relay.last_failure)) {
    events_.emplace_back(RelayGivenUp{id, *relay.last_failure});
    return false;
  }
  if (now >= relay.next) begin(id, relay);
  return true;
}

void ReservationKeeper::retry(Instant now, Relay& relay, const Error& why) {
  relay.state = State::waiting;
  relay.last_failure = why;
  Duration delay = limits_.min_retry;
  for (std::size_t i = 0; i < relay.failures && delay < limits_.max_retry; ++i) delay *= 2;
  delay = std::min(delay, limits_.max_retry);
  ++relay.failures;
  relay.next = now + between(delay / 2, delay);
}

void ReservationKeeper::hold(Relay& relay, std::optional<Relay::Held> held) {
  static const std::vector<Multiaddr> k_none;
  const std::vector<Multiaddr>& before = relay.held ? relay.held->addresses : k_none;
  const std::vector<Multiaddr>& after = held ? held->addresses : k_none;
  if (before != after) events_.emplace_back(RelayedAddressesChanged{});
  relay.held = std::move(held);
}

std::vector<Multiaddr> ReservationKeeper::relayed(const PeerId& id, const Multiaddr& dialled,
                                                  const std::vector<Multiaddr>& told) const {
  std::vector<Multiaddr> all;
  const auto add = [&](const Multiaddr& address) {
    const auto peer = address.peer_id();
    if (all.size() == limits_.addresses_per_relay || address.host().empty() || (peer && *peer != id)) return;
    const auto full = address.with_peer_id(id);
    if (!full) return;
    const auto circuit = Multiaddr::parse(full->to_string() + "/p2p-circuit/p2p/" + self_.to_string());
    if (circuit && std::ranges::find(all, *circuit) == all.end()) all.push_back(*circuit);
  };
  add(dialled);
  // Addresses of the relay's private network are of no use to whoever reaches it from farther away, and lead to
  // somebody else there.
  const autonat::AddressScope reached = scope_of_host(dialled);
  for (const Multiaddr& address : told) {
    if (scope_of_host(address) >= reached) add(address);
  }
  return all;
}

Duration ReservationKeeper::lifetime_of(UnixTime wall, UnixTime expiration) const {
  if (expiration <= wall) return limits_.min_lifetime;
  const auto left = static_cast<std::uint64_t>(expiration.seconds) - static_cast<std::uint64_t>(wall.seconds);
  const auto most = std::chrono::ceil<std::chrono::seconds>(limits_.max_lifetime).count();
  const auto seconds = std::min(left, static_cast<std::uint64_t>(most));
  return std::clamp<Duration>(std::chrono::seconds(seconds), limits_.min_lifetime, limits_.max_lifetime);
}

Duration ReservationKeeper::between(Duration low, Duration high) {
  return low + Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>((high - low).count()) + 1)));
}

}  // namespace dig::relay
