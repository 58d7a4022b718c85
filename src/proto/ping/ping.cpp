// SPDX-License-Identifier: Apache-2.0
#include "proto/ping/ping.hpp"

#include <algorithm>

namespace dig::ping {

Result<void> Initiator::start(Instant now, Rng& rng) {
  if (error_) return std::unexpected(*error_);
  if (is_waiting_) return fail(Errc::invalid_argument, "a ping is on its way");
  rng.fill(payload_);
  sent_ = 0;
  matched_ = 0;
  is_waiting_ = true;
  started_ = now;
  return {};
}

void Initiator::handle_bytes(Instant now, BytesView bytes) {
  handle_timeout(now);  // an answer that comes too late is none, whichever is noticed first
  if (error_ || bytes.empty()) return;
  // Bytes that were not sent yet cannot be an echo.
  if (!is_waiting_ || bytes.size() > sent_ - matched_ ||
      !equal(bytes, BytesView(payload_).subspan(matched_).first(bytes.size()))) {
    fail_with(Error(Errc::protocol_violation, "the answer to a ping differs from it"));
    return;
  }
  matched_ += bytes.size();
  if (matched_ < k_payload_size) return;
  is_waiting_ = false;
  ++pings_done_;
  result_ = now - started_;
}

void Initiator::handle_eof(Instant) {
  if (!error_) fail_with(Error(Errc::stream_closed, "ping"));
}

void Initiator::handle_timeout(Instant now) {
  const auto due = next_timeout();
  if (due && now >= *due) fail_with(Error(Errc::timed_out, "ping"));
}

std::size_t Initiator::poll_bytes(MutableBytes out) {
  if (!is_waiting_) return 0;
  const std::size_t size = std::min(out.size(), k_payload_size - sent_);
  std::copy_n(payload_.begin() + static_cast<std::ptrdiff_t>(sent_), size, out.begin());
  sent_ += size;
  return size;
}

std::optional<Instant> Initiator::next_timeout() const noexcept {
  if (!is_waiting_) return std::nullopt;
  return started_ + limits_.timeout;
}

std::optional<Result<Duration>> Initiator::take_result() { return std::exchange(result_, std::nullopt); }

void Initiator::fail_with(Error error) {
  is_waiting_ = false;
  error_ = error;
  result_ = std::unexpected(std::move(error));
}

std::size_t Responder::handle_bytes(BytesView bytes) {
  if (is_ended_) return bytes.size();
  const std::size_t room = limits_.pending_payloads * k_payload_size - buffer_.size();
  const std::size_t size = std::min(room, bytes.size());
  append(buffer_, bytes.first(size));
  return size;
}

std::size_t Responder::poll_bytes(MutableBytes out) {
  const std::size_t size = std::min(out.size(), ready_bytes());
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(sent_), size, out.begin());
  sent_ += size;
  const std::size_t echoed = sent_ / k_payload_size * k_payload_size;
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(echoed));
  sent_ -= echoed;
  echoes_ += echoed / k_payload_size;
  return size;
}

}  // namespace dig::ping
