// SPDX-License-Identifier: Apache-2.0
#include "proto/one_port/plain_stream.hpp"

#include <algorithm>
#include <utility>

namespace dig::one_port {

static_assert(StreamMachine<PlainStream>);

void PlainStream::handle_bytes(Instant /*now*/, BytesView bytes) {
  if (closed_ || bytes.empty()) return;
  if (bytes.size() > limits_.max_input + limits_.max_input_excess - input_.size()) {
    closed_ = Closed{Error(Errc::flood, "bytes that nobody asked for")};
    return;
  }
  input_.append(bytes);
  if (std::exchange(is_armed_, false)) tells_readable_ = true;
}

void PlainStream::handle_eof(Instant /*now*/) {
  if (closed_) return;
  is_ended_ = true;
  closed_ = Closed{Error(Errc::connection_closed), true};
}

std::size_t PlainStream::poll_bytes(Instant /*now*/, MutableBytes out) {
  const std::size_t size = output_.pop(out);
  if (output_.empty()) output_.clear();
  if (is_waiting_ && !closed_ && output_.size() <= limits_.max_output / 2) {
    is_waiting_ = false;
    tells_writable_ = true;
  }
  return size;
}

std::optional<PlainStream::Event> PlainStream::poll_event() {
  if (std::exchange(tells_readable_, false)) return Readable{};
  if (!closed_) {
    if (std::exchange(tells_writable_, false)) return Writable{};
    return std::nullopt;
  }
  const bool is_due = !is_ended_ || input_.empty();  // an end of the peer comes behind its bytes
  if (!is_due || std::exchange(is_closed_told_, true)) return std::nullopt;
  return *closed_;
}

Result<std::size_t> PlainStream::write(BytesView bytes) {
  if (closed_ && !is_ended_) return std::unexpected(closed_->error);
  const std::size_t size = std::min(bytes.size(), limits_.max_output - std::min(limits_.max_output, output_.size()));
  output_.append(bytes.first(size));
  if (size < bytes.size()) is_waiting_ = true;
  return size;
}

Result<ReadResult> PlainStream::read(MutableBytes out) {
  if (input_.empty() && closed_ && !is_ended_) return std::unexpected(closed_->error);
  const std::size_t size = input_.pop(out);
  if (size < out.size()) is_armed_ = true;
  if (!input_.empty()) return ReadResult{size, false};
  input_.clear();
  return ReadResult{size, is_ended_};
}

void PlainStream::close() {
  if (!closed_) closed_ = Closed{Error(Errc::connection_closed, "closed here"), true};
  is_ended_ = false;
  input_.clear();
  tells_readable_ = false;
}

}  // namespace dig::one_port
