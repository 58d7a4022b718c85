// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_credentials/responder.hpp"

namespace dig::turn_credentials {

static_assert(StreamMachine<Responder>);

void Responder::handle_bytes(Instant /*now*/, BytesView bytes) {
  if (phase_ != Phase::reading) return;
  if (const auto taken = frames_.feed(bytes); !taken) return refuse(taken.error());
  const auto message = frames_.take_frame();
  if (!message) return;
  auto request = TurnCredentialRequest::decode(*message);
  if (!request) return refuse(request.error());
  phase_ = Phase::asking;
  events_.push_back(CredentialsWanted{std::move(request->target)});
}

void Responder::handle_eof(Instant /*now*/) {
  if (phase_ == Phase::reading) finish(Error(Errc::truncated, "no request for TURN credentials"));
}

void Responder::handle_timeout(Instant now) {
  if (phase_ != Phase::finished && now >= deadline_) finish(Error(Errc::phase_timeout, "TURN credentials"));
}

std::optional<Instant> Responder::next_timeout() const noexcept {
  return phase_ == Phase::finished ? std::nullopt : std::optional(deadline_);
}

void Responder::answer(const TurnCredentialResponse& response) {
  if (phase_ == Phase::asking) write(response);
}

void Responder::refuse(Error error) {
  final_error_ = std::move(error);
  write({TurnCredentialStatus::malformed, {}});
}

void Responder::write(const TurnCredentialResponse& response) {
  phase_ = Phase::writing;
  Bytes message;
  append_frame(message, response.encode());
  output_.append(message);
}

std::size_t Responder::poll_bytes(Instant /*now*/, MutableBytes out) {
  const std::size_t size = output_.pop(out);
  if (phase_ == Phase::writing && output_.empty()) finish(std::exchange(final_error_, std::nullopt));
  return size;
}

void Responder::finish(std::optional<Error> error) {
  phase_ = Phase::finished;
  output_.clear();
  events_.clear();  // nobody needs the answer any more
  events_.push_back(ResponderFinished{std::move(error)});
}

std::optional<ResponderEvent> Responder::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace dig::turn_credentials
