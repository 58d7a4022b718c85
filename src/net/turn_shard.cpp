// SPDX-License-Identifier: Apache-2.0
#include "net/turn_shard.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "net/sockaddr.hpp"
#include "net/turn_shard_impl.hpp"
#include "net/udp_errors.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_receives_per_wakeup = 8;
constexpr std::size_t k_max_errors_per_wakeup = 64;
constexpr int k_listener_buffer = 4 * 1024 * 1024;  // bursts of all clients
constexpr int k_relay_buffer = 1024 * 1024;         // bursts of one peer

void set_buffers(int fd, int size) {
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

}  // namespace

TurnShard::TurnShard(Loop& loop, TurnShardOptions options, const turn::CredentialSource& credentials,
                     turn::QuotaBook& quotas, Rng& rng)
    : impl_(std::make_unique<Impl>(loop, std::move(options), credentials, quotas, rng)) {}
TurnShard::~TurnShard() = default;

void TurnShard::listen_udp(BoundSocket socket) { impl_->listen_udp(std::move(socket)); }
void TurnShard::listen_tcp(BoundSocket socket) { impl_->listen_tcp(std::move(socket)); }
void TurnShard::set_tls(const TlsContexts& contexts) { impl_->set_tls(contexts); }
void TurnShard::drain(const std::optional<Endpoint>& alternate, Task on_drained) {
  impl_->drain(alternate, std::move(on_drained));
}
void TurnShard::set_volume_left(std::optional<std::uint64_t> bytes) { impl_->set_volume_left(bytes); }
void TurnShard::set_relay_addresses(std::optional<IpAddress> v4, std::optional<IpAddress> v6) {
  impl_->set_relay_addresses(v4, v6);
}
void TurnShard::set_relay_places(const std::optional<RelayPlace>& v4, const std::optional<RelayPlace>& v6) {
  impl_->set_relay_places(v4, v6);
}
void TurnShard::set_own_addresses(std::vector<IpAddress> addresses) { impl_->set_own_addresses(std::move(addresses)); }
TurnShardStatus TurnShard::snapshot() const { return impl_->snapshot(); }
bool TurnShard::adopt(Instant now, TransportId id, const turn::ClientPath& path, StreamCarrier& carrier) {
  return impl_->adopt(now, id, path, carrier);
}
void TurnShard::handle_stream_bytes(Instant now, TransportId id, BytesView bytes) {
  impl_->handle_adopted_bytes(now, id, bytes);
}
void TurnShard::handle_stream_closed(Instant now, TransportId id) { impl_->handle_adopted_closed(now, id); }
std::size_t TurnShard::poll_stream(Instant now, TransportId id, MutableBytes out) {
  return impl_->poll_adopted(now, id, out);
}
bool TurnShard::wants_stream_bytes(TransportId id) const { return impl_->wants_adopted_bytes(id); }
void TurnShard::share_udp(int fd, const Endpoint& local) { impl_->share_udp(fd, local); }
void TurnShard::handle_datagrams(UnixTime wall, const Received& in) { impl_->handle_datagrams(wall, in); }
bool TurnShard::has_udp_allocation(const Endpoint& local, const Endpoint& remote) const {
  return impl_->server().has_allocation({StunTransport::udp, local, remote, 0});
}
bool TurnShard::is_channel_bound(Instant now, const Endpoint& local, const Endpoint& remote,
                                 std::uint16_t channel) const {
  return impl_->server().is_channel_bound(now, {StunTransport::udp, local, remote, 0}, channel);
}
void TurnShard::settle(Instant now) { impl_->finish_wakeup(now); }

