// SPDX-License-Identifier: Apache-2.0
#include "proto/identify/identify_stream.hpp"

#include <algorithm>

namespace dig::identify {

Sender::Sender(const Identify& own) { append_frame(output_, own.encode()); }

std::size_t Sender::poll_bytes(MutableBytes out) {
  const BytesView rest = BytesView(output_).subspan(sent_);
  const std::size_t size = std::min(rest.size(), out.size());
  std::copy_n(rest.begin(), size, out.begin());
  sent_ += size;
  return size;
}

Reader::Reader(const PeerId& peer, const ReaderLimits& limits)
    : peer_(peer), limits_(limits), frames_(limits.total_bytes) {}

void Reader::handle_bytes(BytesView bytes) {
  while (!result_ && !bytes.empty()) {
    const auto taken = frames_.feed(bytes);
    if (!taken) {
      result_ = std::unexpected(taken.error());
      return;
    }
    bytes = bytes.subspan(*taken);
    const auto message = frames_.take_frame();
    if (!message) continue;
    if (const auto accepted = accept(*message); !accepted) result_ = std::unexpected(accepted.error());
  }
}

void Reader::handle_eof() {
  if (!result_) result_ = finish();
}

ReaderStatus Reader::snapshot() const noexcept {
  return {messages_, frames_.buffered() + merged_.size(), result_.has_value()};
}

// Protobuf defines a message behind a message as their merger: later single fields win, lists are joined.
Result<void> Reader::accept(BytesView message) {
  if (++messages_ > limits_.messages) return fail(Errc::flood, "identify messages");
  if (message.size() > limits_.total_bytes - merged_.size()) return fail(Errc::oversized, "identify messages");
  append(merged_, message);
  return {};
}

Result<Identify> Reader::finish() const {
  if (messages_ == 0 || !frames_.is_idle()) return fail(Errc::truncated, "identify message");
  DIG_TRY(Identify message, Identify::decode(merged_));
  if (message.public_key && PeerId::from_public_key(*message.public_key) != peer_) {
    return fail(Errc::peer_id_mismatch, "in the identify message");
  }
  return message;
}

}  // namespace dig::identify
