// SPDX-License-Identifier: Apache-2.0
#include "net/turn_service.hpp"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <future>
#include <mutex>
#include <thread>

#include "crypto/system_rng.hpp"
#include "net/interfaces.hpp"

namespace dig::net {
namespace {

constexpr std::uint16_t k_turn_port = 3478;
constexpr int k_backlog = 512;

// The book of quotas that all shards write in. Allocations come and go; packets never touch it.
class SharedQuotas final : public turn::QuotaBook {
 public:
  explicit SharedQuotas(const Limits& limits) : quotas_(limits) {}
  bool take(const std::string& user, AcceptLimiter::Prefix source) override {
    const std::lock_guard lock(mutex_);
    return quotas_.take(user, source);
  }
  void give_back(const std::string& user, AcceptLimiter::Prefix source) override {
    const std::lock_guard lock(mutex_);
    quotas_.give_back(user, source);
  }

 private:
  std::mutex mutex_;
  turn::Quotas quotas_;
};

// Each allocation has a socket of its own.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

std::optional<IpAddress> of_family(const std::vector<IpAddress>& addresses, IpFamily family) {
  const auto found = std::ranges::find(addresses, family, &IpAddress::family);
  return found == addresses.end() ? std::nullopt : std::optional(*found);
}

// Where to relay from when nobody says so: the addresses that are listened on; behind a wildcard the first that is not
// of the loopback interface.
std::vector<IpAddress> relay_addresses(const std::vector<Endpoint>& listening,
                                       const std::vector<InterfaceAddress>& interfaces) {
  std::vector<IpAddress> chosen;
  for (const Endpoint& bound : listening) {
    if (of_family(chosen, bound.address.family())) continue;
    const auto reachable = dialable_endpoints(bound, interfaces);
    if (!reachable.empty()) chosen.push_back(reachable.front().address);
  }
  return chosen;
}

}  // namespace

class TurnService::Impl {
 public:
  explicit Impl(TurnServiceOptions options) : options_(std::move(options)), quotas_(options_.quotas) {}
  ~Impl();

  [[nodiscard]] Result<void> bind();
  [[nodiscard]] Result<void> start_shards();

  std::vector<Endpoint> listening;
  std::vector<PortStatus> ports;
  std::vector<IpAddress> relayed;

  [[nodiscard]] std::size_t shards() const { return shards_.size(); }
  // Runs a task on every shard and waits for it.
  void on_each_shard(const std::function<void(TurnShard&)>& task);

 private:
  struct Shard {
    crypto::SystemRng rng;
    Loop loop;
    std::unique_ptr<TurnShard> shard;
    std::thread thread;
  };

  [[nodiscard]] std::vector<Endpoint> wanted() const;
  [[nodiscard]] Result<void> add_listener(Shard& shard, const BoundSocket& socket);
  [[nodiscard]] TurnShardOptions shard_options(std::uint32_t number) const;

