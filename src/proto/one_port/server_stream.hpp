// SPDX-License-Identifier: Apache-2.0
// One connection that was accepted on the one port (design §9), as a StreamMachine: finds out what it speaks, takes TLS
// and WebSocket off it, and hands on what is inside. What is not spoken here is refused by name, and whoever does not
// say what he speaks in time is not waited for.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <variant>

#include "proto/http/request_head.hpp"
#include "proto/one_port/stream_layers.hpp"
#include "proto/one_port/stream_sniffer.hpp"

namespace dig::one_port {

enum class Application : std::uint8_t {
  libp2p,  // bare, or in a WebSocket: multistream-select comes first
  stun,    // and TURN
  page,    // of HTTP: write the answer (http::append_page), then close()
};

// Always the first event, unless the connection ends before.
struct Identified {
  Application application = Application::libp2p;
  bool is_tls = false;
  bool is_websocket = false;
  std::optional<http::RequestHead> request{};  // of a page; its host is still to be checked
};

struct ServerStreamLimits {
  Duration timeout = std::chrono::seconds{15};  // until it is identified
  PlainStream::Limits plain{};
  crypto::TlsLimits tls{};
  http::HeadLimits head{};
  websocket::Limits websocket{};
};

struct ServerStreamStatus {
  std::string_view phase;  // "first bytes", "TLS", "first bytes inside TLS", "HTTP", "open", "over"
  bool is_tls = false;
  std::string_view ended_in{};  // the phase in which it ended
};

class ServerStream {
 public:
  using Event = std::variant<Identified, Readable, Writable, Closed>;

  // `tls`: for connections that begin with it; without one they are refused. `wall`: for certificates of clients.
  ServerStream(std::shared_ptr<const crypto::TlsContext> tls, Instant now, UnixTime wall,
               const ServerStreamLimits& limits = {});

  // The side of the transport. After Closed, poll_bytes still gives what is to be sent.
  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] bool wants_bytes() const;
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  // The side of the owner, from Identified on, as crypto/tls_session.hpp has it.
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] Result<std::size_t> write(BytesView bytes);
  [[nodiscard]] Result<ReadResult> read(Instant now, MutableBytes out);
  void close(Instant now);

  [[nodiscard]] ServerStreamStatus snapshot() const noexcept;

 private:
  enum class Phase : std::uint8_t { first_bytes, tls, first_bytes_inside, http, open, over };

  // Goes on until bytes are missing or it is known what is spoken. The steps say whether there may be more to do.
  void advance(Instant now);
  [[nodiscard]] bool sniff(Instant now);
  [[nodiscard]] bool look_inside(Instant now);
  [[nodiscard]] bool read_request(Instant now);
  void begin(Instant now, StreamKind kind);
  void begin_tls(Instant now);
  void answer_request(Instant now, const std::expected<http::RequestHead, http::Refusal>& request);
  void identify(Identified what);
  void refuse(Instant now, Error why);
  void refuse(Instant now, const http::Refusal& refusal);
  void end(Closed closed);

  std::shared_ptr<const crypto::TlsContext> tls_;
  UnixTime wall_;
  ServerStreamLimits limits_;
  Instant deadline_;
  Phase phase_ = Phase::first_bytes;
  Phase ended_in_ = Phase::over;
  StreamLayers layers_;
  std::optional<StreamSniffer> sniffer_;
  std::optional<http::RequestReader> reader_;
  std::optional<Identified> identified_;  // waits to be told
  std::optional<Closed> closed_;          // the same
};

}  // namespace dig::one_port
