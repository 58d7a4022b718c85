// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/requests.hpp"

#include <gtest/gtest.h>

#include "proto/relay/protocol.hpp"

namespace dig::relay {
namespace {

using circuit::HopMessage;
using circuit::Status;
using circuit::StopMessage;

constexpr Instant k_start{1000s};

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

class RequestsTest : public ::testing::Test {
 protected:
  template <class Client>
  static Bytes drain(Client& client) {
    Bytes sent;
    Bytes out(5);
    while (const std::size_t size = client.poll_bytes(out)) append(sent, BytesView(out).first(size));
    return sent;
  }
  // A client that has sent its request.
  ReserveClient reserving() const {
    ReserveClient client(k_start, {relay.peer_id(), self.peer_id()}, k_hop_timeout);
    drain(client);
    return client;
  }
  ConnectClient connecting() const {
    ConnectClient client(k_start, {target.peer_id()}, k_hop_timeout);
    drain(client);
    return client;
  }
  StopClient stopping() const {
    StopClient client(k_start, {self.peer_id(), k_limit}, k_stop_timeout);
    drain(client);
    return client;
  }
  HopMessage grant() const {
    HopMessage message = HopMessage::answer(Status::ok, k_limit);
    message.reservation =
        circuit::Reservation{.expiration = {2000000000},
                             .addresses = {Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value()},
                             .voucher = ReservationVoucher{relay.peer_id(), self.peer_id(), {2000000000}}.seal(relay)};
    return message;
  }
  template <class Client>
  static Errc error_of(Client client, BytesView answer) {
    EXPECT_EQ(client.handle_bytes(k_start, answer), answer.size());
    EXPECT_TRUE(client.result() && !*client.result());
    return *client.result() ? Errc::internal : client.result()->error().code();
  }

