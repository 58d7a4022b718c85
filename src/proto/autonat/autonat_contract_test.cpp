// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on every stream of AutoNAT v2.
#include "base/base_encoding.hpp"
#include "base/testing/shaped_stream_machine.hpp"
#include "base/testing/stream_machine_contract.hpp"
#include "proto/autonat/dial_back.hpp"
#include "proto/autonat/dial_back_helper.hpp"
#include "proto/autonat/dial_request_client.hpp"
#include "proto/autonat/dial_request_server.hpp"
#include "wire/identity.hpp"

namespace dig::testing {
namespace {

using namespace dig::autonat;

const Multiaddr k_address = Multiaddr::parse("/ip4/8.8.8.8/tcp/4001").value();
const IpAddress k_same = IpAddress::parse("8.8.8.8").value();
const IpAddress k_other = IpAddress::parse("9.9.9.9").value();

const PeerId& peer() {
  static SeededRng rng(1);
  static const PeerId made = Identity::generate(rng).peer_id();
  return made;
}

void append_message(Bytes& out, const Message& message) { append_frame(out, encode_message(message)); }

// Answers a task as soon as it is given.
template <class Machine>
struct DialOwner {
  void handle(Machine& machine, Instant, const Result<WantDialBack>& outcome) {
    EXPECT_FALSE(has_failed) << "an error is final";
    has_failed = !outcome;
    text += outcome ? "dial " + outcome->address.to_string() : outcome.error().message();
    if (outcome) machine.end().handle_dial_back_result(DialBackOutcome::dialled_back);
  }
  [[nodiscard]] std::string story() const { return text; }
  std::string text;
  bool has_failed = false;
};

// A machine with a book and a random generator of its own.
struct LoneServer {
  LoneServer(Instant now, const IpAddress& observed) : machine(now, peer(), observed, {}, book, rng) {}
  void handle_bytes(Instant now, BytesView bytes) { machine.handle_bytes(now, bytes); }
  void handle_eof(Instant now) { machine.handle_eof(now); }
  void handle_timeout(Instant now) { machine.handle_timeout(now); }
  void handle_dial_back_result(DialBackOutcome outcome) { machine.handle_dial_back_result(outcome); }
  std::size_t poll_bytes(MutableBytes out) { return machine.poll_bytes(out); }
  auto next_timeout() const { return machine.next_timeout(); }
  auto take_result() { return machine.take_result(); }

