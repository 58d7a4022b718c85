// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/testing/server_model.hpp"

#include <algorithm>

#include "base/base_encoding.hpp"

namespace dig::turn::testing {
namespace {

constexpr Duration k_reservation_time = 30s;  // RFC 8656 §7.2: at least
constexpr Duration k_busy_port_time = 60s;
constexpr Duration k_channel_rest = 5min;  // RFC 8656 §12: before a number may have another peer

std::size_t index_of(IpFamily family) { return family == IpFamily::v6 ? 1 : 0; }

// An IPv4 address or an IPv6 /56 is one source.
BytesView source_of(const IpAddress& address) { return address.bytes().first(address.is_v4() ? 4 : 7); }

}  // namespace

// --- lines ----------------------------------------------------------------------------------------------------------

std::string answer_line(std::size_t client, std::string_view what, std::string_view signer) {
  return "to client " + std::to_string(client) + ": " + std::string(what) + ", signed by " + std::string(signer);
}
std::string channel_line(std::size_t client, std::uint16_t number, BytesView payload) {
  return "to client " + std::to_string(client) + ": channel " + std::to_string(number) + " " + to_hex(payload);
}
std::string data_line(std::size_t client, const Endpoint& peer, BytesView payload) {
  return "to client " + std::to_string(client) + ": from " + peer.to_string() + " " + to_hex(payload);
}
std::string peer_line(RelayId relay, const Endpoint& peer, BytesView payload, bool dont_fragment) {
  return "relay " + std::to_string(relay.value) + " to " + peer.to_string() + (dont_fragment ? " whole " : " ") +
         to_hex(payload);
}
std::string open_line(IpFamily family) { return family == IpFamily::v6 ? "open IPv6" : "open IPv4"; }
std::string close_line(RelayId relay) { return "close " + std::to_string(relay.value); }
std::string made_line(const Endpoint& client, std::string_view user) {
  return "made " + client.to_string() + " " + std::string(user);
}
std::string ended_line(const Endpoint& client, std::string_view user, AllocationEnd why, std::uint64_t bytes) {
  return "ended " + client.to_string() + " " + std::string(user) + " " + std::to_string(static_cast<int>(why)) + " " +
         std::to_string(bytes) + " bytes";
}

// --- strangers ------------------------------------------------------------------------------------------------------

ServerModel::ServerModel(const ServerConfig& config, const QuotaBook::Limits& quotas, std::vector<Client> clients)
    : config_(config), quotas_(quotas), clients_(std::move(clients)) {
  for (std::uint32_t port = config.ports.first; port <= config.ports.last; ++port) {
    if ((port / 2) % config.ports.shards != config.ports.shard) continue;
    for (const std::size_t family : {0U, 1U}) {
      if (relay_address(family)) free_[family].insert(static_cast<std::uint16_t>(port));
    }
  }
}

void ServerModel::prove(std::size_t client) {
  amplified_[clients_[client].remote.address].proven_until = now_ + config_.limits.replies.proof_lifetime;
}

bool ServerModel::may_amplify(std::size_t client) {
  const std::int64_t second = now_.since_origin / 1s;
  Amplified& so_far = amplified_[clients_[client].remote.address];
  if (std::exchange(so_far.second, second) != second) so_far.answers = so_far.proven_answers = 0;
  const ReplyLimiter::Limits& limits = config_.limits.replies;
  if (now_ < so_far.proven_until) return ++so_far.proven_answers <= limits.proven_replies_per_second;
  return ++so_far.answers <= limits.replies_per_second;
}

void ServerModel::answer_stranger(std::size_t client, std::string_view what, std::size_t request_size,
                                  std::size_t reply_size) {
  if (!clients_[client].is_stream && reply_size > request_size && !may_amplify(client)) return;
  answer(client, what, "nobody");
}

void ServerModel::answer(std::size_t client, std::string_view what, std::string_view signer) {
  outputs_.push_back(answer_line(client, what, signer));
}

void ServerModel::refuse(const Asker& asker, std::string_view method, int code) {
  answer(asker.client, std::string(method) + " " + std::to_string(code), asker.user);
}

// --- Allocate (RFC 8656 §7) -----------------------------------------------------------------------------------------

const std::optional<IpAddress>& ServerModel::relay_address(std::size_t family) const {
  return family == 1 ? config_.relay_v6 : config_.relay_v4;
}

Endpoint ServerModel::relayed(std::size_t family, const Relay& relay) const {
  return {*relay_address(family), relay.port};
}

std::uint32_t ServerModel::granted(std::optional<std::uint32_t> wanted) const {
  const ServerConfig::Limits& limits = config_.limits;
  return std::min(limits.max_lifetime, std::max(limits.default_lifetime, wanted.value_or(0)));
}

int ServerModel::refusal_of(const AllocateWish& wish) const {
  if (!wish.transport) return 400;
  if (*wish.transport != 17) return 442;
  if (wish.token && (wish.even_port || wish.family || wish.additional)) return 400;
  if (wish.family && wish.additional) return 400;
  if (wish.family && *wish.family != 1 && *wish.family != 2) return 440;
  if (wish.additional && (wish.even_port.value_or(false) || *wish.additional != 2)) return 400;
  if (is_draining_) return alternate_ ? 300 : 508;
  if (!wish.token && !relay_address(wish.family == 2 ? 1 : 0)) return 440;
  if ((wish.token || wish.even_port) && !config_.has_even_port) return 508;
  return 0;
}

bool ServerModel::is_within_quotas(const Asker& asker) const {
  std::size_t of_user = 0;
  std::size_t of_source = 0;
  const BytesView source = source_of(clients_[asker.client].remote.address);
  for (const auto& [client, allocation] : allocations_) {
    if (allocation.user == asker.user) ++of_user;
    if (equal(source_of(clients_[client].remote.address), source)) ++of_source;
  }
  return of_user < quotas_.per_user && of_source < quotas_.per_source && allocations_.size() < quotas_.total;
}

bool ServerModel::has_port(std::size_t family, Rule rule) const {
  return std::ranges::any_of(free_[family], [&](std::uint16_t port) {
    const bool is_even = rule == Rule::any || port % 2 == 0;
    return is_even && (rule != Rule::even_and_next || free_[family].contains(static_cast<std::uint16_t>(port + 1)));
  });
}

std::optional<ServerModel::Kept> ServerModel::take_kept(std::uint64_t token) {
  const auto found = std::ranges::find_if(kept_, [&](const Kept& kept) { return kept.token == token; });
  if (found == kept_.end() || found->until <= now_) return std::nullopt;
  const Kept kept = *found;
  kept_.erase(found);
  return kept;
}

void ServerModel::allocate(const Asker& asker, const AllocateWish& wish) {
  if (const auto existing = allocations_.find(asker.client); existing != allocations_.end()) {
    if (existing->second.transaction != asker.transaction || existing->second.user != asker.user) {
      return refuse(asker, "allocate", 437);
    }
    if (!existing->second.is_opening) answer_allocate(asker.client);
    return;
  }
  if (const int refusal = refusal_of(wish)) return refuse(asker, "allocate", refusal);
  if (!is_within_quotas(asker)) return refuse(asker, "allocate", 486);
  std::size_t family = wish.family == 2 ? 1 : 0;
  Relay first;
  if (wish.token) {
    const auto kept = take_kept(*wish.token);
    if (!kept) return refuse(asker, "allocate", 508);
    first = {.rule = Rule::reserved, .id = {}, .port = kept->port};
    family = kept->family;
  } else {
    if (wish.even_port) first.rule = *wish.even_port ? Rule::even_and_next : Rule::even;
    if (!has_port(family, first.rule)) return refuse(asker, "allocate", 508);
  }
  Allocation made;
  made.user = asker.user;
  made.transaction = asker.transaction;
  made.lifetime = granted(wish.lifetime);
  made.expires = now_ + std::chrono::seconds(made.lifetime);
  if (first.rule == Rule::even_and_next) made.reservation = ++last_reservation_;
  const bool has_second = wish.additional && relay_address(1) && has_port(1, Rule::any);
  if (wish.additional && !has_second) made.additional_error = relay_address(1) ? 508 : 440;
  allocations_[asker.client] = std::move(made);
  want(asker.client, family, first);
  if (has_second) want(asker.client, 1, {});
}

void ServerModel::want(std::size_t client, std::size_t family, Relay relay) {
  allocations_.at(client).relays[family] = relay;
  wanted_.emplace_back(client, family);
  events_.push_back(open_line(family == 1 ? IpFamily::v6 : IpFamily::v4));
}

bool ServerModel::give_port(const OpenRelay& open) {
  if (wanted_.empty()) return false;
  const auto [client, family] = wanted_.front();
  wanted_.pop_front();
  if (family != index_of(open.family)) return false;
  Allocation& allocation = allocations_.at(client);
  Relay& relay = *allocation.relays[family];
  relay.id = open.relay;
  if (relay.rule == Rule::reserved) return open.port == relay.port;
  relay.port = open.port;
  if (free_[family].erase(open.port) == 0) return false;
  if (relay.rule == Rule::any) return true;
  if (open.port % 2 != 0) return false;
  if (relay.rule == Rule::even) return true;
  const auto next = static_cast<std::uint16_t>(open.port + 1);
  kept_.push_back({family, next, now_ + k_reservation_time, allocation.reservation, std::nullopt});
  return free_[family].erase(next) == 1;
}

bool ServerModel::give_token(std::size_t client, std::uint64_t token) {
  const auto allocation = allocations_.find(client);
  if (allocation == allocations_.end() || allocation->second.reservation == 0) return false;
  if (allocation->second.token) return *allocation->second.token == token;
  allocation->second.token = token;
  for (Kept& kept : kept_) {
    if (kept.reservation == allocation->second.reservation) kept.token = token;
  }
  return true;
}

void ServerModel::relay_opened(RelayId id, Opened result) {
  for (auto& [client, allocation] : allocations_) {
    for (const std::size_t family : {0U, 1U}) {
      std::optional<Relay>& relay = allocation.relays[family];
      if (!relay || relay->id != id || relay->is_open) continue;
      if (result != Opened::yes) return open_failed(client, family, result);
      relay->is_open = true;
      const bool is_waiting =
          std::ranges::any_of(allocation.relays, [](const auto& other) { return other && !other->is_open; });
      if (!is_waiting) answer_allocate(client);
      return;
    }
  }
}

void ServerModel::open_failed(std::size_t client, std::size_t family, Opened result) {
  Allocation& allocation = allocations_.at(client);
  std::optional<Relay>& relay = allocation.relays[family];
  // Only a client that did not ask for this port can have another one.
  const bool may_move = result == Opened::port_in_use && relay->rule == Rule::any;
  const auto set_aside = [this, family, result, port = relay->port] {
    if (result != Opened::port_in_use) return;
    free_[family].erase(port);
    kept_.push_back({family, port, now_ + k_busy_port_time, 0, std::nullopt});
  };
  if (may_move && relay->refused + 1 < config_.limits.max_port_attempts && !free_[family].empty()) {
    set_aside();
    return want(client, family, {.rule = Rule::any, .id = {}, .refused = relay->refused + 1});
  }
  if (family == 1 && allocation.relays[0]) {  // RFC 8656 §7.2: the additional family may be missing
    free_relay(relay, family);
    set_aside();
    allocation.additional_error = 508;
    if (allocation.relays[0]->is_open) answer_allocate(client);
    return;
  }
  answer(client, "allocate 508", allocation.user);
  end(client, AllocationEnd::relay_failed);
  set_aside();
}

void ServerModel::answer_allocate(std::size_t client) {
  Allocation& allocation = allocations_.at(client);
  if (std::exchange(allocation.is_opening, false)) {
    events_.push_back(made_line(clients_[client].remote, allocation.user));
  }
  std::string what = "allocate ok, lifetime " + std::to_string(allocation.lifetime);
  for (const std::size_t family : {0U, 1U}) {
    if (const auto& relay = allocation.relays[family]) what += ", relayed " + relayed(family, *relay).to_string();
  }
  what += ", mapped " + clients_[client].remote.to_string();
  if (allocation.reservation != 0) what += ", token";
  if (allocation.additional_error != 0) what += ", IPv6 " + std::to_string(allocation.additional_error);
  answer(client, what, allocation.user);
}

// --- Refresh (RFC 8656 §8) and the end of an allocation -------------------------------------------------------------

ServerModel::Allocation* ServerModel::owned(const Asker& asker, std::string_view method, bool may_be_opening) {
  const auto found = allocations_.find(asker.client);
  if (found == allocations_.end()) {
    refuse(asker, method, 437);
    return nullptr;
  }
  if (found->second.user != asker.user) {
    refuse(asker, method, 441);
    return nullptr;
  }
  if (found->second.is_opening && !may_be_opening) {
    refuse(asker, method, 437);
    return nullptr;
  }
  return &found->second;
}

void ServerModel::refresh(const Asker& asker, std::optional<std::uint32_t> lifetime,
                          std::optional<std::uint8_t> family) {
  const bool releases = lifetime == 0U;
  Allocation* const allocation = owned(asker, "refresh", releases);
  if (allocation == nullptr) return;
  if (family && *family != 1 && *family != 2) return refuse(asker, "refresh", 440);
  if (family && !allocation->relays[*family - 1U]) return refuse(asker, "refresh", 443);
  const std::uint32_t seconds = releases ? 0 : granted(lifetime);
  answer(asker.client, "refresh ok, lifetime " + std::to_string(seconds), asker.user);
  if (!releases) {
    allocation->expires = now_ + std::chrono::seconds(seconds);
  } else if (!allocation->is_opening && family && allocation->relays[0] && allocation->relays[1]) {
    free_relay(allocation->relays[*family - 1U], *family - 1U);
  } else {
    end(asker.client, AllocationEnd::released);
  }
}

void ServerModel::free_relay(std::optional<Relay>& relay, std::size_t family) {
  if (!relay) return;
  free_[family].insert(relay->port);
  events_.push_back(close_line(relay->id));
  relay.reset();
}

void ServerModel::end(std::size_t client, AllocationEnd why) {
  Allocation& allocation = allocations_.at(client);
  if (allocation.is_opening) {  // nobody has the token
    std::erase_if(kept_, [&](const Kept& kept) {
      if (kept.reservation == 0 || kept.reservation != allocation.reservation) return false;
      free_[kept.family].insert(kept.port);
      return true;
    });
  }
  for (const std::size_t family : {0U, 1U}) free_relay(allocation.relays[family], family);
  events_.push_back(ended_line(clients_[client].remote, allocation.user, why, allocation.volume));
  allocations_.erase(client);
}

void ServerModel::close_client(std::size_t client) {
  if (has_allocation(client)) end(client, AllocationEnd::client_closed);
}

void ServerModel::drain(const std::optional<Endpoint>& alternate) {
  is_draining_ = true;
  alternate_ = alternate;
}

void ServerModel::tick() {
  std::erase_if(kept_, [&](const Kept& kept) {
    if (kept.until > now_) return false;
    free_[kept.family].insert(kept.port);
    return true;
  });
  std::vector<std::size_t> over;
  for (auto& [client, allocation] : allocations_) {
    if (allocation.expires <= now_) over.push_back(client);
    std::erase_if(allocation.permissions, [&](const auto& permission) { return permission.second <= now_; });
    std::erase_if(allocation.channels,
                  [&](const auto& channel) { return channel.second.expires + k_channel_rest <= now_; });
  }
  for (const std::size_t client : over) end(client, AllocationEnd::expired);
}

// --- permissions and channels (RFC 8656 §9 to §12) ------------------------------------------------------------------

int ServerModel::refusal_of(const Allocation& allocation, const Peer& peer) const {
  if (!allocation.relays[index_of(peer.endpoint.address.family())]) return 443;
  return peer.is_forbidden ? 403 : 0;
}

// All of them or none.
bool ServerModel::permit(Allocation& allocation, const std::set<IpAddress>& peers) {
  const auto added = static_cast<std::size_t>(
      std::ranges::count_if(peers, [&](const IpAddress& peer) { return !allocation.permissions.contains(peer); }));
  if (added > 0 && (allocation.permissions.size() + added > config_.limits.max_permissions ||
                    !allocation.new_peers.take(now_, config_.limits.new_peers, added))) {
    return false;
  }
  for (const IpAddress& peer : peers) allocation.permissions[peer] = now_ + config_.limits.permission_lifetime;
  return true;
}

bool ServerModel::is_permitted(const Allocation& allocation, const IpAddress& peer) const {
  const auto found = allocation.permissions.find(peer);
  return found != allocation.permissions.end() && now_ < found->second;
}

void ServerModel::create_permission(const Asker& asker, const std::vector<Peer>& peers) {
  Allocation* const allocation = owned(asker, "permission");
  if (allocation == nullptr) return;
  if (peers.empty()) return refuse(asker, "permission", 400);
  std::set<IpAddress> addresses;
  for (const Peer& peer : peers) {
    if (const int refusal = refusal_of(*allocation, peer)) return refuse(asker, "permission", refusal);
    addresses.insert(peer.endpoint.address);
  }
  if (!permit(*allocation, addresses)) return refuse(asker, "permission", 508);
  answer(asker.client, "permission ok", asker.user);
}

void ServerModel::bind_channel(const Asker& asker, std::optional<std::uint16_t> number,
                               const std::optional<Peer>& peer) {
  Allocation* const allocation = owned(asker, "channel");
  if (allocation == nullptr) return;
  if (!number || *number < 0x4000 || *number > config_.limits.max_channel_number || !peer) {
    return refuse(asker, "channel", 400);
  }
  if (const int refusal = refusal_of(*allocation, *peer)) return refuse(asker, "channel", refusal);
  // On the relayed address itself only relays are peers.
  const Endpoint& at = peer->endpoint;
  const bool is_own = at.address == config_.relay_v4 || at.address == config_.relay_v6;
  if (is_own && (at.port < config_.ports.first || at.port > config_.ports.last)) return refuse(asker, "channel", 403);
  auto& channels = allocation->channels;
  for (const auto& [bound, channel] : channels) {
    if ((bound == *number) != (channel.peer == peer->endpoint)) return refuse(asker, "channel", 400);
  }
  const bool is_full = !channels.contains(*number) && channels.size() >= config_.limits.max_channels;
  if (is_full || !permit(*allocation, {peer->endpoint.address})) return refuse(asker, "channel", 508);
  channels[*number] = {peer->endpoint, now_ + config_.limits.channel_lifetime};
  answer(asker.client, "channel ok", asker.user);
}

// --- data (RFC 8656 §11 and §12) ------------------------------------------------------------------------------------

bool ServerModel::Bucket::take(Instant now, const TokenBucket::Rate& rate, std::uint64_t amount) {
  constexpr __int128 k_one = 1'000'000'000;
  if (rate.per_second == 0) return true;
  const __int128 most = k_one * rate.burst;
  level = updated ? std::min(most, level + __int128{(now - *updated).count()} * rate.per_second) : most;
  updated = now;
  if (level < k_one * amount) return false;
  level -= k_one * amount;
  return true;
}

bool ServerModel::may_relay(Allocation& allocation, std::size_t size) {
  const ServerConfig::Limits& limits = config_.limits;
  if (limits.allocation_volume != 0 && allocation.volume + size > limits.allocation_volume) return false;
  if (!allocation.bandwidth.take(now_, limits.allocation_bandwidth, size)) return false;
  allocation.volume += size;
  return true;
}

void ServerModel::to_client(std::size_t client, const Endpoint& peer, BytesView payload) {
  Allocation& allocation = allocations_.at(client);
  if (!is_permitted(allocation, peer.address) || !may_relay(allocation, payload.size())) return;
  for (const auto& [number, channel] : allocation.channels) {
    if (channel.peer == peer && now_ < channel.expires) {
      outputs_.push_back(channel_line(client, number, payload));
      return;
    }
  }
  outputs_.push_back(data_line(client, peer, payload));
}

void ServerModel::send(std::size_t client, const Peer& peer, BytesView payload, bool dont_fragment) {
  const auto found = allocations_.find(client);
  if (found == allocations_.end() || found->second.is_opening) return;
  Allocation& allocation = found->second;
  const std::size_t family = index_of(peer.endpoint.address.family());
  const std::optional<Relay>& relay = allocation.relays[family];
  if (!relay || peer.is_forbidden || !is_permitted(allocation, peer.endpoint.address)) return;
  if (!may_relay(allocation, payload.size())) return;
  if (peer.endpoint.address == relay_address(family)) {
    for (const auto& [other, target] : allocations_) {
      const std::optional<Relay>& other_relay = target.relays[family];
      if (other_relay && other_relay->is_open && other_relay->port == peer.endpoint.port) {
        return to_client(other, relayed(family, *relay), payload);
      }
    }
    // Nobody has the port: it is a stranger's, unless another shard of this server may hold it.
    const PortPool::Range& range = config_.ports;
    const std::uint16_t port = peer.endpoint.port;
    if (port < range.first || port > range.last || (port / 2U) % range.shards == range.shard) return;
  }
  outputs_.push_back(peer_line(relay->id, peer.endpoint, payload, dont_fragment));
}

void ServerModel::channel_data(std::size_t client, BytesView datagram) {
  const auto found = allocations_.find(client);
  if (found == allocations_.end() || datagram.size() < 4) return;
  const auto u16 = [&](std::size_t at) {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(datagram[at]) << 8U |
                                      std::to_integer<unsigned>(datagram[at + 1]));
  };
  const std::size_t size = u16(2);
  const std::size_t rest = datagram.size() - 4;
  if (size > rest || rest - size > 3) return;  // RFC 8656 §12.5: no more than padding
  const auto channel = found->second.channels.find(u16(0));
  if (channel == found->second.channels.end() || channel->second.expires <= now_) return;
  send(client, {channel->second.peer, false}, datagram.subspan(4, size), false);
}

void ServerModel::peer_data(RelayId id, const Endpoint& peer, BytesView payload) {
  for (const auto& [client, allocation] : allocations_) {
    for (const auto& relay : allocation.relays) {
      if (relay && relay->id == id) return to_client(client, peer, payload);
    }
  }
}

// --- for the driver -------------------------------------------------------------------------------------------------

std::vector<RelayId> ServerModel::open_relays() const {
  std::vector<RelayId> ids;
  for (const auto& [client, allocation] : allocations_) {
    for (const auto& relay : allocation.relays) {
      if (relay) ids.push_back(relay->id);
    }
  }
  return ids;
}

std::vector<Endpoint> ServerModel::relayed_addresses() const {
  std::vector<Endpoint> addresses;
  for (const auto& [client, allocation] : allocations_) {
    for (const std::size_t family : {0U, 1U}) {
      if (const auto& relay = allocation.relays[family]) addresses.push_back(relayed(family, *relay));
    }
  }
  return addresses;
}

std::vector<std::uint64_t> ServerModel::tokens() const {
  std::vector<std::uint64_t> found;
  for (const Kept& kept : kept_) {
    if (kept.token) found.push_back(*kept.token);
  }
  return found;
}

}  // namespace dig::turn::testing
