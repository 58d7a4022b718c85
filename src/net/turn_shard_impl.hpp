// SPDX-License-Identifier: Apache-2.0
// The inside of TurnShard. Private to turn_shard*.cpp.
#pragma once

#include <map>
#include <set>
#include <unordered_map>

#include "base/accept_limiter.hpp"
#include "crypto/dtls_listener.hpp"
#include "crypto/tls_session.hpp"
#include "net/clock.hpp"
#include "net/tcp_transports.hpp"
#include "net/turn_shard.hpp"
#include "net/udp_waiter.hpp"
#include "wire/stun_framer.hpp"

namespace dig::net {

class TurnShard::Impl final : private turn::Sink, private TransportOwner {
 public:
  Impl(Loop& loop, TurnShardOptions options, const turn::CredentialSource& credentials, turn::QuotaBook& quotas,
       Rng& rng);
  ~Impl() override;

  void listen_udp(BoundSocket socket);
  void listen_tcp(BoundSocket socket) { transports_.listen(std::move(socket)); }
  void set_tls(const TlsContexts& contexts) { tls_ = contexts; }
  void drain(const std::optional<Endpoint>& alternate, Task on_drained);
  void set_volume_left(std::optional<std::uint64_t> bytes) { server_.set_volume_left(bytes); }
  void set_relay_addresses(std::optional<IpAddress> v4, std::optional<IpAddress> v6) {
    server_.set_relay_addresses(v4, v6);
  }
  void set_relay_places(const std::optional<RelayPlace>& v4, const std::optional<RelayPlace>& v6);
  void set_own_addresses(std::vector<IpAddress> addresses) { server_.set_own_addresses(std::move(addresses)); }
  [[nodiscard]] TurnShardStatus snapshot() const;
  [[nodiscard]] const turn::Server& server() const noexcept { return server_; }

  // turn_shard_adopted.cpp: what somebody else carries
  [[nodiscard]] bool adopt(Instant now, TransportId id, const turn::ClientPath& path, StreamCarrier& carrier);
  void handle_adopted_bytes(Instant now, TransportId id, BytesView bytes);
  void handle_adopted_closed(Instant now, TransportId id);
  [[nodiscard]] std::size_t poll_adopted(Instant now, TransportId id, MutableBytes out);
  [[nodiscard]] bool wants_adopted_bytes(TransportId id) const;
  void share_udp(int fd, const Endpoint& local) { outlets_.push_back({fd, local}); }
  void handle_datagrams(UnixTime wall, const Received& in) { route_from_client(wall, in); }
  void finish_wakeup(Instant now);

 private:
  struct Socket : UdpWaiter {
    using UdpWaiter::UdpWaiter;
    std::optional<turn::RelayId> relay;  // of a relay socket
    bool sets_dont_fragment = false;
  };
  using SocketPointer = std::shared_ptr<Socket>;

  // By what datagrams to clients leave.
  struct Outlet {
    int fd = -1;
    Endpoint local;
  };

  struct Stream {
    turn::ClientPath path;
    StreamCarrier* carrier = nullptr;       // of an adopted one
    bool has_begun = false;                 // the first byte has told what it is
    std::optional<crypto::TlsSession> tls;  // around what follows
    stun::Framer framer;
    Bytes output;
    std::size_t sent = 0;
    Instant last_request;
    std::size_t bytes_without_allocation = 0;

    [[nodiscard]] BytesView waiting() const noexcept { return BytesView(output).subspan(sent); }
    void took(std::size_t size) {
      sent += size;
      if (sent == output.size()) output.clear(), sent = 0;
    }
  };

  // A DTLS client, by its 5-tuple.
  struct DtlsClient {
    crypto::DtlsSession session;
    turn::ClientPath path;
    Instant last_datagram;
  };
  using DtlsClients = std::unordered_map<turn::ClientPath, DtlsClient, turn::ClientPathHash>;

  // turn_shard.cpp: datagrams, relays, time
  void wait_readable(const SocketPointer& socket);
  void handle_readable(const SocketPointer& socket);
  void route(Instant now, UnixTime wall, const Socket& socket, const Received& in);
  void handle_peer_errors(Instant now, const Socket& socket);
  void send_to_client(const turn::ClientPath& client, BytesView head, BytesView payload, std::size_t padding);
  [[nodiscard]] SocketPointer add_socket(UniqueFd fd, const Endpoint& local);
  void carry_out(Instant now, turn::ServerEvent& event);
  [[nodiscard]] Result<void> open_relay(const turn::OpenRelay& open);
  void handle_timer(Instant now);
  void route_from_client(UnixTime wall, const Received& in);
  [[nodiscard]] const Outlet* outlet_for(const Endpoint& local) const;

