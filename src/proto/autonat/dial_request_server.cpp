// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/dial_request_server.hpp"

#include <algorithm>

namespace dig::autonat {

DialRequestServer::DialRequestServer(Instant now, const PeerId& peer, const IpAddress& observed,
                                     const DialPolicy& policy, RequestBook& book, Rng& rng, const Limits& limits)
    : limits_(limits),
      peer_(peer),
      observed_(observed),
      policy_(policy),
      rng_(rng),
      book_(book),
      reading_(book.start_reading(peer)),
      deadline_(now + limits.stream),
      step_deadline_(now + limits.read) {
  if (!reading_) respond({.status = ResponseStatus::request_rejected});
}

void DialRequestServer::handle_bytes(Instant now, BytesView bytes) {
  // What comes when nothing is awaited is not kept: the last piece of dial data may be larger than it must be, and what
  // else there is costs its sender more than us.
  while (is_reading() && !bytes.empty()) {
    const auto taken = frames_.feed(bytes);
    if (!taken) return fail_with(taken.error());
    bytes = bytes.subspan(*taken);
    const auto frame = frames_.take_frame();
    if (!frame) continue;
    if (const auto handled = handle_frame(now, *frame); !handled) return fail_with(handled.error());
  }
}

Result<void> DialRequestServer::handle_frame(Instant now, BytesView frame) {
  DIG_TRY(const Message message, decode_message(frame));
  if (const auto* request = std::get_if<DialRequest>(&message); request && state_ == State::reading_request) {
    handle_request(now, *request);
    return {};
  }
  if (const auto* data = std::get_if<DialDataResponse>(&message); data && state_ == State::reading_data) {
    return handle_data(now, *data);
  }
  return fail(Errc::protocol_violation, "a message out of turn on a dial-request stream");
}

// "The server SHOULD use the first address it is willing to dial. The server MUST NOT dial any address other than this
// one."
void DialRequestServer::handle_request(Instant now, const DialRequest& request) {
  reading_.reset();
  std::optional<Endpoint> remote;
  while (index_ < request.addresses.size()) {
    remote = dialable(request.addresses[index_], peer_, observed_, policy_);
    if (remote) break;
    ++index_;
  }
  if (!remote) return respond({.status = ResponseStatus::dial_refused});
  if (auto place = book_.admit(now, peer_, AcceptLimiter::prefix_of(observed_))) place_.emplace(std::move(*place));
  if (!place_) return respond({.status = ResponseStatus::request_rejected});
  task_ = {peer_, request.addresses[index_].without_peer_id(), *remote, request.nonce};
  if (remote->address == observed_) return dial(now);
  if (!place_->take_dial_data(now)) return respond({.status = ResponseStatus::request_rejected});
  status_.dial_data_asked = limits_.min_dial_data + rng_.below(limits_.max_dial_data - limits_.min_dial_data + 1);
  state_ = State::reading_data;
  send(DialDataRequest{index_, status_.dial_data_asked});
}

Result<void> DialRequestServer::handle_data(Instant now, const DialDataResponse& response) {
  status_.dial_data_received += response.data.size();
  if (status_.dial_data_received >= status_.dial_data_asked) {
    state_ = State::waiting;
    const auto most = static_cast<std::uint64_t>(limits_.max_wait.count());
    step_deadline_ = now + Duration(static_cast<Duration::rep>(rng_.below(most + 1)));
    return {};
  }
  if (response.data.size() < limits_.min_piece) return fail(Errc::flood, "dial data in tiny pieces");
  return {};
}

void DialRequestServer::dial(Instant now) {
  state_ = State::dialling;
  step_deadline_ = now + limits_.dial;
  result_ = task_;
}

void DialRequestServer::handle_dial_back_result(DialBackOutcome outcome) {
  if (state_ != State::dialling) return;
  // Requirements for DialStatus.
  switch (outcome) {
    case DialBackOutcome::dialled_back:
      return respond({ResponseStatus::ok, index_, DialStatus::ok});
    case DialBackOutcome::not_connected:
      return respond({ResponseStatus::ok, index_, DialStatus::dial_error});
    case DialBackOutcome::not_delivered:
      return respond({ResponseStatus::ok, index_, DialStatus::dial_back_error});
    case DialBackOutcome::not_tried:
      return respond({.status = ResponseStatus::internal_error});
  }
}

// The client may finish its half when it has said everything.
void DialRequestServer::handle_eof(Instant) {
  if (is_reading()) fail_with(Error(Errc::stream_closed, "within a dial request"));
}

void DialRequestServer::handle_timeout(Instant now) {
  if (state_ == State::failed || is_done()) return;
  if (now >= deadline_) return fail_with(Error(Errc::timed_out, "dial request"));
  if (now < step_deadline_) return;
  if (state_ == State::reading_request) return fail_with(Error(Errc::timed_out, "no dial request came"));
  if (state_ == State::waiting) return dial(now);
  if (state_ == State::dialling) respond({ResponseStatus::ok, index_, DialStatus::dial_error});
}

std::size_t DialRequestServer::poll_bytes(MutableBytes out) { return output_.pop(out); }

std::optional<Instant> DialRequestServer::next_timeout() const {
  if (state_ == State::failed || is_done()) return std::nullopt;
  const bool has_step = state_ != State::reading_data && state_ != State::responding;
  return has_step ? std::min(step_deadline_, deadline_) : deadline_;
}

DialRequestServerStatus DialRequestServer::snapshot() const {
  DialRequestServerStatus status = status_;
  status.is_dialling = state_ == State::dialling;
  status.buffered_bytes = frames_.buffered() + output_.size();
  return status;
}

void DialRequestServer::send(const Message& message) {
  Bytes framed;
  append_frame(framed, encode_message(message));
  output_.append(framed);
}

void DialRequestServer::respond(const DialResponse& response) {
  state_ = State::responding;
  place_.reset();
  result_.reset();
  send(response);
}

void DialRequestServer::fail_with(Error error) {
  state_ = State::failed;
  reading_.reset();
  place_.reset();
  output_.clear();
  result_ = std::unexpected(std::move(error));
}

}  // namespace dig::autonat
