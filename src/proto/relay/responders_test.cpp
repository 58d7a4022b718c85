// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/responders.hpp"

#include <gtest/gtest.h>

namespace dig::relay {
namespace {

using circuit::HopMessage;
using circuit::Status;
using circuit::StopMessage;

constexpr Instant k_start{1000s};
PeerId peer_of(int number) {
  return PeerId::from_public_key(PublicKey::ed25519(Bytes(32, static_cast<std::byte>(number))));
}

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
const Bytes k_reserve = framed(HopMessage::reserve());
const Bytes k_connect = framed(HopMessage::connect(peer_of(7)));
const Bytes k_offer = framed(StopMessage::connect(peer_of(8), {.duration = 120, .data = 131072}));

template <class Responder>
Bytes drain(Responder& responder) {
  Bytes sent;
  Bytes out(3);
  while (const std::size_t size = responder.poll_bytes(out)) append(sent, BytesView(out).first(size));
  return sent;
}
// The status of one whole answer.
template <class Message>
Status status_of(BytesView sent) {
  FrameReader reader(circuit::k_max_message_size);
  EXPECT_EQ(reader.feed(sent).value_or(0), sent.size());
  const auto frame = reader.take_frame();
  if (!frame) return Status::unused;
  const auto message = Message::decode(*frame);
  EXPECT_TRUE(message && message->type == Message::Type::status);
  return message ? message->status : Status::unused;
}

TEST(HopResponder, AReservationIsAnsweredAndFinished) {
  HopResponder responder(k_start);
  EXPECT_EQ(responder.handle_bytes(k_start, k_reserve), k_reserve.size());
  const auto request = responder.take_request();
  ASSERT_TRUE(request && std::holds_alternative<ReserveAsked>(*request));
  EXPECT_FALSE(responder.take_request()) << "once";
  EXPECT_TRUE(drain(responder).empty());
  responder.answer(HopMessage::answer(Status::ok));
  EXPECT_FALSE(responder.result()) << "not sent yet";
  EXPECT_EQ(status_of<HopMessage>(drain(responder)), Status::ok);
  ASSERT_TRUE(responder.result() && *responder.result());
  EXPECT_EQ(**responder.result(), ResponseEnd::finished);
  EXPECT_FALSE(responder.fault());
  EXPECT_FALSE(responder.next_timeout());
}

TEST(HopResponder, AnAcceptedConnectIsTheCircuit) {
  HopResponder responder(k_start);
  EXPECT_EQ(responder.handle_bytes(k_start, k_connect), k_connect.size());
  const auto request = responder.take_request();
  ASSERT_TRUE(request && std::holds_alternative<ConnectAsked>(*request));
  EXPECT_EQ(std::get<ConnectAsked>(*request).target, peer_of(7));
  responder.answer(HopMessage::answer(Status::ok, {.duration = 1, .data = 2}));
  EXPECT_EQ(drain(responder), framed(HopMessage::answer(Status::ok, {.duration = 1, .data = 2})));
  ASSERT_TRUE(responder.result() && *responder.result());
  EXPECT_EQ(**responder.result(), ResponseEnd::circuit);
}

TEST(HopResponder, ARefusedConnectIsFinished) {
  HopResponder responder(k_start);
  (void)responder.handle_bytes(k_start, k_connect);
  (void)responder.take_request();
  responder.answer(HopMessage::answer(Status::no_reservation));
  EXPECT_EQ(status_of<HopMessage>(drain(responder)), Status::no_reservation);
  EXPECT_EQ(**responder.result(), ResponseEnd::finished);
}

TEST(HopResponder, NotAByteBehindTheRequestIsTaken) {
  Bytes input = k_connect;
  append(input, as_bytes("sent too early"));
  for (std::size_t cut = 0; cut <= input.size(); ++cut) {
    HopResponder responder(k_start);
    std::size_t taken = responder.handle_bytes(k_start, BytesView(input).first(cut));
    EXPECT_EQ(taken, std::min(cut, k_connect.size()));
    taken += responder.handle_bytes(k_start, BytesView(input).subspan(taken));
    EXPECT_EQ(taken, k_connect.size());
    responder.answer(HopMessage::answer(Status::ok));
    (void)drain(responder);
    EXPECT_EQ(responder.handle_bytes(k_start, BytesView(input).subspan(taken)), 0U);
    EXPECT_TRUE(responder.result() && *responder.result());
  }
}

TEST(HopResponder, TellsThePeerWhatIsWrong) {
  const std::vector<std::pair<Bytes, Status>> inputs = {
      {framed(HopMessage::answer(Status::ok)), Status::unexpected_message},
      {framed(connect_without_peer<HopMessage>()), Status::malformed_message},
      {Bytes(1), Status::malformed_message},
      {to_bytes("\x02\xff\xff"), Status::malformed_message},
      {Bytes(10, std::byte{0xff}), Status::malformed_message},     // no length
      {to_bytes("\x81\x20 too long"), Status::malformed_message},  // 4097
  };
  for (const auto& [input, status] : inputs) {
    HopResponder responder(k_start);
    EXPECT_EQ(responder.handle_bytes(k_start, input), input.size());
    EXPECT_FALSE(responder.take_request());
    EXPECT_FALSE(responder.result()) << "it is told first";
    EXPECT_EQ(status_of<HopMessage>(drain(responder)), status);
    ASSERT_TRUE(responder.result() && *responder.result());
    EXPECT_EQ(**responder.result(), ResponseEnd::finished) << "so that the peer reads why";
    EXPECT_TRUE(responder.fault());
  }
}

TEST(HopResponder, HasADeadlineForTheRequestAndOneForTheAnswer) {
  HopResponder silent(k_start);
  EXPECT_EQ(silent.next_timeout(), k_start + 60s);
  (void)silent.handle_bytes(k_start + 59s, BytesView(k_connect).first(5));
  EXPECT_EQ(silent.next_timeout(), k_start + 60s) << "a byte at a time does not help";
  silent.handle_timeout(k_start + 60s - 1ns);
  EXPECT_FALSE(silent.result());
  silent.handle_timeout(k_start + 60s);
  EXPECT_EQ(silent.result()->error().code(), Errc::timed_out);

  HopResponder asked(k_start);
  (void)asked.handle_bytes(k_start + 50s, k_connect);
  EXPECT_EQ(asked.next_timeout(), k_start + 110s);
  HopResponder forgotten = asked;
  forgotten.handle_timeout(k_start + 110s);
  EXPECT_FALSE(forgotten.take_request()) << "it is too late for it";
  asked.answer(HopMessage::answer(Status::ok));
  asked.handle_timeout(k_start + 110s);
  ASSERT_TRUE(asked.result());
  EXPECT_EQ(asked.result()->error().code(), Errc::timed_out) << "the peer does not read";
  EXPECT_TRUE(drain(asked).empty());

  HopResponder wrong(k_start);
  (void)wrong.handle_bytes(k_start + 50s, Bytes(1));
  EXPECT_EQ(wrong.next_timeout(), k_start + 110s);
}

TEST(HopResponder, AnAnswerAfterTheEndIsIgnored) {
  HopResponder responder(k_start);
  (void)responder.handle_bytes(k_start, k_connect);
  responder.handle_timeout(k_start + 60s);
  responder.answer(HopMessage::answer(Status::ok));
  EXPECT_TRUE(drain(responder).empty());
  EXPECT_EQ(responder.result()->error().code(), Errc::timed_out);
  HopResponder early(k_start);
  early.answer(HopMessage::answer(Status::ok));
  EXPECT_TRUE(drain(early).empty()) << "nobody asked";
}

TEST(HopResponder, TheEndOfTheStreamBelongsToTheCircuitOnceItWasAsked) {
  HopResponder empty(k_start);
  empty.handle_eof(k_start);
  EXPECT_EQ(empty.result()->error().code(), Errc::stream_closed);
  HopResponder cut(k_start);
  (void)cut.handle_bytes(k_start, BytesView(k_connect).first(1));
  cut.handle_eof(k_start);
  EXPECT_EQ(cut.result()->error().code(), Errc::truncated);
  HopResponder asked(k_start);
  (void)asked.handle_bytes(k_start, k_reserve);
  asked.handle_eof(k_start);
  asked.answer(HopMessage::answer(Status::ok));
  EXPECT_EQ(status_of<HopMessage>(drain(asked)), Status::ok);
  EXPECT_TRUE(*asked.result());
}

TEST(StopResponder, AnAcceptedOfferIsTheCircuit) {
  StopResponder responder(k_start);
  EXPECT_EQ(responder.handle_bytes(k_start, k_offer), k_offer.size());
  const auto offer = responder.take_request();
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->initiator, peer_of(8));
  EXPECT_EQ(offer->limit, (circuit::Limit{.duration = 120, .data = 131072}));
  responder.answer(StopMessage::answer(Status::ok));
  EXPECT_EQ(status_of<StopMessage>(drain(responder)), Status::ok);
  EXPECT_EQ(**responder.result(), ResponseEnd::circuit);
}

TEST(StopResponder, ARefusedOfferIsFinished) {
  StopResponder responder(k_start);
  (void)responder.handle_bytes(k_start, k_offer);
  responder.answer(StopMessage::answer(Status::connection_failed));
  EXPECT_EQ(status_of<StopMessage>(drain(responder)), Status::connection_failed);
  EXPECT_EQ(**responder.result(), ResponseEnd::finished);
}

TEST(StopResponder, TellsTheRelayWhatIsWrong) {
  const std::vector<std::pair<Bytes, Status>> inputs = {
      {framed(StopMessage::answer(Status::ok)), Status::unexpected_message},
      {framed(connect_without_peer<StopMessage>()), Status::malformed_message},
      {Bytes(1), Status::malformed_message},
  };
  for (const auto& [input, status] : inputs) {
    StopResponder responder(k_start);
    (void)responder.handle_bytes(k_start, input);
    EXPECT_EQ(status_of<StopMessage>(drain(responder)), status);
    EXPECT_EQ(**responder.result(), ResponseEnd::finished);
    EXPECT_TRUE(responder.fault());
  }
}

}  // namespace
}  // namespace dig::relay
