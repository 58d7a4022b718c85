// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_credentials/requester.hpp"

namespace dig::turn_credentials {
namespace {

Result<TurnCredentials> read_response(BytesView message) {
  DIG_TRY(auto response, TurnCredentialResponse::decode(message));
  switch (response.status) {
    case TurnCredentialStatus::ok:
      return *std::move(response.credentials);
    case TurnCredentialStatus::refused:
      return fail(Errc::turn_credentials_refused);
    case TurnCredentialStatus::busy:
      return fail(Errc::limit_reached, "of TURN credentials, at the relay");
    case TurnCredentialStatus::not_offered:
      return fail(Errc::turn_not_offered);
    case TurnCredentialStatus::malformed:
      break;
  }
  return fail(Errc::turn_credentials_refused, "the relay did not understand the request");
}

}  // namespace

Requester::Requester(Instant now, const PeerId& target, Limits limits) : deadline_(now + limits.timeout) {
  Bytes request;
  append_frame(request, TurnCredentialRequest{target}.encode());
  output_.append(request);
}

void Requester::handle_bytes(Instant /*now*/, BytesView bytes) {
  if (result_) return;
  if (const auto taken = frames_.feed(bytes); !taken) {
    result_ = std::unexpected(taken.error());
  } else if (const auto message = frames_.take_frame()) {
    result_ = read_response(*message);
  }
  if (result_) output_.clear();
}

void Requester::handle_eof(Instant /*now*/) {
  if (result_) return;
  result_ = fail(Errc::truncated, "no response of the relay");
  output_.clear();
}

void Requester::handle_timeout(Instant now) {
  if (result_ || now < deadline_) return;
  result_ = fail(Errc::timed_out, "TURN credentials");
  output_.clear();
}

std::optional<Instant> Requester::next_timeout() const noexcept {
  return result_ ? std::nullopt : std::optional(deadline_);
}

}  // namespace dig::turn_credentials
