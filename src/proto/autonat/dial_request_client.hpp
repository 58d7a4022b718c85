// SPDX-License-Identifier: Apache-2.0
// The client's side of a dial-request stream of AutoNAT v2 (autonat/autonat-v2.md, AutoNAT V2 Protocol): sends a
// request, pays with dial data if it is asked for no more than it may, and takes the response. What the server says is
// not believed here: ReachabilityProber compares it with what arrived.
#pragma once

#include <cstdint>
#include <optional>

#include "base/byte_fifo.hpp"
#include "base/frame_reader.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "wire/autonat_message.hpp"

namespace dig::autonat {

struct DialRequestClientStatus {
  std::uint64_t dial_data_sent = 0;
  std::size_t buffered_bytes = 0;
};

class DialRequestClient {
 public:
  struct Limits {
    Duration timeout = 20s;  // a server has 15 s, and the messages need their time
  };

  // `max_dial_data`: how many bytes may be sent at most.
  DialRequestClient(Instant now, const DialRequest& request, std::uint64_t max_dial_data, const Limits& limits);
  DialRequestClient(Instant now, const DialRequest& request, std::uint64_t max_dial_data)
      : DialRequestClient(now, request, max_dial_data, Limits()) {}

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out);
  [[nodiscard]] std::optional<Instant> next_timeout() const {
    return result_ ? std::nullopt : std::optional(deadline_);
  }

  // Absent until the end. With a value: finish() the stream; with an error (limit_reached: the server wants more dial
  // data than it may have): reset it.
  [[nodiscard]] const std::optional<Result<DialResponse>>& result() const noexcept { return result_; }
  [[nodiscard]] DialRequestClientStatus snapshot() const;

 private:
  [[nodiscard]] Result<void> handle_message(const Message& message);
  [[nodiscard]] Result<void> handle_data_request(const DialDataRequest& request);
  [[nodiscard]] Result<void> handle_response(const DialResponse& response);
  void send(const Message& message);
  void end(Result<DialResponse> result);

  Instant deadline_;
  std::size_t addresses_;
  std::uint64_t max_dial_data_;
  FrameReader frames_{k_max_message};
  ByteFifo output_;
  bool is_data_asked_ = false;
  std::uint64_t data_left_ = 0;
  std::uint64_t data_sent_ = 0;
  std::optional<Result<DialResponse>> result_;
};

}  // namespace dig::autonat
