// SPDX-License-Identifier: Apache-2.0
#include "wire/circuit_message.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "circuit.pb.h"
#include "wire/protobuf.hpp"

namespace dig::circuit {
namespace {

Bytes hex(std::string_view text) { return from_hex(text).value(); }

// The peer whose Ed25519 key is 32 bytes of 07, as multihash.
constexpr std::string_view k_peer_hex =
    "0024"
    "08011220"
    "0707070707070707070707070707070707070707070707070707070707070707";
PeerId some_peer() { return PeerId::from_bytes(hex(k_peer_hex)).value(); }
Multiaddr some_address() { return Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value(); }

template <class Message, class Protobuf>
Errc error_of(const Protobuf& message) {
  const auto decoded = Message::decode(serialise_protobuf(message));
  EXPECT_FALSE(decoded);
  return decoded ? Errc::internal : decoded.error().code();
}

pb::HopMessage status_message() {
  pb::HopMessage message;
  message.set_type(2);
  return message;
}

// --- byte for byte as the specification's protobuf says -------------------------------------------------------------

TEST(HopMessage, ReserveHasTheBytesOfTheSpecification) {
  const HopMessage reserve = HopMessage::reserve();
  EXPECT_EQ(reserve.encode(), hex("0800")) << "the type is written although it is 0";
  EXPECT_EQ(HopMessage::decode(hex("0800")).value(), reserve);
}

TEST(HopMessage, ConnectHasTheBytesOfTheSpecification) {
  EXPECT_EQ(HopMessage::connect(some_peer()).encode(), hex("080112280a26" + std::string(k_peer_hex)));
  HopMessage connect = HopMessage::connect(some_peer());
  connect.peer->addresses = {some_address()};
  const Bytes bytes =
      hex("0801"
          "1232"
          "0a26" +
          std::string(k_peer_hex) +
          "1208"
          "04c0000201060fa1");
  EXPECT_EQ(connect.encode(), bytes);
  EXPECT_EQ(HopMessage::decode(bytes).value(), connect);
}

TEST(HopMessage, AGrantHasTheBytesOfTheSpecification) {
  HopMessage grant = HopMessage::answer(Status::ok, {.duration = 120, .data = 131072});
  grant.reservation = Reservation{.expiration = {1893456000}, .addresses = {some_address()}, .voucher = hex("aabb")};
  const Bytes bytes =
      hex("0802"
          "1a14"
          "0880b1ef8607"
          "1208"
          "04c0000201060fa1"
          "1a02aabb"
          "2206"
          "0878"
          "10808008"
          "2864");
  EXPECT_EQ(grant.encode(), bytes);
  EXPECT_EQ(HopMessage::decode(bytes).value(), grant);
}

TEST(StopMessage, HasTheBytesOfTheSpecification) {
  const StopMessage connect = StopMessage::connect(some_peer(), {.duration = 120, .data = 131072});
  const Bytes bytes =
      hex("0800"
          "1228"
          "0a26" +
          std::string(k_peer_hex) +
          "1a06"
          "0878"
          "10808008");
  EXPECT_EQ(connect.encode(), bytes);
  EXPECT_EQ(StopMessage::decode(bytes).value(), connect);

  const StopMessage refusal = StopMessage::answer(Status::connection_failed);
  EXPECT_EQ(refusal.encode(), hex("0801"
                                  "20cb01"));
  EXPECT_EQ(StopMessage::decode(hex("0801"
                                    "20cb01"))
                .value(),
            refusal);
}

// --- limits and statuses --------------------------------------------------------------------------------------------

TEST(HopMessage, AnAbsentLimitAndALimitOfZeroAreNone) {
  EXPECT_TRUE(HopMessage::decode(hex("0802"
                                     "2864"))
                  .value()
                  .limit.is_unlimited());
  EXPECT_TRUE(HopMessage::decode(hex("0802"
                                     "2200"
                                     "2864"))
                  .value()
                  .limit.is_unlimited());
  EXPECT_TRUE(HopMessage::decode(hex("0802"
                                     "2204"
                                     "0800"
                                     "1000"
                                     "2864"))
                  .value()
                  .limit.is_unlimited());
  const Limit only_data = HopMessage::decode(hex("0802"
                                                 "2202"
                                                 "1001"
                                                 "2864"))
                              .value()
                              .limit;
  EXPECT_EQ(only_data, (Limit{.duration = 0, .data = 1}));
  EXPECT_FALSE(only_data.is_unlimited());
  EXPECT_FALSE((Limit{.duration = 1, .data = 0}).is_unlimited());
}

TEST(HopMessage, NoLimitIsNotWritten) {
  EXPECT_EQ(HopMessage::answer(Status::ok).encode(), hex("0802"
                                                         "2864"))
      << "others take the field for a limited circuit";
}

TEST(HopMessage, AnUnknownStatusStaysTheNumberItIs) {
  for (const std::int32_t number : {1, 99, 206, 999, -1, std::numeric_limits<std::int32_t>::max()}) {
    pb::HopMessage hop = status_message();
    hop.set_status(number);
    const auto decoded = HopMessage::decode(serialise_protobuf(hop)).value();
    EXPECT_EQ(static_cast<std::int32_t>(decoded.status), number);
    EXPECT_EQ(HopMessage::decode(decoded.encode()).value(), decoded);
    pb::StopMessage stop;
    stop.set_type(1);
    stop.set_status(number);
    EXPECT_EQ(static_cast<std::int32_t>(StopMessage::decode(serialise_protobuf(stop)).value().status), number);
  }
  EXPECT_EQ(HopMessage::decode(hex("0802")).value().status, Status::unused);
}

TEST(CircuitStatus, HasTheNamesOfTheSpecification) {
  EXPECT_EQ(status_name(Status::ok), "OK");
  EXPECT_EQ(status_name(static_cast<Status>(200)), "RESERVATION_REFUSED");
  EXPECT_EQ(status_name(static_cast<Status>(201)), "RESOURCE_LIMIT_EXCEEDED");
  EXPECT_EQ(status_name(static_cast<Status>(202)), "PERMISSION_DENIED");
  EXPECT_EQ(status_name(static_cast<Status>(203)), "CONNECTION_FAILED");
  EXPECT_EQ(status_name(static_cast<Status>(204)), "NO_RESERVATION");
  EXPECT_EQ(status_name(static_cast<Status>(400)), "MALFORMED_MESSAGE");
  EXPECT_EQ(status_name(static_cast<Status>(401)), "UNEXPECTED_MESSAGE");
  EXPECT_EQ(status_name(static_cast<Status>(999)), "status 999");
}

// --- bad input ------------------------------------------------------------------------------------------------------

TEST(HopMessage, ATypeThatIsMissingOrUnknownIsRefused) {
  EXPECT_EQ(HopMessage::decode({}).error().code(), Errc::malformed);
  EXPECT_EQ(HopMessage::decode(hex("2864")).error().code(), Errc::malformed);
  EXPECT_EQ(HopMessage::decode(hex("0803")).error().code(), Errc::malformed);
  EXPECT_EQ(HopMessage::decode(hex("08ffffffffffffffffff01")).error().code(), Errc::malformed) << "-1";
  EXPECT_EQ(StopMessage::decode({}).error().code(), Errc::malformed);
  EXPECT_EQ(StopMessage::decode(hex("0802")).error().code(), Errc::malformed) << "a stop stream has two types";
}

TEST(HopMessage, APeerWithoutAValidIdIsRefused) {
  pb::HopMessage message;
  message.set_type(1);
  for (const std::string_view id : {"", "00", "0000", "12200102", "ff"}) {
    message.mutable_peer()->set_id(to_field(hex(id)));
    EXPECT_EQ(error_of<HopMessage>(message), Errc::malformed) << id;
    pb::StopMessage stop;
    stop.set_type(0);
    stop.mutable_peer()->set_id(to_field(hex(id)));
    EXPECT_EQ(error_of<StopMessage>(stop), Errc::malformed) << id;
  }
}

TEST(HopMessage, AddressesItDoesNotUnderstandAreLeftOut) {
  pb::HopMessage message = status_message();
  for (const std::string_view address : {"8401", "", "040102", "04c0000201060fa1"}) {
    message.mutable_reservation()->add_addrs(to_field(hex(address)));
  }
  message.mutable_reservation()->add_addrs(std::string(Multiaddr::max_size + 1, 'x'));
  const auto decoded = HopMessage::decode(serialise_protobuf(message)).value();
  EXPECT_EQ(decoded.reservation->addresses, std::vector{some_address()});
}

TEST(HopMessage, ATimeBeyondWhatASignedNumberHoldsIsTheLastOne) {
  pb::HopMessage message = status_message();
  message.mutable_reservation()->set_expire(std::numeric_limits<std::uint64_t>::max());
  const auto decoded = HopMessage::decode(serialise_protobuf(message)).value();
  EXPECT_EQ(decoded.reservation->expiration.seconds, std::numeric_limits<std::int64_t>::max());
}

TEST(HopMessage, IsBounded) {
  pb::HopMessage message = status_message();
  message.mutable_reservation()->set_voucher(std::string(k_max_message_size - 8, 'x'));
  ASSERT_EQ(serialise_protobuf(message).size(), k_max_message_size);
  EXPECT_TRUE(HopMessage::decode(serialise_protobuf(message)));
  message.mutable_reservation()->set_voucher(std::string(k_max_message_size - 7, 'x'));
  EXPECT_EQ(error_of<HopMessage>(message), Errc::oversized);
  EXPECT_EQ(StopMessage::decode(Bytes(k_max_message_size + 1)).error().code(), Errc::oversized);
}

TEST(HopMessage, UnknownFieldsAreIgnoredAndGarbageIsRefused) {
  EXPECT_EQ(HopMessage::decode(hex("0800"
                                   "980601"))
                .value()
                .type,
            HopMessage::Type::reserve);
  EXPECT_EQ(HopMessage::decode(hex("0f")).error().code(), Errc::malformed);
  EXPECT_EQ(HopMessage::decode(hex("0801"
                                   "12ffff03"))
                .error()
                .code(),
            Errc::malformed);
  EXPECT_EQ(StopMessage::decode(hex("0f")).error().code(), Errc::malformed);
}

}  // namespace
}  // namespace dig::circuit
