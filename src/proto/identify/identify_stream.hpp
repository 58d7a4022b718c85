// SPDX-License-Identifier: Apache-2.0
// identify 1.0.0 and identify push 1.0.0 (libp2p identify spec), one stream each: the side that tells sends its message
// and finishes, the other reads to the end. For identify the listener tells, for push the dialler does.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "base/frame_reader.hpp"
#include "base/result.hpp"
#include "wire/identify_message.hpp"
#include "wire/peer_id.hpp"

namespace dig::identify {

inline constexpr std::string_view k_protocol = "/ipfs/id/1.0.0";
inline constexpr std::string_view k_push_protocol = "/ipfs/id/push/1.0.0";

class Sender {
 public:
  explicit Sender(const Identify& own);

  [[nodiscard]] std::size_t poll_bytes(MutableBytes out);
  // Everything was handed out: finish the write half.
  [[nodiscard]] bool is_done() const noexcept { return sent_ == output_.size(); }

 private:
  Bytes output_;
  std::size_t sent_ = 0;
};

struct ReaderLimits {
  std::size_t messages = 10;  // a peer may split its message; the parts are merged
  std::size_t total_bytes = Identify::max_encoded_size;
};

struct ReaderStatus {
  std::size_t messages = 0;
  std::size_t buffered_bytes = 0;
  bool is_over = false;
};

class Reader {
 public:
  // `peer`: whom the connection proved to be there. A message with the key of somebody else is refused.
  explicit Reader(const PeerId& peer, const ReaderLimits& limits = {});

  void handle_bytes(BytesView bytes);
  void handle_eof();

  // Absent until the end of the stream or the first error: oversized, truncated, malformed, flood, peer_id_mismatch.
  // After an error the owner resets the stream.
  [[nodiscard]] const std::optional<Result<Identify>>& result() const noexcept { return result_; }
  [[nodiscard]] ReaderStatus snapshot() const noexcept;

 private:
  Result<void> accept(BytesView message);
  Result<Identify> finish() const;

  PeerId peer_;
  ReaderLimits limits_;
  FrameReader frames_;
  Bytes merged_;
  std::size_t messages_ = 0;
  std::optional<Result<Identify>> result_;
};

}  // namespace dig::identify
