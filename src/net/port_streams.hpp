// SPDX-License-Identifier: Apache-2.0
// The one TCP port (design §9), between the sockets and those who speak on them: finds out what a connection speaks,
// takes TLS and WebSocket off it, and hands libp2p to the owner, STUN and TURN to a shard, requests for pages to a
// callback. Bare libp2p passes through as it comes once it is known. Puts the same layers on what is dialled.
//
// Whoever has not said yet what he speaks counts as half open with the owner, which bounds how many there are, of one
// source and in all; one_port::ServerStream bounds how long.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/rng.hpp"
#include "crypto/tls_context.hpp"
#include "net/tcp_transports.hpp"
#include "net/turn_shard.hpp"
#include "proto/http/request_head.hpp"
#include "proto/one_port/server_stream.hpp"
#include "wire/multiaddr.hpp"

namespace dig::net {

// Who speaks libp2p. Whoever it admits is answered for by one handle_accepted or handle_not_libp2p.
class PortOwner : public ConnectionOwner {
 public:
  virtual void handle_accepted(Instant now, TransportId id, const Endpoint& local, const Endpoint& remote,
                               Multiaddr::Carrier carrier) = 0;
  virtual void handle_not_libp2p(Instant now, const Endpoint& remote) = 0;
};

struct PageAnswer {
  std::uint16_t status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};
// Answers a GET or HEAD whose Host is one of ours. Called on the loop: it must not block.
using PageSource = std::function<PageAnswer(const http::RequestHead& request)>;

struct StreamDial {
  DialId id;
  Endpoint remote;
  Multiaddr::Carrier carrier = Multiaddr::Carrier::plain;
  std::string tls_name{};           // of secure_websocket, see Multiaddr::StreamTarget
  std::string http_host{};          // of either WebSocket
  PeerId peer{};                    // whom a certificate without an authority must name
  bool is_from_fresh_port = false;  // otherwise from the listening port where that can be
};

struct PortStreamsStatus {
  TcpTransportsStatus tcp;
  std::size_t unidentified = 0;  // those that have not said what they speak
  std::size_t layered = 0;       // with TLS, a WebSocket or both around them
  // Identified so far.
  std::uint64_t libp2p = 0;
  std::uint64_t stun = 0;
  std::uint64_t pages = 0;
  std::uint64_t misdirected = 0;  // pages that were asked for under a foreign name (421)
  // Connections that ended before it was known what they speak: where they stood ("first bytes", "TLS", "HTTP", …) and
  // why.
  struct Refused {
    std::string_view phase;
    Errc reason = Errc::internal;
    std::uint64_t count = 0;
  };
  std::vector<Refused> refused;
};

class PortStreams final : private TransportOwner, private StreamCarrier {
 public:
  struct Limits {
    TcpTransports::Limits tcp;
    one_port::ServerStreamLimits server;
    Duration page_timeout = 30s;  // until a page is taken by who asked for it
    Duration linger = 6s;         // longer than that of the transports
  };

  // `owner` and `rng` must outlive it.
  PortStreams(Loop& loop, PortOwner& owner, Rng& rng, const Limits& limits);
  ~PortStreams() override;

  // For connections that come from now on; without it, TLS is refused.
  void set_tls(std::shared_ptr<const crypto::TlsContext> context) { tls_ = std::move(context); }
  // Where STUN goes; it must outlive the streams. Without it, STUN is refused.
  void set_turn(TurnShard* shard) { turn_ = shard; }
  // PEM of authorities that are trusted beside those of the system, for what is dialled from now on.
  void set_authorities(std::string pem) { more_authorities_ = std::move(pem); }
  void set_pages(PageSource pages) { pages_ = std::move(pages); }
  // What a page may be asked for as, besides the address that was connected to and "localhost": names in lower case,
  // addresses as text. Everything else is answered with 421, so that no web page can make a browser read ours under a
  // name of its own (DNS rebinding).
  void set_hosts(std::set<std::string> hosts) { hosts_ = std::move(hosts); }

  ListenerId listen(BoundSocket socket) { return transports_.listen(std::move(socket)); }
  [[nodiscard]] std::vector<Endpoint> listening() const { return transports_.listening(); }
  // Answered by one handle_dialled, once the layers stand.
  void dial(const StreamDial& wanted);
  void cancel_dial(DialId id);
  void flush(TransportId id) override;
  void close(TransportId id, CloseMode mode) override;
  // See TcpTransports::drain. What is not libp2p ends at once.
  void drain(Duration limit, Task done);
  [[nodiscard]] PortStreamsStatus snapshot() const;