TurnShard::Impl::Impl(Loop& loop, TurnShardOptions options, const turn::CredentialSource& credentials,
                      turn::QuotaBook& quotas, Rng& rng)
    : loop_(loop),
      options_(std::move(options)),
      server_(options_.server, credentials, quotas, rng),
      scatter_(options_.offload.gso),
      rng_(rng),
      dtls_listener_(rng, monotonic_now()),
      dtls_clients_(0, turn::ClientPathHash{rng.u64()}),
      plaintext_(crypto::DtlsSession::max_plaintext),
      ciphertext_(65'536),
      transports_(loop, static_cast<TransportOwner&>(*this), {.max_transports = options_.max_streams}),
      timer_(loop, [this](Instant now) { handle_timer(now); }) {}

TurnShard::Impl::~Impl() {
  for (const SocketPointer& socket : listeners_) socket->stop();
  for (const auto& [id, socket] : relays_) socket->stop();
}

TurnShardStatus TurnShard::Impl::snapshot() const {
  return {.counters = server_.counters(),
          .allocations = server_.allocations(),
          .bytes_relayed = server_.bytes_relayed(),
          .is_volume_used_up = server_.is_volume_used_up(),
          .streams = streams_.size(),
          .dtls_sessions = dtls_clients_.size(),
          .free_ports = server_.free_ports(),
          .sends = scatter_.snapshot(),
          .receive_calls = receive_calls_,
          .lost_stream_full = lost_stream_full_,
          .streams_refused = streams_refused_};
}

// --- datagrams ------------------------------------------------------------------------------------------------------

TurnShard::Impl::SocketPointer TurnShard::Impl::add_socket(UniqueFd fd, const Endpoint& local) {
  (void)UdpReceiver::prepare(fd.value(), local.address, {.gro = options_.offload.gro});
  return std::make_shared<Socket>(loop_.context(), std::move(fd), local);
}

void TurnShard::Impl::listen_udp(BoundSocket bound) {
  set_buffers(bound.fd.value(), k_listener_buffer);
  listeners_.push_back(add_socket(std::move(bound.fd), bound.local));
  outlets_.push_back({listeners_.back()->fd(), bound.local});
  wait_readable(listeners_.back());
}

void TurnShard::Impl::wait_readable(const SocketPointer& socket) {
  UdpWaiter::wait(socket, [this](const SocketPointer& ready) { handle_readable(ready); });
}

void TurnShard::Impl::handle_readable(const SocketPointer& socket) {
  const Instant now = monotonic_now();
  const UnixTime wall = wall_now();
  for (std::size_t i = 0; i < k_max_receives_per_wakeup && !socket->is_stopped(); ++i) {
    ++receive_calls_;
    std::size_t messages = 0;
    (void)receiver_.receive(socket->fd(), socket->local(), now, [&](const Received& in) {
      ++messages;
      route(now, wall, *socket, in);
    });
    scatter_.flush();  // the next receive overwrites what it sends
    if (messages == 0 && socket->relay) handle_peer_errors(now, *socket);
    if (messages < UdpReceiver::k_batch) break;
  }
  finish_wakeup(now);
  if (!socket->is_stopped()) wait_readable(socket);
}

void TurnShard::Impl::route(Instant now, UnixTime wall, const Socket& socket, const Received& in) {
  if (socket.relay) {
    server_.route(turn::Server::FromPeer{now, *socket.relay, in.remote, in.bytes, in.segment_size}, *this);
  } else {
    route_from_client(wall, in);
  }
}

void TurnShard::Impl::route_from_client(UnixTime wall, const Received& in) {
  if (is_dtls(in.bytes)) return handle_dtls(wall, in);
  server_.route(
      turn::Server::FromClient{in.now, wall, {StunTransport::udp, in.local, in.remote, 0}, in.bytes, in.segment_size},
      *this);
}

// Looked for only when nothing else was there: errors make the socket readable too, and fail one receive.
void TurnShard::Impl::handle_peer_errors(Instant now, const Socket& socket) {
  for (std::size_t i = 0; i < k_max_errors_per_wakeup; ++i) {
    const auto error = next_udp_error(socket.fd());
    if (!error) return;
    const stun::IcmpError icmp{.type = error->icmp_type, .code = error->icmp_code, .data = error->mtu};
    server_.handle_peer_error({now, *socket.relay, error->destination, icmp}, *this);
  }
}

const TurnShard::Impl::Outlet* TurnShard::Impl::outlet_for(const Endpoint& local) const {
  const Outlet* wildcard = nullptr;
  for (const Outlet& outlet : outlets_) {
    if (outlet.local == local) return &outlet;
    const bool is_wildcard = outlet.local.address.is_unspecified() && outlet.local.port == local.port &&
                             outlet.local.address.family() == local.address.family();
    if (is_wildcard) wildcard = &outlet;
  }
  return wildcard;
}

void TurnShard::Impl::to_client(const turn::ClientPath& client, BytesView head, BytesView payload,
                                std::size_t padding) {
  if (client.is_stream()) return write_stream(TransportId{client.connection}, head, payload, padding);
  if (client.transport == StunTransport::dtls) return seal_to_client(client, head, payload, padding);
  send_to_client(client, head, payload, padding);
}

void TurnShard::Impl::send_to_client(const turn::ClientPath& client, BytesView head, BytesView payload,
                                     std::size_t padding) {
  const Outlet* const outlet = outlet_for(client.local);
  if (outlet == nullptr) return;
  const IpAddress source = outlet->local.address.is_unspecified() ? client.local.address : IpAddress();
  // The head of a long answer does not fit beside the payload: such an answer is all head, and lives on the stack of
  // the server, so it leaves at once.
  constexpr std::size_t k_kept_head = 64;
  if (head.size() <= k_kept_head) {
    scatter_.add(outlet->fd, source, client.remote, head, payload, padding);
  } else {
    scatter_.add(outlet->fd, source, client.remote, {}, head, padding);
    scatter_.flush();
  }
}

void TurnShard::Impl::to_peer(turn::RelayId relay, const Endpoint& peer, BytesView payload, bool dont_fragment) {
  const auto found = relays_.find(relay);
  if (found == relays_.end()) return;
  Socket& socket = *found->second;
  if (dont_fragment != socket.sets_dont_fragment) {  // RFC 8656 §14: asked for packet by packet; rare
    scatter_.flush();
    const bool is_v4 = socket.local().address.is_v4();
    const int mode =
        dont_fragment ? (is_v4 ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO) : (is_v4 ? IP_PMTUDISC_DONT : IPV6_PMTUDISC_DONT);
    ::setsockopt(socket.fd(), is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &mode,
                 sizeof(mode));
    socket.sets_dont_fragment = dont_fragment;
  }
  scatter_.add(socket.fd(), IpAddress(), peer, {}, payload, 0);
}

void TurnShard::Impl::drain(const std::optional<Endpoint>& alternate, Task on_drained) {
  server_.drain(alternate);
  on_drained_ = std::move(on_drained);
  finish_wakeup(monotonic_now());
}

// --- what the server asks for ---------------------------------------------------------------------------------------

void TurnShard::Impl::finish_wakeup(Instant now) {
  if (std::exchange(is_finishing_, true)) return;
  while (auto event = server_.poll_event()) carry_out(now, *event);
  scatter_.flush();
  while (!to_flush_.empty() || !to_close_.empty()) {  // a carrier may answer with more
    for (const TransportId id : std::exchange(to_flush_, {})) flush_stream(id);
    for (const TransportId id : std::exchange(to_close_, {})) forget_stream(now, id, CloseMode::graceful);
    while (auto event = server_.poll_event()) carry_out(now, *event);
    scatter_.flush();
  }
  // Never put off by what comes meanwhile: somebody always does.
  const bool is_anybody_there = !streams_.empty() || !dtls_clients_.empty();
  next_check_ = is_anybody_there ? earliest(next_check_, now + dtls_timer_step()) : std::nullopt;
  timer_.set(earliest(server_.next_timeout(), next_check_));
  is_finishing_ = false;
  if (on_drained_ && server_.allocations() == 0) std::exchange(on_drained_, {})();
}

void TurnShard::Impl::carry_out(Instant now, turn::ServerEvent& event) {
  if (const auto* open = std::get_if<turn::OpenRelay>(&event)) {
    server_.handle_relay_opened(now, open->relay, open_relay(*open), *this);
  } else if (const auto* close = std::get_if<turn::CloseRelay>(&event)) {
    const auto relay = relays_.extract(close->relay);
    if (relay.empty()) return;
    scatter_.flush();  // it may have something to send through this socket
    relay.mapped()->stop();
  } else if (const auto* client = std::get_if<turn::CloseClient>(&event)) {
    to_close_.push_back(TransportId{client->client.connection});
  } else if (options_.on_fact) {
    options_.on_fact(event);
  }
}

void TurnShard::Impl::set_relay_places(const std::optional<RelayPlace>& v4, const std::optional<RelayPlace>& v6) {
  const auto told = [](const RelayPlace& place) { return place.told; };
  const auto bound = [](const RelayPlace& place) { return place.bound; };
  options_.relay_bind_v4 = v4.transform(bound);
  options_.relay_bind_v6 = v6.transform(bound);
  server_.set_relay_addresses(v4.transform(told), v6.transform(told));
}

Result<void> TurnShard::Impl::open_relay(const turn::OpenRelay& open) {
  const auto& address = open.family == IpFamily::v6 ? options_.relay_bind_v6 : options_.relay_bind_v4;
  if (!address) return fail(Errc::unsupported, "no relay address of this family");
  const Endpoint local{*address, open.port};
  const SocketAddress bound(local);
  UniqueFd fd(::socket(bound.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail(Errc::limit_reached, std::strerror(errno));
  const int on = 1;
  if (open.family == IpFamily::v6) ::setsockopt(fd.value(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  if (::bind(fd.value(), bound.get(), bound.size()) != 0) {
    return fail(errno == EADDRINUSE || errno == EACCES ? Errc::port_in_use : Errc::network_error, std::strerror(errno));
  }
  set_buffers(fd.value(), k_relay_buffer);
  ask_for_udp_errors(fd.value(), open.family);
  SocketPointer socket = add_socket(std::move(fd), local);
  socket->relay = open.relay;
  wait_readable(socket);
  relays_.emplace(open.relay, std::move(socket));
  return {};
}

void TurnShard::Impl::handle_timer(Instant now) {
  server_.handle_timeout(now);
  if (next_check_ && *next_check_ <= now) {
    next_check_.reset();
    close_idle_streams(now);
    handle_dtls_timers(now);
  }
  finish_wakeup(now);
}

}  // namespace dig::net
