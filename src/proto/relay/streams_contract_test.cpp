// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on all ends of hop and stop streams.
#include "base/testing/shaped_stream_machine.hpp"
#include "base/testing/stream_machine_contract.hpp"
#include "proto/relay/requests.hpp"
#include "proto/relay/responders.hpp"

namespace dig::testing {
namespace {

using relay::ConnectClient;
using relay::HopResponder;
using relay::ReserveClient;
using relay::StopClient;
using relay::StopResponder;

const Identity& some_identity() {
  static SeededRng rng(1);
  static const Identity made = Identity::generate(rng);
  return made;
}
PeerId other_peer() { return PeerId::from_public_key(PublicKey::ed25519(Bytes(32, std::byte{7}))); }

template <class Message>
Bytes framed(const Message& message) {
  Bytes out;
  append_frame(out, message.encode());
  return out;
}
template <class Message>
Message connect_without_peer() {
  Message message;
  message.type = Message::Type::connect;
  return message;
}

// What an end of the protocol came to, in words.
std::string words(const Result<relay::ResponseEnd>& outcome) {
  if (!outcome) return outcome.error().message();
  return *outcome == relay::ResponseEnd::circuit ? "circuit" : "finished";
}
std::string words(const Result<relay::GrantedReservation>& outcome) {
  if (!outcome) return outcome.error().message();
  return "until " + std::to_string(outcome->expiration.seconds) + (outcome->voucher ? " by voucher" : "");
}
std::string words(const Result<circuit::Limit>& outcome) {
  return outcome ? "limit " + std::to_string(outcome->data) : outcome.error().message();
}
std::string words(const Result<void>& outcome) { return outcome ? "accepted" : outcome.error().message(); }

template <class Machine>
struct OneOutcome {
  void handle(Machine&, Instant, const typename Machine::Event& outcome) {
    EXPECT_TRUE(text.empty()) << "there is one outcome";
    text = words(outcome);
  }
  [[nodiscard]] std::string story() const { return text; }
  std::string text;
};

// Asks with the request already sent.
template <class Client>
std::unique_ptr<ShapedStreamMachine<Client>> make_client(Instant now, auto request) {
  auto made = std::make_unique<ShapedStreamMachine<Client>>(now, std::move(request), 60s);
  Bytes sent(1000);
  EXPECT_GT(made->poll_bytes(now, sent), 0U);
  return made;
}

struct ReserveTraits {
  using Subject = ShapedStreamMachine<ReserveClient>;
  using Owner = OneOutcome<Subject>;
  static std::unique_ptr<Subject> make(Instant now) {
    return make_client<ReserveClient>(now, relay::ReserveRequest{some_identity().peer_id(), other_peer()});
  }
  static std::vector<Bytes> inputs() {
    circuit::HopMessage grant = circuit::HopMessage::answer(circuit::Status::ok, {.duration = 120, .data = 131072});
    grant.reservation = circuit::Reservation{
        .expiration = {1893456000},
        .addresses = {Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value()},
        .voucher = ReservationVoucher{some_identity().peer_id(), other_peer(), {1893456000}}.seal(some_identity())};
    return {framed(grant), framed(circuit::HopMessage::answer(circuit::Status::reservation_refused))};
  }
  static Bytes flood() { return {}; }
};

struct ConnectTraits {
  using Subject = ShapedStreamMachine<ConnectClient>;
  using Owner = OneOutcome<Subject>;
  static std::unique_ptr<Subject> make(Instant now) {
    return make_client<ConnectClient>(now, relay::ConnectRequest{other_peer()});
  }
  static std::vector<Bytes> inputs() {
    return {framed(circuit::HopMessage::answer(circuit::Status::ok, {.duration = 120, .data = 131072})),
            framed(circuit::HopMessage::answer(circuit::Status::no_reservation))};
  }
  static Bytes flood() { return {}; }
};

struct StopClientTraits {
  using Subject = ShapedStreamMachine<StopClient>;
  using Owner = OneOutcome<Subject>;
  static std::unique_ptr<Subject> make(Instant now) {
    return make_client<StopClient>(now, relay::StopRequest{other_peer(), {.duration = 120, .data = 131072}});
  }
  static std::vector<Bytes> inputs() {
    return {framed(circuit::StopMessage::answer(circuit::Status::ok)),
            framed(circuit::StopMessage::answer(circuit::Status::connection_failed))};
  }
  static Bytes flood() { return {}; }
};

// A responder whose owner says OK to everything at once.
template <class Responder>
class Agreeing : public Responder {
 public:
  using Responder::Responder;
  [[nodiscard]] std::size_t handle_bytes(Instant now, BytesView bytes) {
    const std::size_t taken = Responder::handle_bytes(now, bytes);
    if (this->take_request()) {
      typename Responder::Message message;
      message.status = circuit::Status::ok;
      this->answer(message);
    }
    return taken;
  }
};

struct HopResponderTraits {
  using Subject = ShapedStreamMachine<Agreeing<HopResponder>>;
  using Owner = OneOutcome<Subject>;
  static std::unique_ptr<Subject> make(Instant now) { return std::make_unique<Subject>(now); }
  static std::vector<Bytes> inputs() {
    return {framed(circuit::HopMessage::reserve()), framed(circuit::HopMessage::connect(other_peer())),
            framed(circuit::HopMessage::answer(circuit::Status::ok))};
  }
  static Bytes flood() { return {}; }
};

struct StopResponderTraits {
  using Subject = ShapedStreamMachine<Agreeing<StopResponder>>;
  using Owner = OneOutcome<Subject>;
  static std::unique_ptr<Subject> make(Instant now) { return std::make_unique<Subject>(now); }
  static std::vector<Bytes> inputs() {
    return {framed(circuit::StopMessage::connect(other_peer(), {})),
            framed(connect_without_peer<circuit::StopMessage>())};
  }
  static Bytes flood() { return {}; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(ReserveClient, StreamMachineContract, ReserveTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(ConnectClient, StreamMachineContract, ConnectTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(StopClient, StreamMachineContract, StopClientTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(HopResponder, StreamMachineContract, HopResponderTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(StopResponder, StreamMachineContract, StopResponderTraits);

}  // namespace
}  // namespace dig::testing
