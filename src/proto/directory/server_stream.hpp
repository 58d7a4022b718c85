// SPDX-License-Identifier: Apache-2.0
// The server's side of /dignet/directory/1.0.0 on one stream: reads pipelined requests, has the directory answer them,
// and writes the answers in the order of the requests. A look-up is made when its answer has room, so that a peer that
// asks and does not read costs no more than one answer.
#pragma once

#include <deque>
#include <optional>

#include "base/byte_fifo.hpp"
#include "base/frame_reader.hpp"
#include "base/machine.hpp"
#include "base/token_bucket.hpp"
#include "proto/directory/server.hpp"
#include "wire/directory_message.hpp"

namespace dig::directory {

// Always the last event. Without an error: finish() the stream, the peer got everything it asked for. With one: reset
// the stream.
struct ServerStreamFinished {
  std::optional<Error> error;
};

struct ServerStreamStatus {
  std::size_t requests_waiting = 0;
  std::size_t output_bytes = 0;
  std::uint64_t requests_served = 0;
  bool is_finished = false;
};

class DirectoryServerStream {
 public:
  using Event = ServerStreamFinished;
  struct Limits {
    std::size_t max_requests = 8;                     // read and not yet answered; more wait in the stream's window
    std::size_t max_output = std::size_t{64} * 1024;  // unsent answers beyond which no look-up is made
    std::size_t max_unread = std::size_t{64} * 1024;  // bytes taken from the stream behind the last queued request
    TokenBucket::Rate envelopes{.per_second = 16, .burst = std::uint64_t{2} * NodeRecord::max_pages};
    Duration idle = 60s;  // without a complete request
    // While output waits the peer takes at least this much in this time (1 KiB/s), or loses its place.
    std::size_t min_progress = std::size_t{64} * 1024;
    Duration progress_period = 60s;
  };

  // `id`: of this stream among those of the server. The server must outlive the machine.
  DirectoryServerStream(Instant now, DirectoryServer& server, std::uint64_t id, Registrant registrant, Limits limits);
  DirectoryServerStream(Instant now, DirectoryServer& server, std::uint64_t id, Registrant registrant)
      : DirectoryServerStream(now, server, id, std::move(registrant), Limits{}) {}

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  // An event of the server with this stream's id.
  void handle_acknowledged(Instant now, const Acknowledged& acknowledged);
  // False while enough requests wait: stop reading from the stream.
  [[nodiscard]] bool wants_bytes() const;

  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] ServerStreamStatus snapshot() const;

 private:
  // One request, in order: a look-up to be made, or its answer, or neither while the disk works on it.
  struct Slot {
    std::uint64_t number = 0;
    std::optional<DirectoryRequest> look_up;
    std::optional<DirectoryResponse> response;
  };

  void advance(Instant now);
  [[nodiscard]] bool read_requests(Instant now);
  [[nodiscard]] bool write_answers();
  void accept(Instant now, DirectoryRequest request);
  void refuse_input(const Error& error);
  [[nodiscard]] Result<void> register_envelopes(Instant now, RegistrationId id, std::span<const Bytes> envelopes);
  [[nodiscard]] FoundRecords look_up(const DirectoryRequest& request);
  [[nodiscard]] bool has_work() const { return !slots_.empty() || !output_.empty(); }
  void end(std::optional<Error> error);

  DirectoryServer& server_;
  std::uint64_t id_;
  Registrant registrant_;
  Limits limits_;
  FrameReader frames_;
  Bytes unread_;
  std::deque<Slot> slots_;
  ByteFifo output_;
  TokenBucket envelopes_;
  std::uint64_t next_number_ = 0;
  Instant last_activity_;
  std::optional<Instant> period_start_;  // output has been waiting since then, or since the peer last made progress
  std::size_t period_bytes_ = 0;         // taken since
  bool is_eof_ = false;
  std::optional<Error> input_error_;  // nothing is read after it
  bool is_finished_ = false;
  std::optional<Event> event_;
  std::uint64_t requests_served_ = 0;
};

}  // namespace dig::directory
