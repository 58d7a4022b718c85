// SPDX-License-Identifier: Apache-2.0
// One WebSocket that carries a stream of bytes, as libp2p uses it (/ws), as a StreamMachine (base/machine.hpp): frames
// on the side of the transport, bytes on the side of the owner, just as crypto/tls_session.hpp has it. RFC 6455, both
// ends.
//
// Where a message begins and ends means nothing here: what binary messages carry is handed on as it comes, so nothing
// is allocated for a length that was only announced. Text is refused. Pings are answered, the last one if several wait
// (RFC 6455 §5.5.3). A half-closed WebSocket does not exist: when the peer closes, what was not sent yet is dropped.
//
// What waits is bounded on both sides:
//  - When max_input waits to be read, wants_bytes() turns false; whoever goes on regardless for max_input_excess ends
//    the session.
//  - write() takes no more while max_output waits, and says Writable when half of it is gone.
// Events are edge-triggered: Readable comes when the input turns from empty to readable (read() gave less than it had
// room for since the last one). Closed comes last: after a failure or close() at once, after the end of the peer when
// everything before it was read.
#pragma once

#include <array>
#include <optional>
#include <variant>

#include "base/byte_fifo.hpp"
#include "base/machine.hpp"
#include "proto/websocket/handshake.hpp"
#include "wire/websocket_frame.hpp"

namespace dig::websocket {

struct Established {};  // always the first event, unless the handshake fails
struct Readable {};
struct Writable {};  // after a write() that took less than it was given
struct Closed {
  Error error;            // connection_closed after an end of the peer or close()
  bool is_clean = false;  // one side said that it is done; else bytes of the peer may be missing
};
using SessionEvent = std::variant<Established, Readable, Writable, Closed>;

struct ReadResult {
  std::size_t size = 0;
  bool is_end = false;  // the peer has closed, and everything was read
};

struct Limits {
  std::size_t max_input = std::size_t{64} * 1024;
  std::size_t max_input_excess = std::size_t{256} * 1024;  // what a transport may have read before wants_bytes()
  std::size_t max_output = std::size_t{64} * 1024;
  std::uint64_t max_message = std::uint64_t{16} << 20U;  // and so of one frame
  Duration handshake_timeout = std::chrono::seconds{10};
  http::HeadLimits head;  // of the server's answer
};

struct SessionStatus {
  bool is_established = false;
  bool is_closed = false;
  std::size_t input_waiting = 0;
  std::size_t output_waiting = 0;  // without headers
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t pings_received = 0;
};

class Session {
 public:
  using Event = SessionEvent;

  // The client; the request is there to be sent at once. `rng` must outlive the session: every frame is masked anew.
  [[nodiscard]] static Session connect(Instant now, std::string_view host, Rng& rng, const Limits& limits = {});
  // The server, once it has read a request; what came behind its head goes to handle_bytes().
  [[nodiscard]] static std::expected<Session, http::Refusal> accept(const http::RequestHead& request,
                                                                    const Limits& limits = {});

  // The side of the transport. After Closed, poll_bytes still gives what is to be sent.
  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] bool wants_bytes() const noexcept;
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept;

  // The side of the owner.
  [[nodiscard]] std::optional<Event> poll_event();
  // Takes what fits and returns how much; 0 before the handshake is over, too: wait for Writable. connection_closed.
  [[nodiscard]] Result<std::size_t> write(BytesView bytes);
  // {0, false}: wait for Readable. What arrived before a failure or an end can be read first; then the error comes.
  [[nodiscard]] Result<ReadResult> read(MutableBytes out);
  // Sends what was written and a closing frame. What the peer still says is of no interest any more.
  void close();

  [[nodiscard]] SessionStatus snapshot() const noexcept;

 private:
  enum class Phase : std::uint8_t {
    connecting,  // the client waits for the answer
    open,
    peer_closed,  // it has said everything; not all of it was read
    over,         // Closed was told or waits to be
  };
  // RFC 6455 §7.4.1.
  enum class CloseCode : std::uint16_t { normal = 1000, protocol_error = 1002, unsupported = 1003, too_big = 1009 };

  Session(bool is_client, const Limits& limits) : limits_(limits), is_client_(is_client), head_(limits.head.bytes) {}

  // What comes in.
  [[nodiscard]] BytesView take_answer(BytesView bytes);
  [[nodiscard]] BytesView take_header(BytesView bytes);
  [[nodiscard]] BytesView take_payload(BytesView bytes);
  void begin_frame(const WebsocketHeader& header);
  void end_frame();
  void handle_close_frame();
  void fail_with(CloseCode code, Error error);
  void end(Closed closed);

  // What goes out.
  [[nodiscard]] bool start_next_frame();
  void start_frame(WebsocketOpcode opcode, std::size_t payload_size);
  void append_control(WebsocketOpcode opcode, BytesView payload);

  Limits limits_;
  bool is_client_;
  Rng* rng_ = nullptr;  // of a client
  Phase phase_ = Phase::open;
  Instant deadline_{};  // of the handshake
  std::string key_;
  http::HeadCollector head_;

  std::array<std::byte, WebsocketHeader::max_size> header_{};  // of a frame whose header is not complete
  std::size_t header_size_ = 0;
  std::optional<WebsocketHeader> frame_;  // whose payload is coming
  std::uint64_t frame_received_ = 0;      // of its payload
  bool is_in_message_ = false;
  bool is_ended_ = false;           // by a closing frame of the peer
  std::uint64_t message_size_ = 0;  // as far as its frames were announced
  Bytes control_;                   // the payload of a control frame
  ByteFifo input_;

  ByteFifo wire_;               // the handshake, headers, control frames
  ByteFifo output_;             // bytes of the owner
  std::size_t frame_left_ = 0;  // of output_, in the frame that is being sent
  std::uint64_t frame_sent_ = 0;
  std::optional<WebsocketMask> mask_;
  std::optional<Bytes> pong_;
  std::optional<CloseCode> close_code_;  // a closing frame is to be sent
  bool is_close_sent_ = false;
  bool is_cut_ = false;  // the closing frame comes before the bytes that still wait

  bool tells_established_ = false;
  bool tells_readable_ = false;
  bool tells_writable_ = false;
  bool is_armed_ = true;     // for Readable
  bool is_waiting_ = false;  // for Writable
  std::optional<Closed> closed_;
  bool is_closed_told_ = false;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t pings_received_ = 0;
};

}  // namespace dig::websocket
