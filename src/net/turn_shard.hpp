// SPDX-License-Identifier: Apache-2.0
// One shard of a TURN server: gives a turn::Server its sockets on one loop. UDP and TCP listeners, one UDP socket for
// each relayed address. Packets pass from a receive to a send without a copy and without an allocation.
//
// Thread-safety: none; everything happens on the thread of the loop. Shards share nothing but the credentials and the
// quotas, which are safe to share.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "crypto/tls_context.hpp"
#include "net/loop.hpp"
#include "net/port_manager.hpp"
#include "net/relay_places.hpp"
#include "net/tcp_transports.hpp"
#include "net/udp_scatter.hpp"
#include "net/udp_socket.hpp"
#include "proto/turn_server/server.hpp"

namespace dig::net {

// With these a port takes TLS and DTLS beside plain TCP and UDP: the first byte tells them apart (RFC 7983 §7).
struct TlsContexts {
  std::shared_ptr<const crypto::TlsContext> stream;
  std::shared_ptr<const crypto::TlsContext> datagram;
};

struct TurnShardOptions {
  turn::ServerConfig server;
  // Where relay sockets are bound: the addresses of this machine behind the relayed addresses that clients are told.
  std::optional<IpAddress> relay_bind_v4;
  std::optional<IpAddress> relay_bind_v6;
  UdpOffload offload;
  std::size_t max_streams = 4096;
  // Of TCP clients of one address prefix (AcceptLimiter::prefix_of) that have no allocation; those that have one are
  // bounded by the quotas.
  std::size_t max_streams_per_source = 32;
  // Of a TCP client that has no allocation: enough for requests for years, not for a flood.
  std::size_t max_bytes_without_allocation = std::size_t{1} << 20U;
  std::size_t max_stream_output = std::size_t{1} << 20U;  // bytes that wait for one TCP client; beyond, data is lost
  std::size_t max_dtls_sessions = 4096;
  std::size_t max_half_open_dtls = 64;
  Duration idle = 30s;  // of a TCP client without an allocation: since its last whole message
  // Told of allocations that come and go; may be empty.
  std::function<void(const turn::ServerEvent&)> on_fact;
};

struct TurnShardStatus {
  turn::Counters counters;
  std::size_t allocations = 0;
  std::uint64_t bytes_relayed = 0;  // see turn::Server
  bool is_volume_used_up = false;
  std::size_t streams = 0;
  std::size_t dtls_sessions = 0;
  std::size_t free_ports = 0;
  UdpScatterStatus sends;
  std::uint64_t receive_calls = 0;
  std::uint64_t lost_stream_full = 0;
  std::uint64_t streams_refused = 0;  // by any of the limits
};

// Carries the bytes of streams that a shard has adopted. The shard calls it from inside its own calls, never from
// poll_stream() or wants_stream_bytes().
class StreamCarrier {
 public:
  virtual ~StreamCarrier() = default;
  // There is something to be polled. The carrier may answer with calls for this stream.
  virtual void flush(TransportId id) = 0;
  // Polls what there is now, without sending it yet: it is one message.
  virtual void take(Instant now, TransportId id) = 0;
  // The shard has let go of the stream.
  virtual void close(TransportId id, CloseMode mode) = 0;
};

class TurnShard {
 public:
  TurnShard(Loop& loop, TurnShardOptions options, const turn::CredentialSource& credentials, turn::QuotaBook& quotas,
            Rng& rng);
  ~TurnShard();
  TurnShard(const TurnShard&) = delete;
  TurnShard& operator=(const TurnShard&) = delete;

  void listen_udp(BoundSocket socket);
  void listen_tcp(BoundSocket socket);
  // For clients that come from now on; those that are there keep theirs.
  void set_tls(const TlsContexts& contexts);
  // A client whose stream somebody else has accepted and carries: what comes and goes here is STUN without TLS around
  // it. `path`: its ends and whether it came by TLS; its `connection` means nothing. False: there are too many. The
  // carrier must outlive the shard or end the stream, and its ids are given to one stream each.
  [[nodiscard]] bool adopt(Instant now, TransportId id, const turn::ClientPath& path, StreamCarrier& carrier);
  void handle_stream_bytes(Instant now, TransportId id, BytesView bytes);
  // It has ended, in whatever way: the id is forgotten.
  void handle_stream_closed(Instant now, TransportId id);
  [[nodiscard]] std::size_t poll_stream(Instant now, TransportId id, MutableBytes out);
  [[nodiscard]] bool wants_stream_bytes(TransportId id) const;

  // The same for datagrams that somebody else has received. What is sent to clients of `local` (an address that may be
  // unspecified, a port) leaves by `fd`, which must outlive the shard. A batch stays where it is until settle().
  void share_udp(int fd, const Endpoint& local);
  void handle_datagrams(UnixTime wall, const Received& in);
  [[nodiscard]] bool has_udp_allocation(const Endpoint& local, const Endpoint& remote) const;
  [[nodiscard]] bool is_channel_bound(Instant now, const Endpoint& local, const Endpoint& remote,
                                      std::uint16_t channel) const;

  // The end of a wake-up in which any of these was called.
  void settle(Instant now);

  // See turn::Server::drain. `on_drained` is called once, when the last allocation has ended or there is none.
  void drain(const std::optional<Endpoint>& alternate, Task on_drained);
  // As turn::Server has them.
  void set_volume_left(std::optional<std::uint64_t> bytes);
  void set_relay_addresses(std::optional<IpAddress> v4, std::optional<IpAddress> v6);
  // The same with where relay sockets are bound from now on. A family that had no relay address when the shard was made
  // has no relay ports, and stays without.
  void set_relay_places(const std::optional<RelayPlace>& v4, const std::optional<RelayPlace>& v6);
  void set_own_addresses(std::vector<IpAddress> addresses);
  [[nodiscard]] TurnShardStatus snapshot() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
