// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on both ends of ping.
#include "base/testing/shaped_stream_machine.hpp"
#include "base/testing/stream_machine_contract.hpp"
#include "proto/ping/ping.hpp"

namespace dig::testing {
namespace {

using Initiator = ShapedStreamMachine<ping::Initiator>;
using Responder = ShapedStreamMachine<ping::Responder>;

// An initiator whose ping is on its way, and what was sent of it.
std::unique_ptr<Initiator> make_initiator(Instant now, Bytes& sent) {
  auto initiator = std::make_unique<Initiator>();
  SeededRng rng(1);
  EXPECT_TRUE(initiator->end().start(now, rng));
  sent.resize(ping::k_payload_size);
  sent.resize(initiator->poll_bytes(now, sent));
  return initiator;
}

struct InitiatorTraits {
  using Subject = Initiator;
  struct Owner {
    void handle(Initiator&, Instant, const Result<Duration>& outcome) {
      EXPECT_FALSE(has_failed) << "an error is final";
      has_failed = !outcome;
      text += outcome ? "pong\n" : outcome.error().message();
    }
    [[nodiscard]] std::string story() const { return text; }
    std::string text;
    bool has_failed = false;
  };
  static std::unique_ptr<Initiator> make(Instant now) {
    Bytes sent;
    return make_initiator(now, sent);
  }
  static std::vector<Bytes> inputs() {
    Bytes echo;
    make_initiator({}, echo);
    return {echo};
  }
  static Bytes flood() { return {}; }
};

struct ResponderTraits {
  using Subject = Responder;
  struct Owner {
    void handle(Responder&, Instant, const Result<void>&) { text += "finished"; }
    [[nodiscard]] std::string story() const { return text; }
    std::string text;
  };
  static std::unique_ptr<Responder> make(Instant) { return std::make_unique<Responder>(); }
  static std::vector<Bytes> inputs() { return {payloads(1), payloads(3)}; }
  static Bytes flood() { return payloads(20); }

 private:
  static Bytes payloads(std::size_t count) {
    SeededRng rng(1);
    Bytes bytes(count * ping::k_payload_size);
    rng.fill(bytes);
    return bytes;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(PingInitiator, StreamMachineContract, InitiatorTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(PingResponder, StreamMachineContract, ResponderTraits);

}  // namespace
}  // namespace dig::testing
