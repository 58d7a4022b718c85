// SPDX-License-Identifier: Apache-2.0
#include "proto/multistream/negotiator.hpp"

#include <algorithm>

#include "wire/multistream_message.hpp"

namespace dig::multistream {

Negotiator Negotiator::dial(std::vector<std::string> protocols, const Limits& limits) {
  return Negotiator(true, std::move(protocols), limits);
}

Negotiator Negotiator::listen(std::vector<std::string> supported, const Limits& limits) {
  return Negotiator(false, std::move(supported), limits);
}

Negotiator::Negotiator(bool is_dialler, std::vector<std::string> protocols, const Limits& limits)
    : is_dialler_(is_dialler), limits_(limits), protocols_(std::move(protocols)), input_(k_max_multistream_message) {
  if (!is_dialler_) return;
  append_multistream_line(output_, k_multistream_header);
  if (const auto proposed = propose_next(); !proposed) result_ = std::unexpected(proposed.error());
}

std::size_t Negotiator::handle_bytes(BytesView bytes) {
  std::size_t consumed = 0;
  while (!result_ && consumed < bytes.size()) {
    const auto taken = input_.feed(bytes.subspan(consumed));
    if (!taken) {
      result_ = fail(Errc::protocol_violation, "multistream-select: " + taken.error().message());
      break;
    }
    consumed += *taken;
    const auto frame = input_.take_frame();
    if (!frame) continue;
    if (const auto handled = handle_frame(*frame); !handled) result_ = std::unexpected(handled.error());
  }
  return consumed;
}

void Negotiator::handle_eof() {
  if (!result_) result_ = fail(Errc::connection_closed, "while agreeing on a protocol");
}

std::size_t Negotiator::poll_bytes(MutableBytes out) {
  const BytesView rest = BytesView(output_).subspan(output_sent_);
  const std::size_t size = std::min(rest.size(), out.size());
  std::copy_n(rest.begin(), size, out.begin());
  output_sent_ += size;
  if (!has_output()) {
    output_.clear();
    output_sent_ = 0;
  }
  return size;
}

NegotiatorStatus Negotiator::snapshot() const noexcept {
  return {result_.has_value(), messages_received_, input_.buffered() + output_.size() - output_sent_};
}

Result<void> Negotiator::handle_frame(BytesView frame) {
  const auto line = decode_multistream_line(frame);
  if (!line) return fail(Errc::protocol_violation, "multistream-select: " + line.error().message());
  if (!has_peer_header_) {
    if (*line != k_multistream_header) return fail(Errc::protocol_violation, "not multistream-select 1.0");
    has_peer_header_ = true;
    if (!is_dialler_) append_multistream_line(output_, k_multistream_header);
    return {};
  }
  if (++messages_received_ > limits_.messages) return fail(Errc::flood, "too many multistream-select messages");
  return is_dialler_ ? handle_answer(*line) : handle_proposal(*line);
}

Result<void> Negotiator::handle_answer(std::string_view line) {
  const std::string& proposed = protocols_[next_proposal_ - 1];
  if (line == proposed) {
    result_ = proposed;
    return {};
  }
  if (line == k_multistream_na) return propose_next();
  return fail(Errc::protocol_violation, "the answer is not for the protocol that was proposed");
}

Result<void> Negotiator::handle_proposal(std::string_view line) {
  if (line == k_multistream_ls) {
    append_multistream_list(output_, protocols_);
    return {};
  }
  if (std::ranges::find(protocols_, line) == protocols_.end()) {
    append_multistream_line(output_, k_multistream_na);
    return {};
  }
  append_multistream_line(output_, line);
  result_ = std::string(line);
  return {};
}

Result<void> Negotiator::propose_next() {
  if (next_proposal_ == protocols_.size()) {
    return fail(Errc::protocol_not_supported, protocols_.empty() ? "none was proposed" : protocols_.back());
  }
  append_multistream_line(output_, protocols_[next_proposal_++]);
  return {};
}

}  // namespace dig::multistream