 private:
  enum class Role : std::uint8_t { unknown, libp2p, stun, page, dialling };
  using Machine = std::variant<one_port::ServerStream, one_port::StreamLayers>;
  // A connection that does not pass through as it is.
  struct Stream {
    Role role = Role::unknown;
    Endpoint local;
    Endpoint remote;
    std::unique_ptr<Machine> machine;  // absent: bare STUN
    Bytes pending;                     // from whoever writes; the machine had no room for it, or it came before an end
    Bytes page;
    std::size_t page_sent = 0;
    std::optional<DialOutcome> dialled;  // while the layers are made
    DialId dial;
    std::optional<Instant> deadline;   // of ours
    std::optional<Instant> scheduled;  // in schedule_
    bool is_closing = false;           // its owner has let go of it
    bool is_finished = false;          // the machine knows that nothing is written any more
  };
  using Streams = std::unordered_map<TransportId, Stream>;

  // TransportOwner
  [[nodiscard]] bool admits(Instant now, const Endpoint& local, const Endpoint& remote) override;
  void handle_accepted(Instant now, TransportId id, const Endpoint& local, const Endpoint& remote) override;
  void handle_dialled(Instant now, DialId id, const DialOutcome& outcome) override;
  void handle_bytes(Instant now, TransportId id, BytesView bytes) override;
  void handle_eof(Instant now, TransportId id) override;
  void handle_error(Instant now, TransportId id, const Error& error) override;
  [[nodiscard]] std::size_t poll_bytes(Instant now, TransportId id, MutableBytes out) override;
  [[nodiscard]] bool wants_bytes(TransportId id) override;
  void settle(Instant now) override;
  // StreamCarrier, besides flush() and close().
  void take(Instant now, TransportId id) override;

  void service(Instant now, TransportId id);
  // What a machine tells and what it has read. Afterwards the stream may be gone.
  void pump(Instant now, TransportId id);
  // Each of these returns whether the stream is still there and pump() goes on with it.
  bool handle_event(Instant now, TransportId id, Stream& stream, one_port::ServerStream::Event& event);
  bool handle_event(Instant now, TransportId id, Stream& stream, one_port::StreamLayers::Event& event);
  bool identify(Instant now, TransportId id, Stream& stream, const one_port::Identified& what);
  bool begin_libp2p(Instant now, TransportId id, Stream& stream, const one_port::Identified& what);
  bool begin_stun(Instant now, TransportId id, Stream& stream, bool is_tls);
  bool begin_page(Instant now, TransportId id, Stream& stream, const http::RequestHead& request);
  bool write_page(Instant now, TransportId id, Stream& stream);
  [[nodiscard]] static bool is_writing_page(const Stream& stream) noexcept {
    return stream.role == Role::page && !stream.is_closing;
  }
  void end(Instant now, TransportId id, Stream& stream, const Error& why);
  // Plaintext to whoever reads it; whether there was any.
  bool deliver(Instant now, TransportId id);
  void pass_through(Instant now, TransportId id, Machine& machine);
  void hand_on(Instant now, TransportId id, const Stream& stream, BytesView bytes);

  // Moves what whoever writes has into the machine, as far as it has room.
  void fill(Instant now, TransportId id, Stream& stream);
  [[nodiscard]] std::size_t poll_source(Instant now, TransportId id, Stream& stream, MutableBytes out);
  [[nodiscard]] std::size_t poll_bare(Instant now, TransportId id, Stream& stream, MutableBytes out);
  // The shard is about to let go of the stream, and of the answers that wait in it.
  void take_answers(Instant now, TransportId id, Stream& stream);
  [[nodiscard]] std::size_t poll_machine(Instant now, TransportId id, Stream& stream, MutableBytes out);

  [[nodiscard]] Result<std::unique_ptr<Machine>> make_layers(Instant now, const StreamDial& wanted);
  [[nodiscard]] Result<crypto::TlsSession> make_tls(Instant now, const StreamDial& wanted);
  [[nodiscard]] bool is_ours(const std::string& host, const Stream& stream) const;
  void count_refusal(const Stream& stream, Errc reason);
  void leave(Instant now, TransportId id, Stream& stream);
  void forget(TransportId id);
  void reschedule(TransportId id, Stream& stream);
  void set_timer();
  void handle_timer(Instant now);

  PortOwner& owner_;
  Rng& rng_;
  Limits limits_;
  std::shared_ptr<const crypto::TlsContext> tls_;
  std::shared_ptr<const crypto::TlsContext> client_tls_;  // made with the first dial that needs it
  std::string more_authorities_;
  std::optional<crypto::TlsTrust> authorities_;  // the same
  TurnShard* turn_ = nullptr;
  PageSource pages_;
  std::set<std::string> hosts_;
  Streams streams_;
  std::map<DialId, StreamDial> dials_;  // with layers, until they are connected
  std::set<std::pair<Instant, TransportId>> schedule_;
  std::unordered_set<TransportId> touched_;
  bool is_turn_touched_ = false;
  std::unique_ptr<std::byte[]> read_buffer_;
  std::unique_ptr<std::byte[]> write_buffer_;
  std::map<std::pair<std::string_view, Errc>, std::uint64_t> refused_;
  PortStreamsStatus counters_;
  TcpTransports transports_;
  Timer timer_;
};

}  // namespace dig::net
