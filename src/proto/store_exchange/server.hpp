// SPDX-License-Identifier: Apache-2.0
// The holder's side of /dignet/store/1.0.0 on one stream: reads pipelined requests, asks its owner for what they need,
// and writes the answers in the order of the requests. Reads ahead of a slow peer by a few chunks and no further.
//
// The owner answers each Want… event by its token, in any order, at any time. A token whose stream is gone is ignored.
// Bulk data leaves without a copy in here: write `output()` to the stream, then call handle_written() with what it
// took.
#pragma once

#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "base/frame_reader.hpp"
#include "base/machine.hpp"
#include "base/result.hpp"
#include "base/strong_id.hpp"
#include "proto/store_exchange/buffer_pool.hpp"
#include "wire/hash256.hpp"
#include "wire/store_message.hpp"

namespace dig::exchange {

using ServerToken = StrongId<struct ServerTokenTag>;

struct WantHave {
  ServerToken token;
  StoreId store;
  std::optional<RootHash> root;  // absent: the newest version
};
struct WantManifest {
  ServerToken token;
  StoreId store;
  std::optional<RootHash> root;
};
struct WantChunk {
  ServerToken token;
  StoreId store;
  RootHash root;
  std::uint64_t index = 0;
};
// Always the last event. Without an error: finish() the stream, the peer got everything it asked for. With one: what
// was to be sent is sent, reset the stream.
struct ServerFinished {
  std::optional<Error> error;
};
using ServerEvent = std::variant<WantHave, WantManifest, WantChunk, ServerFinished>;

struct ChunkData {
  Bytes data;  // best taken from the pool, which gets it back when it was sent
  std::vector<Hash256> proof;
};

struct ServerStatus {
  std::size_t requests_queued = 0;
  std::size_t answers_in_flight = 0;  // asked of the owner or not yet written out
  std::uint64_t requests_served = 0;
  std::uint64_t chunks_served = 0;
  std::uint64_t bytes_sent = 0;
  bool is_finished = false;
};

class ExchangeServer {
 public:
  using Event = ServerEvent;
  struct Limits {
    std::size_t max_requests = 16;       // read and not yet fully answered; more wait in the stream's window
    std::size_t max_answers_ahead = 4;   // asked of the owner or unsent: 1 MiB of chunks
    std::size_t max_unread = 64 * 1024;  // bytes taken from the stream behind the last queued request
    Duration idle = 60s;                 // without a complete request
    // While output waits the peer takes at least this much in this time (1 KiB/s), or loses its place.
    std::size_t min_progress = 64 * 1024;
    Duration progress_period = 60s;
  };

  // `pool` must outlive the machine.
  ExchangeServer(Instant now, BufferPool& pool, Limits limits);
  ExchangeServer(Instant now, BufferPool& pool) : ExchangeServer(now, pool, Limits{}) {}

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  // False while enough requests wait: stop reading from the stream.
  [[nodiscard]] bool wants_bytes() const;
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::optional<Event> poll_event();

  // Without a copy: the next bytes to write (empty: nothing now), valid until the next call of another function.
  [[nodiscard]] BytesView output() const;
  void handle_written(Instant now, std::size_t size);
  // The same with a copy.
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);

  // An error is told to the peer: store_not_found as NOT_FOUND, limit_reached as BUSY, any other as FAILED.
  void answer_have(Instant now, ServerToken token, Result<HaveResponse> answer);
  // An encoded SignedManifest.
  void answer_manifest(Instant now, ServerToken token, Result<Bytes> answer);
  void answer_chunk(Instant now, ServerToken token, Result<ChunkData> answer);

  // Since when there has been nothing to answer; absent while there is.
  [[nodiscard]] std::optional<Instant> idle_since() const {
    return open_requests_ == 0 ? std::optional(last_activity_) : std::nullopt;
  }
  [[nodiscard]] ServerStatus snapshot() const;

 private:
  // A request of which something is still to be asked of the owner.
  struct Request {
    std::uint64_t serial = 0;
    StoreRequest message;
    std::uint64_t next = 0;  // chunk requests: the next index, and how many from there
    std::uint64_t left = 1;
    bool is_malformed = false;  // not understood: answered as such, and the last
  };
  // One response, in the order of output.
  struct Answer {
    ServerToken token;
    std::uint64_t index = 0;    // of a chunk
    std::uint64_t request = 0;  // its serial
    bool is_last = false;       // of its request
    bool is_ready = false;      // answered by the owner
    bool is_discarded = false;  // an earlier chunk of its request failed
    Bytes head;                 // the framed message
    Bytes data;                 // the raw chunk behind it
  };

  [[nodiscard]] std::size_t parse(Instant now, BytesView bytes);
  void accept(Instant now, StoreRequest request);
  void refuse_input(Error error);
  void issue_answers();
  void issue_one(Request& request);
  [[nodiscard]] Answer* find_answer(ServerToken token);
  void answer_with(Answer& answer, const StoreResponse& response);
  void answer_error(Answer& answer, const Error& error);
  // Everything that follows from a change: forget what is sent, parse and issue what now has room, see whether it ends.
  void advance(Instant now);
  [[nodiscard]] bool drop_finished_answers();
  void keep(BytesView bytes);
  void read_backlog(Instant now);
  void end(std::optional<Error> error);
  [[nodiscard]] bool has_output() const;

  BufferPool& pool_;
  Limits limits_;
  FrameReader frames_;
  Bytes backlog_;  // read from the stream, not parsed because enough requests are queued
  std::size_t backlog_start_ = 0;
  std::deque<Request> requests_;
  std::deque<Answer> answers_;
  std::size_t sent_ = 0;  // of the first answer, head and data
  std::deque<Event> events_;
  std::size_t open_requests_ = 0;
  std::uint64_t next_serial_ = 0;
  std::uint64_t next_token_ = 0;
  Instant last_activity_;
  std::optional<Instant> period_start_;  // output has been waiting since then, or since the peer last made progress
  std::size_t period_bytes_ = 0;         // taken since
  bool is_eof_ = false;
  bool is_reading_ = true;  // false after input that cannot be understood
  std::optional<Error> final_error_;
  ServerStatus status_;
};

}  // namespace dig::exchange