  RequestBook book;
  SeededRng rng{1};
  DialRequestServer machine;
};

template <bool is_elsewhere>
struct ServerTraits {
  using Subject = ShapedStreamMachine<LoneServer>;
  using Owner = DialOwner<Subject>;
  static std::unique_ptr<Subject> make(Instant now) {
    return std::make_unique<Subject>(now, is_elsewhere ? k_other : k_same);
  }
  static std::vector<Bytes> inputs() {
    Bytes whole, refused;
    append_message(whole, DialRequest{{Multiaddr(), k_address}, 77});
    for (int i = 0; i < 25 && is_elsewhere; ++i) append_message(whole, DialDataResponse{Bytes(4096)});
    append_message(refused, DialRequest{{Multiaddr()}, 77});
    return {whole, refused};
  }
  static Bytes flood() { return {}; }
};

struct ClientTraits {
  using Subject = ShapedStreamMachine<DialRequestClient>;
  struct Owner {
    void handle(Subject&, Instant, const Result<DialResponse>& outcome) {
      EXPECT_TRUE(text.empty()) << "there is one outcome";
      text = outcome ? std::to_string(static_cast<int>(outcome->dial_status)) : outcome.error().message();
    }
    [[nodiscard]] std::string story() const { return text; }
    std::string text;
  };
  static std::unique_ptr<Subject> make(Instant now) {
    return std::make_unique<Subject>(now, DialRequest{{k_address}, 77}, std::uint64_t{100'000});
  }
  static std::vector<Bytes> inputs() {
    Bytes dialled, rejected, paid;
    append_message(dialled, DialResponse{ResponseStatus::ok, 0, DialStatus::ok});
    append_message(rejected, DialResponse{ResponseStatus::request_rejected, 0, DialStatus::unused});
    append_message(paid, DialDataRequest{0, 9'000});
    return {dialled, rejected, paid};
  }
  static Bytes flood() { return {}; }
};

struct ReceiverTraits {
  using Subject = ShapedStreamMachine<DialBackReceiver>;
  struct Owner {
    void handle(Subject& machine, Instant, const Result<DialBack>& outcome) {
      EXPECT_TRUE(text.empty()) << "there is one request, or an error";
      text = outcome ? "asked" : outcome.error().message();
      if (outcome) machine.end().answer({});
    }
    [[nodiscard]] std::string story() const { return text; }
    std::string text;
  };
  static std::unique_ptr<Subject> make(Instant now) { return std::make_unique<Subject>(now, k_dial_back_timeout); }
  static std::vector<Bytes> inputs() {
    Bytes asked;
    append_frame(asked, DialBack{77}.encode());
    return {asked};
  }
  static Bytes flood() { return {}; }
};

struct SenderTraits {
  using Subject = ShapedStreamMachine<DialBackSender>;
  struct Owner {
    void handle(Subject&, Instant, const Result<DialBackResponse>& outcome) {
      EXPECT_TRUE(text.empty()) << "there is one outcome";
      text = outcome ? "delivered" : outcome.error().message();
    }
    [[nodiscard]] std::string story() const { return text; }
    std::string text;
  };
  static std::unique_ptr<Subject> make(Instant now) {
    return std::make_unique<Subject>(now, DialBack{77}, k_dial_back_timeout);
  }
  static std::vector<Bytes> inputs() { return {from_hex("00").value(), from_hex("020800").value()}; }
  static Bytes flood() { return {}; }
};

struct LoneHelper {
  explicit LoneHelper(Instant now) : machine(now, peer(), k_other, {.partners = {peer()}, .policy = {}}, book) {}
  void handle_bytes(Instant now, BytesView bytes) { machine.handle_bytes(now, bytes); }
  void handle_eof(Instant now) { machine.handle_eof(now); }
  void handle_timeout(Instant now) { machine.handle_timeout(now); }
  void handle_dial_back_result(DialBackOutcome outcome) { machine.handle_dial_back_result(outcome); }
  std::size_t poll_bytes(MutableBytes out) { return machine.poll_bytes(out); }
  auto next_timeout() const { return machine.next_timeout(); }
  auto take_result() { return machine.take_result(); }

  RequestBook book{HelperConfig::k_limits};
  DialBackOrderServer machine;
};

struct HelperTraits {
  using Subject = ShapedStreamMachine<LoneHelper>;
  using Owner = DialOwner<Subject>;
  static std::unique_ptr<Subject> make(Instant now) { return std::make_unique<Subject>(now); }
  static std::vector<Bytes> inputs() {
    Bytes order, refused;
    append_frame(order, DialBackOrder{peer(), k_address, 77}.encode());
    append_frame(refused, DialBackOrder{peer(), Multiaddr::parse("/ip4/127.0.0.1/tcp/1").value(), 77}.encode());
    return {order, refused};
  }
  static Bytes flood() { return {}; }
};

using NearServerTraits = ServerTraits<false>;
using FarServerTraits = ServerTraits<true>;
INSTANTIATE_TYPED_TEST_SUITE_P(DialRequestServerNear, StreamMachineContract, NearServerTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(DialRequestServerFar, StreamMachineContract, FarServerTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(DialRequestClient, StreamMachineContract, ClientTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(DialBackSender, StreamMachineContract, SenderTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(DialBackReceiver, StreamMachineContract, ReceiverTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(DialBackOrderServer, StreamMachineContract, HelperTraits);

}  // namespace
}  // namespace dig::testing