  static constexpr circuit::Limit k_limit{.duration = 120, .data = 131072};
  SeededRng rng{1};
  Identity relay = Identity::generate(rng);
  Identity self = Identity::generate(rng);
  Identity target = Identity::generate(rng);
};

TEST_F(RequestsTest, SendsWhatTheSpecificationSays) {
  ReserveClient reserve(k_start, {relay.peer_id(), self.peer_id()}, k_hop_timeout);
  EXPECT_EQ(drain(reserve), framed(HopMessage::reserve()));
  ConnectClient connect(k_start, {target.peer_id()}, k_hop_timeout);
  EXPECT_EQ(drain(connect), framed(HopMessage::connect(target.peer_id())));
  StopClient stop(k_start, {self.peer_id(), k_limit}, k_stop_timeout);
  EXPECT_EQ(drain(stop), framed(StopMessage::connect(self.peer_id(), k_limit)));
}

TEST_F(RequestsTest, AGrantIsAReservation) {
  ReserveClient client = reserving();
  const Bytes answer = framed(grant());
  EXPECT_EQ(client.handle_bytes(k_start, answer), answer.size());
  ASSERT_TRUE(client.result() && *client.result());
  const GrantedReservation& granted = **client.result();
  EXPECT_EQ(granted.expiration.seconds, 2000000000);
  EXPECT_EQ(granted.addresses, grant().reservation->addresses);
  EXPECT_EQ(granted.limit, k_limit);
  ASSERT_TRUE(granted.voucher);
  EXPECT_EQ(granted.voucher->peer, self.peer_id());
  EXPECT_FALSE(client.next_timeout());
}

TEST_F(RequestsTest, AGrantWithoutVoucherIsOneToo) {
  HopMessage message = grant();
  message.reservation->voucher.clear();
  message.limit = {};
  ReserveClient client = reserving();
  (void)client.handle_bytes(k_start, framed(message));
  ASSERT_TRUE(client.result() && *client.result());
  EXPECT_FALSE((*client.result())->voucher);
  EXPECT_TRUE((*client.result())->limit.is_unlimited());
}

TEST_F(RequestsTest, AVoucherThatIsNotForUsIsRefused) {
  HopMessage message = grant();
  message.reservation->voucher = ReservationVoucher{relay.peer_id(), target.peer_id(), {1}}.seal(relay);
  EXPECT_EQ(error_of(reserving(), framed(message)), Errc::peer_id_mismatch) << "another client's";
  message.reservation->voucher = ReservationVoucher{target.peer_id(), self.peer_id(), {1}}.seal(target);
  EXPECT_EQ(error_of(reserving(), framed(message)), Errc::peer_id_mismatch) << "another relay's";
  message = grant();
  message.reservation->voucher.back() ^= std::byte{1};
  EXPECT_EQ(error_of(reserving(), framed(message)), Errc::bad_signature);
  message.reservation->voucher = to_bytes("no envelope");
  EXPECT_FALSE(ReserveRequest({relay.peer_id(), self.peer_id()}).read_answer(message.encode()));
}

TEST_F(RequestsTest, EveryRefusalIsToldByName) {
  const std::vector<std::pair<Status, Errc>> refusals = {
      {Status::reservation_refused, Errc::relay_reservation_refused},
      {Status::resource_limit_exceeded, Errc::relay_limit_exceeded},
      {Status::permission_denied, Errc::relay_permission_denied},
      {Status::connection_failed, Errc::relay_connection_failed},
      {Status::no_reservation, Errc::relay_no_reservation},
      {Status::malformed_message, Errc::relay_refused},
      {Status::unexpected_message, Errc::relay_refused},
      {Status::unused, Errc::relay_refused},
      {static_cast<Status>(999), Errc::relay_refused},
  };
  for (const auto& [status, code] : refusals) {
    EXPECT_EQ(error_of(reserving(), framed(HopMessage::answer(status))), code) << circuit::status_name(status);
    EXPECT_EQ(error_of(connecting(), framed(HopMessage::answer(status))), code) << circuit::status_name(status);
    EXPECT_EQ(error_of(stopping(), framed(StopMessage::answer(status))), code) << circuit::status_name(status);
    EXPECT_EQ(refusal(status).detail(), circuit::status_name(status));
  }
}

TEST_F(RequestsTest, WhatIsNoAnswerIsRefused) {
  EXPECT_EQ(error_of(reserving(), framed(HopMessage::reserve())), Errc::protocol_violation);
  EXPECT_EQ(error_of(connecting(), framed(connect_without_peer<HopMessage>())), Errc::protocol_violation);
  EXPECT_EQ(error_of(stopping(), framed(connect_without_peer<StopMessage>())), Errc::protocol_violation);
  EXPECT_EQ(error_of(reserving(), framed(HopMessage::answer(Status::ok))), Errc::malformed) << "no reservation in it";
  EXPECT_EQ(error_of(connecting(), Bytes(1)), Errc::malformed) << "an empty message";
}

TEST_F(RequestsTest, AMessageThatIsTooLongIsRefusedBeforeItCame) {
  Bytes prefix;
  write_uvarint(prefix, circuit::k_max_message_size + 1);
  ConnectClient client = connecting();
  (void)client.handle_bytes(k_start, prefix);
  ASSERT_TRUE(client.result() && !*client.result());
  EXPECT_EQ(client.result()->error().code(), Errc::oversized);
}

TEST_F(RequestsTest, NotAByteOfTheCircuitIsTaken) {
  const Bytes answer = framed(HopMessage::answer(Status::ok, k_limit));
  Bytes input = answer;
  append(input, as_bytes("the first bytes of the circuit"));
  for (std::size_t cut = 0; cut <= input.size(); ++cut) {
    ConnectClient client = connecting();
    std::size_t taken = client.handle_bytes(k_start, BytesView(input).first(cut));
    EXPECT_EQ(taken, std::min(cut, answer.size()));
    taken += client.handle_bytes(k_start, BytesView(input).subspan(taken));
    EXPECT_EQ(taken, answer.size());
    EXPECT_EQ(client.handle_bytes(k_start, BytesView(input).subspan(taken)), 0U);
    ASSERT_TRUE(client.result() && *client.result()) << cut;
    EXPECT_EQ(**client.result(), k_limit);
  }
  StopClient stop = stopping();
  Bytes stop_input = framed(StopMessage::answer(Status::ok));
  const std::size_t size = stop_input.size();
  append(stop_input, as_bytes("raw"));
  EXPECT_EQ(stop.handle_bytes(k_start, stop_input), size);
  EXPECT_TRUE(stop.result() && *stop.result());
}

TEST_F(RequestsTest, AnAnswerBeforeTheRequestIsAViolation) {
  ConnectClient client(k_start, {target.peer_id()}, k_hop_timeout);
  Bytes out(1);
  EXPECT_EQ(client.poll_bytes(out), 1U);
  EXPECT_EQ(client.handle_bytes(k_start, framed(HopMessage::answer(Status::ok))), 0U);
  ASSERT_TRUE(client.result() && !*client.result());
  EXPECT_EQ(client.result()->error().code(), Errc::protocol_violation);
  EXPECT_EQ(client.poll_bytes(out), 0U) << "the rest is not sent";
}

TEST_F(RequestsTest, WaitsUntilItsDeadlineAndNoLonger) {
  ConnectClient client = connecting();
  EXPECT_EQ(client.next_timeout(), k_start + 60s);
  client.handle_timeout(k_start + 60s - 1ns);
  EXPECT_FALSE(client.result());
  client.handle_timeout(k_start + 60s);
  ASSERT_TRUE(client.result() && !*client.result());
  EXPECT_EQ(client.result()->error().code(), Errc::timed_out);
  EXPECT_FALSE(client.next_timeout());
  EXPECT_EQ(client.handle_bytes(k_start + 61s, framed(HopMessage::answer(Status::ok))), 0U);
  EXPECT_FALSE(*client.result()) << "too late";
}

TEST_F(RequestsTest, AStreamThatEndsIsAnError) {
  ConnectClient closed = connecting();
  closed.handle_eof(k_start);
  EXPECT_EQ(closed.result()->error().code(), Errc::stream_closed);
  ConnectClient cut = connecting();
  const Bytes answer = framed(HopMessage::answer(Status::ok));
  (void)cut.handle_bytes(k_start, BytesView(answer).first(answer.size() - 1));
  cut.handle_eof(k_start);
  EXPECT_EQ(cut.result()->error().code(), Errc::truncated);
  ConnectClient late = connecting();
  (void)late.handle_bytes(k_start, answer);
  late.handle_eof(k_start);
  EXPECT_TRUE(*late.result()) << "behind the answer the end is the circuit's";
}

}  // namespace
}  // namespace dig::relay
