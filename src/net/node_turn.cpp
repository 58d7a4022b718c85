// SPDX-License-Identifier: Apache-2.0
#include "net/node_turn.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "net/clock.hpp"
#include "net/interfaces.hpp"
#include "net/sockaddr.hpp"
#include "net/unique_fd.hpp"
#include "store/disk/file.hpp"

namespace dig::net {
namespace {

constexpr std::uint64_t k_max_file = 64;
// A peer's node: for the two of a pair a few allocations each, for a home network some of them.
constexpr turn::QuotaBook::Limits k_pair_quotas{.per_user = 8, .per_source = 64, .total = 512};

// Relay ports of an open relay, and where they are until the node knows where it is reached.
void place_relays(TurnShardOptions& shard, const NodeTurnOptions& options) {
  const auto interfaces = interface_addresses();
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    const auto place = find_relay_place(options.relay, family, std::nullopt, interfaces);
    if (!place) continue;
    (family == IpFamily::v4 ? shard.relay_bind_v4 : shard.relay_bind_v6) = place->bound;
    (family == IpFamily::v4 ? shard.server.relay_v4 : shard.server.relay_v6) = place->told;
  }
  shard.server.own_addresses = own_addresses(options, interfaces);
  shard.server.ports.first = options.min_port;
  shard.server.ports.last = options.max_port;
}

}  // namespace

TurnShardOptions turn_shard_options(const NodeTurnOptions& options) {
  TurnShardOptions shard;
  shard.server.is_pair_relay = options.kind == TurnRelayKind::pair;
  shard.server.has_even_port = !shard.server.is_pair_relay;
  const std::uint64_t bits = options.max_bits_per_second;
  const std::uint64_t bytes = bits == 0 ? 0 : std::max<std::uint64_t>(bits / 8, 1);
  shard.server.limits.server_bandwidth = {.per_second = bytes, .burst = bytes};  // a second of it at once
  if (!shard.server.is_pair_relay) place_relays(shard, options);
  return shard;
}

Result<void> check_relay(const NodeTurnOptions& options) {
  if (options.min_port < 1024 || options.max_port < options.min_port) {
    return fail(Errc::invalid_argument, "relay ports go from 1024 up, the lower one first");
  }
  for (const IpAddress& address : options.relay.relay_ips) {
    const SocketAddress local(Endpoint{address, 0});
    const UniqueFd fd(::socket(local.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (fd && ::bind(fd.value(), local.get(), local.size()) == 0) continue;
    return fail(Errc::invalid_argument, "no address of this machine to relay from: " + address.to_string());
  }
  return {};
}

std::vector<IpAddress> own_addresses(const NodeTurnOptions& options, const std::vector<InterfaceAddress>& interfaces) {
  std::vector<IpAddress> own = options.relay.public_ips;
  for (const InterfaceAddress& interface : interfaces) own.push_back(interface.address);
  return own;
}

turn::QuotaBook::Limits turn_quotas(const NodeTurnOptions& options) {
  return options.kind == TurnRelayKind::pair ? k_pair_quotas : turn::QuotaBook::Limits{};
}

Result<turn::MonthlyVolume::State> read_turn_volume(const std::filesystem::path& path) {
  if (path.empty()) return turn::MonthlyVolume::State{};
  const auto file = store::File::open_regular(path);
  if (!file && file.error().code() == Errc::file_not_found) return turn::MonthlyVolume::State{};
  if (!file) return std::unexpected(file.error());
  DIG_TRY(const std::string text, file->read_text(k_max_file));
  auto state = turn::parse_monthly_volume(text);
  if (!state) return fail(Errc::malformed, path.string() + " does not say what was relayed");
  return state;
}

Result<void> write_turn_volume(const std::filesystem::path& path, const turn::MonthlyVolume::State& state) {
  DIG_TRY(store::PendingFile file, store::PendingFile::create(path));
  DIG_CHECK(file.file().write_at(0, as_bytes(turn::to_text(state))));
  return file.commit();
}

NodeTurn::NodeTurn(Loop& loop, TurnShard& shard, NodeTurnOptions options, const turn::MonthlyVolume::State& saved,
                   Hooks hooks)
    : shard_(shard),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      volume_(options_.max_bytes_per_month, saved),
      saved_(saved),
      timer_(loop, [this](Instant now) {
        update(now, wall_now());
        timer_.set(now + k_interval);
      }) {}

void NodeTurn::start(Instant now) {
  const UnixTime wall = wall_now();
  volume_.add(wall, 0);  // the month that counts
  shard_.set_volume_left(volume_.left(wall));
  is_wished_ = !is_used_up(wall);
  tell_wish(now, is_wished_ ? "" : "this month's volume is used up");
  timer_.set(now + k_interval);
}

bool NodeTurn::is_used_up(UnixTime wall) const { return volume_.left(wall) == 0U; }

void NodeTurn::serve(const std::optional<IpAddress>& v4, const std::optional<IpAddress>& v6) {
  if (options_.kind == TurnRelayKind::pair) return shard_.set_relay_addresses(v4, v6);
  const auto interfaces = interface_addresses();
  const auto place = [&](IpFamily family, const std::optional<IpAddress>& reached) {
    return reached ? find_relay_place(options_.relay, family, reached, interfaces) : std::nullopt;
  };
  shard_.set_own_addresses(own_addresses(options_, interfaces));
  shard_.set_relay_places(place(IpFamily::v4, v4), place(IpFamily::v6, v6));
}

Result<RelayPlace> NodeTurn::relay_place(const IpAddress& reached) const {
  const auto place = find_relay_place(options_.relay, reached.family(), reached, interface_addresses());
  return place ? Result<RelayPlace>(*place) : fail(Errc::invalid_argument, "no address of this machine to relay from");
}

void NodeTurn::tell_wish(Instant now, std::string why) {
  hooks_.set_wish(now,
                  {.kind = options_.kind,
                   .has_tls = options_.has_tls,
                   .needs_probe = options_.needs_probe,
                   .is_paused = !is_wished_},
                  std::move(why));
}

void NodeTurn::count(UnixTime wall) {
  const TurnShardStatus status = shard_.snapshot();
  const std::int32_t month = volume_.snapshot().month;
  volume_.add(wall, status.bytes_relayed - std::exchange(counted_, status.bytes_relayed));
  // A packet did not fit into what is left of this month: that bit is nobody's, and no offer either.
  const bool is_same_month = volume_.snapshot().month == month;
  if (status.is_volume_used_up && is_same_month) volume_.add(wall, volume_.left(wall).value_or(0));
  shard_.set_volume_left(volume_.left(wall));
}

void NodeTurn::update(Instant now, UnixTime wall) {
  count(wall);
  // IPv6 addresses of a host come and go (RFC 8981), and none of them is anybody's peer.
  if (options_.kind == TurnRelayKind::open) shard_.set_own_addresses(own_addresses(options_, interface_addresses()));
  const bool is_wished = !is_used_up(wall);
  const bool has_changed = is_wished != std::exchange(is_wished_, is_wished);
  if (has_changed) tell_wish(now, is_wished ? "a new month has begun" : "this month's volume is used up");
  if (volume_.snapshot() == saved_ || (!has_changed && next_save_ && now < *next_save_)) return;
  saved_ = volume_.snapshot();
  next_save_ = now + k_between_saves;
  hooks_.save(saved_);
}

void NodeTurn::stop() {
  timer_.set(std::nullopt);
  count(wall_now());
}

}  // namespace dig::net