  TurnServiceOptions options_;
  SharedQuotas quotas_;
  PortManager manager_;
  std::vector<PortLease> leases_;
  std::vector<BoundSocket> sockets_;
  std::vector<IpAddress> bind_relays_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

TurnService::Impl::~Impl() {
  for (const auto& shard : shards_) {
    if (!shard->thread.joinable()) continue;
    Shard* const raw = shard.get();
    raw->loop.post([raw] {
      raw->shard.reset();
      raw->loop.stop();
    });
    raw->thread.join();
  }
}

// Where to listen, with the second address of RFC 5780: every combination of two addresses and two ports.
std::vector<Endpoint> TurnService::Impl::wanted() const {
  std::vector<Endpoint> all = options_.listen;
  if (options_.alternate_ip && !all.empty()) {
    const Endpoint primary = all.front();
    const auto next = static_cast<std::uint16_t>(primary.port + 1);
    for (const Endpoint& more : {Endpoint{primary.address, next}, Endpoint{*options_.alternate_ip, primary.port},
                                 Endpoint{*options_.alternate_ip, next}}) {
      if (std::ranges::find(all, more) == all.end()) all.push_back(more);
    }
  }
  return all;
}

Result<void> TurnService::Impl::bind() {
  const auto take = [&](const PortRequest& request) -> Result<void> {
    DIG_TRY(PortLease lease, manager_.acquire(request));
    ports.push_back(lease.status());
    for (BoundSocket& socket : lease.take_udp()) {
      listening.push_back(socket.local);
      sockets_.push_back(std::move(socket));
    }
    for (BoundSocket& socket : lease.take_tcp()) sockets_.push_back(std::move(socket));
    leases_.push_back(std::move(lease));
    return {};
  };
  if (options_.listen.empty()) return take({.purpose = "turn", .preferred = k_turn_port});
  for (const Endpoint& endpoint : wanted()) {
    const std::string number = listening.empty() ? "" : "-" + std::to_string(listening.size() + 1);
    DIG_CHECK(take({.purpose = "turn" + number,
                    .preferred = endpoint.port,
                    .exact = endpoint.port != 0,
                    .addresses = {endpoint.address}}));
  }
  return {};
}

TurnShardOptions TurnService::Impl::shard_options(std::uint32_t number) const {
  TurnShardOptions shard;
  turn::ServerConfig& config = shard.server;
  config.realm = options_.realm;
  config.limits = options_.limits;
  config.is_pair_relay = options_.is_pair_relay;
  shard.relay_bind_v4 = of_family(bind_relays_, IpFamily::v4);
  shard.relay_bind_v6 = of_family(bind_relays_, IpFamily::v6);
  config.relay_v4 = of_family(relayed, IpFamily::v4);
  config.relay_v6 = of_family(relayed, IpFamily::v6);
  config.ports = {.first = options_.min_port,
                  .last = options_.max_port,
                  .shard = number,
                  .shards = static_cast<std::uint32_t>(options_.threads)};
  config.peers = turn::PeerPolicy(options_.allowed_peers);
  // What this host has besides its relays is nobody's peer, unless its owner has allowed the address by name.
  std::vector<IpAddress> own = relayed;
  for (const InterfaceAddress& interface : interface_addresses()) own.push_back(interface.address);
  std::ranges::copy_if(own, std::back_inserter(config.own_addresses), [&](const IpAddress& address) {
    return std::ranges::none_of(options_.allowed_peers, [&](const Cidr& block) { return block.contains(address); });
  });
  if (options_.alternate_ip && !listening.empty()) {
    const Endpoint& primary = listening.front();
    config.discovery = {primary, {*options_.alternate_ip, static_cast<std::uint16_t>(primary.port + 1)}};
  }
  // The rate of the server is that of all its shards.
  config.limits.server_bandwidth.per_second /= options_.threads;
  config.limits.server_bandwidth.burst /= options_.threads;
  if (config.limits.server_volume != 0) {
    config.limits.server_volume = std::max<std::uint64_t>(config.limits.server_volume / options_.threads, 1);
  }
  shard.offload = test_udp_offload();
  shard.on_fact = options_.on_fact;
  return shard;
}

Result<void> TurnService::Impl::add_listener(Shard& shard, const BoundSocket& socket) {
  DIG_TRY(UniqueFd fd, socket.bind_alike());
  BoundSocket alike{std::move(fd), socket.kind, socket.local};
  if (socket.kind == SocketKind::udp) {
    shard.shard->listen_udp(std::move(alike));
    return {};
  }
  if (::listen(alike.fd.value(), k_backlog) != 0) return fail(Errc::network_error, std::strerror(errno));
  shard.shard->listen_tcp(std::move(alike));
  return {};
}

Result<void> TurnService::Impl::start_shards() {
  const auto interfaces = interface_addresses();
  bind_relays_ = options_.relay_ips.empty() ? relay_addresses(listening, interfaces) : options_.relay_ips;
  relayed = bind_relays_;
  for (IpAddress& address : relayed) address = of_family(options_.public_ips, address.family()).value_or(address);
  for (std::uint32_t number = 0; number < options_.threads; ++number) {
    auto shard = std::make_unique<Shard>();
    shard->shard =
        std::make_unique<TurnShard>(shard->loop, shard_options(number), *options_.credentials, quotas_, shard->rng);
    if (options_.tls) shard->shard->set_tls(*options_.tls);
    // The sockets of the port manager go to the last shard: until then they are what the others are bound like.
    if (number + 1 < options_.threads) {
      for (const BoundSocket& socket : sockets_) DIG_CHECK(add_listener(*shard, socket));
    } else {
      for (BoundSocket& socket : sockets_) {
        const bool is_udp = socket.kind == SocketKind::udp;
        is_udp ? shard->shard->listen_udp(std::move(socket)) : shard->shard->listen_tcp(std::move(socket));
      }
    }
    shards_.push_back(std::move(shard));
  }
  for (const auto& shard : shards_) {
    shard->thread = std::thread([raw = shard.get()] { raw->loop.run(); });
  }
  return {};
}

void TurnService::Impl::on_each_shard(const std::function<void(TurnShard&)>& task) {
  for (const auto& shard : shards_) {
    std::promise<void> done;
    shard->loop.post([&task, &done, raw = shard.get()] {
      task(*raw->shard);
      done.set_value();
    });
    done.get_future().wait();
  }
}

Result<TlsContexts> make_turn_tls(std::string_view certificates, std::string_view private_key) {
  DIG_TRY(const auto identity, crypto::TlsIdentity::from_pem(certificates, private_key));
  const crypto::TlsConfig config{
      .role = crypto::TlsRole::server, .identity = identity, .alpn = {"stun.turn", "stun.nat-discovery"}};
  TlsContexts contexts;
  DIG_TRY(contexts.stream, crypto::TlsContext::create(crypto::TlsTransport::stream, config));
  DIG_TRY(contexts.datagram, crypto::TlsContext::create(crypto::TlsTransport::datagram, config));
  return contexts;
}

TurnService::TurnService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TurnService::~TurnService() = default;

Result<std::unique_ptr<TurnService>> TurnService::start(TurnServiceOptions options) {
  if (!options.credentials) return fail(Errc::no_credentials);
  if (options.min_port < 1024 || options.max_port < options.min_port) {
    return fail(Errc::invalid_argument, "relay ports go from 1024 up, the lower one first");
  }
  options.threads = std::max<std::size_t>(1, options.threads);
  // The halves of a pair would never find each other (turn::ServerConfig::is_pair_relay).
  if (options.is_pair_relay && options.threads > 1) {
    return fail(Errc::invalid_argument, "a pair relay has one thread");
  }
  raise_descriptor_limit();
  auto impl = std::make_unique<Impl>(std::move(options));
  DIG_CHECK(impl->bind());
  DIG_CHECK(impl->start_shards());
  return std::unique_ptr<TurnService>(new TurnService(std::move(impl)));
}

const std::vector<Endpoint>& TurnService::listening() const { return impl_->listening; }
const std::vector<PortStatus>& TurnService::ports() const { return impl_->ports; }
std::vector<IpAddress> TurnService::relayed_addresses() const { return impl_->relayed; }

void TurnService::set_tls(const TlsContexts& contexts) {
  impl_->on_each_shard([&](TurnShard& shard) { shard.set_tls(contexts); });
}

void TurnService::drain(const std::optional<Endpoint>& alternate, std::function<void()> on_drained) {
  const auto undrained = std::make_shared<std::atomic<std::size_t>>(impl_->shards());
  impl_->on_each_shard([&](TurnShard& shard) {
    shard.drain(alternate, [undrained, on_drained] {
      if (undrained->fetch_sub(1) == 1) on_drained();
    });
  });
}

TurnShardStatus TurnService::snapshot() const {
  TurnShardStatus sum;
  impl_->on_each_shard([&](TurnShard& shard) {
    const TurnShardStatus one = shard.snapshot();
    sum.counters += one.counters;
    sum.allocations += one.allocations;
    sum.streams += one.streams;
    sum.dtls_sessions += one.dtls_sessions;
    sum.free_ports += one.free_ports;
    sum.sends.datagrams += one.sends.datagrams;
    sum.sends.send_calls += one.sends.send_calls;
    sum.sends.lost_full += one.sends.lost_full;
    sum.sends.lost_refused += one.sends.lost_refused;
    sum.sends.is_segmenting = sum.sends.is_segmenting || one.sends.is_segmenting;
    sum.receive_calls += one.receive_calls;
    sum.lost_stream_full += one.lost_stream_full;
  });
  return sum;
}

}  // namespace dig::net
