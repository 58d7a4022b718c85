// SPDX-License-Identifier: Apache-2.0
// multistream-select 1.0: agrees with the peer on the protocol of a connection phase or of a stream.
//
// The dialler proposes its protocols in order of preference; a listener takes the first proposal that it supports. A
// dialler of a single protocol may send its data right behind the proposal (lazily) and learns of a refusal later.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/frame_reader.hpp"
#include "base/result.hpp"

namespace dig::multistream {

struct Limits {
  std::size_t messages = 16;  // that the peer may send behind its header: proposals, refusals, `ls`
};

struct NegotiatorStatus {
  bool is_over = false;
  std::size_t messages_received = 0;
  std::size_t buffered_bytes = 0;
};

class Negotiator {
 public:
  // At least one protocol, each a valid multistream line (see wire/multistream_message.hpp).
  [[nodiscard]] static Negotiator dial(std::vector<std::string> protocols, const Limits& limits = {});
  // Says nothing before the dialler did, so that one port can serve several protocols.
  [[nodiscard]] static Negotiator listen(std::vector<std::string> supported, const Limits& limits = {});

  // Returns how many bytes it consumed: never one behind the last message of the negotiation.
  [[nodiscard]] std::size_t handle_bytes(BytesView bytes);
  void handle_eof();
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out);
  [[nodiscard]] bool has_output() const noexcept { return output_sent_ < output_.size(); }

  // The agreed protocol; or protocol_not_supported, protocol_violation, flood, connection_closed. Absent: not over.
  [[nodiscard]] const std::optional<Result<std::string>>& result() const noexcept { return result_; }
  [[nodiscard]] NegotiatorStatus snapshot() const noexcept;

 private:
  Negotiator(bool is_dialler, std::vector<std::string> protocols, const Limits& limits);

  Result<void> handle_frame(BytesView frame);
  Result<void> handle_answer(std::string_view line);
  Result<void> handle_proposal(std::string_view line);
  Result<void> propose_next();

  bool is_dialler_;
  bool has_peer_header_ = false;
  Limits limits_;
  std::vector<std::string> protocols_;
  std::size_t next_proposal_ = 0;
  std::size_t messages_received_ = 0;
  FrameReader input_;
  Bytes output_;
  std::size_t output_sent_ = 0;
  std::optional<Result<std::string>> result_;
};

}  // namespace dig::multistream