  // turn::Sink
  void to_client(const turn::ClientPath& client, BytesView head, BytesView payload, std::size_t padding) override;
  void to_peer(turn::RelayId relay, const Endpoint& peer, BytesView payload, bool dont_fragment) override;

  // turn_shard_streams.cpp: TCP clients
  Stream& add_stream(Instant now, TransportId id, const turn::ClientPath& path);
  void end_stream(Instant now, TransportId id);
  [[nodiscard]] bool has_room_for(const IpAddress& source) const;
  [[nodiscard]] bool admits(Instant now, const Endpoint& local, const Endpoint& remote) override;
  void handle_accepted(Instant now, TransportId id, const Endpoint& local, const Endpoint& remote) override;
  void handle_dialled(Instant /*now*/, DialId /*id*/, const DialOutcome& /*outcome*/) override {}
  void handle_bytes(Instant now, TransportId id, BytesView bytes) override;
  void handle_eof(Instant now, TransportId id) override;
  void handle_error(Instant now, TransportId id, const Error& error) override;
  [[nodiscard]] std::size_t poll_bytes(Instant now, TransportId id, MutableBytes out) override;
  [[nodiscard]] bool wants_bytes(TransportId id) override;
  [[nodiscard]] bool has_room(TransportId id) const;
  void settle(Instant now) override { finish_wakeup(now); }
  void handle_plaintext(Instant now, TransportId id, Stream& stream, BytesView bytes);
  void drain_tls(Instant now, TransportId id, Stream& stream);
  void seal(Stream& stream);
  void write_stream(TransportId id, BytesView head, BytesView payload, std::size_t padding);
  void flush_stream(TransportId id);
  void forget_stream(Instant now, TransportId id, CloseMode mode);
  void close_idle_streams(Instant now);

  // turn_shard_dtls.cpp: DTLS clients
  [[nodiscard]] bool is_dtls(BytesView datagram) const;
  void handle_dtls(UnixTime wall, const Received& batch);
  void meet_stranger(UnixTime wall, const Received& in, const turn::ClientPath& path);
  void drain_dtls(Instant now, DtlsClients::iterator client);
  void seal_to_client(const turn::ClientPath& path, BytesView head, BytesView payload, std::size_t padding);
  void handle_dtls_timers(Instant now);
  [[nodiscard]] Duration dtls_timer_step() const;

  // Adopted streams have ids of their carrier, which must not be taken for those of our own transports.
  static constexpr std::uint64_t k_adopted = std::uint64_t{1} << 63U;
  [[nodiscard]] static TransportId inner_id(TransportId id) noexcept { return TransportId{id.value | k_adopted}; }
  [[nodiscard]] static TransportId outer_id(TransportId id) noexcept { return TransportId{id.value & ~k_adopted}; }

  Loop& loop_;
  TurnShardOptions options_;
  turn::Server server_;
  UdpReceiver receiver_;
  UdpScatter scatter_;
  std::vector<SocketPointer> listeners_;
  std::vector<Outlet> outlets_;
  std::unordered_map<turn::RelayId, SocketPointer> relays_;
  AcceptLimiter accepts_;
  std::unordered_map<TransportId, Stream> streams_;
  std::map<AcceptLimiter::Prefix, std::set<TransportId>> streams_of_source_;
  std::vector<TransportId> to_flush_;
  std::vector<TransportId> to_close_;
  TlsContexts tls_;
  Rng& rng_;
  crypto::DtlsListener dtls_listener_;
  DtlsClients dtls_clients_;
  Bytes plaintext_;   // of the datagram or record at hand
  Bytes ciphertext_;  // of the one that goes out
  TcpTransports transports_;
  Timer timer_;
  Task on_drained_;  // set while clients are waited for
  std::uint64_t receive_calls_ = 0;
  std::uint64_t lost_stream_full_ = 0;
  std::uint64_t streams_refused_ = 0;
  std::optional<Instant> next_check_;  // of clients that are idle, and of DTLS
  bool is_finishing_ = false;
};

}  // namespace dig::net
