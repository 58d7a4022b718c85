// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on both ends of /dignet/turn-credentials/1.0.0.
#include "base/testing/shaped_stream_machine.hpp"
#include "base/testing/stream_machine_contract.hpp"
#include "proto/turn_credentials/requester.hpp"
#include "proto/turn_credentials/responder.hpp"
#include "wire/identity.hpp"

namespace dig::testing {
namespace {

using turn_credentials::CredentialsWanted;
using turn_credentials::Responder;
using turn_credentials::ResponderEvent;
using turn_credentials::ResponderFinished;
using Requester = ShapedStreamMachine<turn_credentials::Requester>;

PeerId target() {
  SeededRng rng(1);
  return Identity::generate(rng).peer_id();
}

TurnCredentialResponse response() {
  return {TurnCredentialStatus::ok, TurnCredentials{.kind = TurnRelayKind::open,
                                                    .username = "name",
                                                    .password = "password",
                                                    .expires_in = 600s,
                                                    .servers = {StunUri::parse("turn:192.0.2.1").value()}}};
}

Bytes framed(const auto& message) {
  Bytes out;
  append_frame(out, message.encode());
  return out;
}

struct RequesterTraits {
  using Subject = Requester;
  struct Owner {
    void handle(Requester&, Instant, const Result<TurnCredentials>& outcome) {
      EXPECT_TRUE(text.empty()) << "there is one outcome";
      text = outcome ? outcome->username + outcome->password : outcome.error().message();
    }
    [[nodiscard]] std::string story() const { return text; }
    std::string text;
  };
  static std::unique_ptr<Requester> make(Instant now) { return std::make_unique<Requester>(now, target()); }
  static std::vector<Bytes> inputs() {
    return {framed(response()), framed(TurnCredentialResponse{TurnCredentialStatus::busy, {}})};
  }
  static Bytes flood() { return {}; }
};

struct ResponderTraits {
  using Subject = Responder;
  struct Owner {
    void handle(Responder& machine, Instant, const ResponderEvent& event) {
      EXPECT_FALSE(is_finished) << "ResponderFinished is the last event";
      if (const auto* wanted = std::get_if<CredentialsWanted>(&event)) {
        text += "wanted " + wanted->target.to_string();
        machine.answer(response());
      } else {
        is_finished = true;
        const auto& error = std::get<ResponderFinished>(event).error;
        text += error ? error->message() : "finished";
      }
    }
    [[nodiscard]] std::string story() const { return text; }
    std::string text;
    bool is_finished = false;
  };
  static std::unique_ptr<Responder> make(Instant now) { return std::make_unique<Responder>(now); }
  static std::vector<Bytes> inputs() { return {framed(TurnCredentialRequest{target()})}; }
  static Bytes flood() { return {}; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(TurnCredentialRequester, StreamMachineContract, RequesterTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(TurnCredentialResponder, StreamMachineContract, ResponderTraits);

}  // namespace
}  // namespace dig::testing
