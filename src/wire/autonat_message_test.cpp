// SPDX-License-Identifier: Apache-2.0
#include "wire/autonat_message.hpp"

#include <gtest/gtest.h>

#include "autonat.pb.h"
#include "base/base_encoding.hpp"
#include "wire/protobuf.hpp"

namespace dig::autonat {
namespace {

const Multiaddr k_v4 = Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value();
const Multiaddr k_v6 = Multiaddr::parse("/ip6/2001:db8::1/tcp/443").value();

Bytes hex(std::string_view text) { return from_hex(text).value(); }
Errc error_of(BytesView bytes) {
  const auto message = decode_message(bytes);
  EXPECT_FALSE(message);
  return message ? Errc::internal : message.error().code();
}

struct Vector {
  std::string_view name;
  Message message;
  Bytes bytes;
};

// Written by hand from "RPC Messages" and the rules of proto3: a zero is absent, fixed64 is little-endian.
std::vector<Vector> vectors() {
  return {
      {"request", DialRequest{{k_v4, k_v6}, 0x1122334455667788},
       hex("0a29"
           "0a0804c0000201060fa1"
           "0a142920010db800000000000000000000000106"
           "01bb"
           "118877665544332211")},
      {"request without anything", DialRequest{}, hex("0a00")},
      {"internal error", DialResponse{}, hex("1200")},
      {"rejected", DialResponse{ResponseStatus::request_rejected, 0, DialStatus::unused}, hex("12020864")},
      {"refused", DialResponse{ResponseStatus::dial_refused, 0, DialStatus::unused}, hex("12020865")},
      {"dialled", DialResponse{ResponseStatus::ok, 1, DialStatus::ok}, hex("120808c801100118c801")},
      {"not connected", DialResponse{ResponseStatus::ok, 0, DialStatus::dial_error}, hex("120508c8011864")},
      {"no dial-back", DialResponse{ResponseStatus::ok, 300, DialStatus::dial_back_error}, hex("120808c80110ac021865")},
      {"data request", DialDataRequest{1, 30'000}, hex("1a06080110b0ea01")},
      {"data", DialDataResponse{hex("000000")}, hex("22050a03000000")},
  };
}

TEST(AutonatMessage, HasTheBytesOfTheSpecification) {
  for (const Vector& vector : vectors()) {
    EXPECT_EQ(encode_message(vector.message), vector.bytes) << vector.name;
    const auto decoded = decode_message(vector.bytes);
    ASSERT_TRUE(decoded) << vector.name;
    EXPECT_EQ(*decoded, vector.message) << vector.name;
  }
  EXPECT_EQ(DialBack{1}.encode(), hex("090100000000000000"));
  EXPECT_EQ(DialBack::decode(hex("09ffffffffffffffff")).value(), DialBack{0xFFFFFFFFFFFFFFFF});
  EXPECT_EQ(DialBack::decode({}).value(), DialBack{0}) << "a nonce of zero is not written";
  EXPECT_EQ(DialBackResponse().encode(), Bytes()) << "OK is zero";
}

TEST(AutonatMessage, TakesADialBackResponseWhoseOkIsWrittenOut) {
  EXPECT_TRUE(DialBackResponse::decode({}));
  EXPECT_TRUE(DialBackResponse::decode(hex("0800")));
  EXPECT_EQ(DialBackResponse::decode(hex("0801")).error().code(), Errc::unsupported);
}

// The answers name an address by its index.
TEST(AutonatMessage, AnAddressThatIsNotUnderstoodKeepsItsPlace) {
  pb::AutonatMessage message;
  pb::DialRequest& request = *message.mutable_dial_request();
  request.add_addrs("\x84\x01");  // sctp
  request.add_addrs("");
  request.add_addrs(std::string(Multiaddr::max_size + 1, 'x'));
  request.add_addrs(to_field(k_v4.bytes()));
  const auto decoded = decode_message(serialise_protobuf(message));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<DialRequest>(*decoded).addresses, (std::vector<Multiaddr>{{}, {}, {}, k_v4}));
}

TEST(AutonatMessage, LooksAt50AddressesOnly) {
  pb::AutonatMessage message;
  for (std::size_t i = 0; i < k_max_addresses - 1; ++i) message.mutable_dial_request()->add_addrs("");
  message.mutable_dial_request()->add_addrs(to_field(k_v4.bytes()));
  for (int i = 0; i < 20; ++i) message.mutable_dial_request()->add_addrs(to_field(k_v6.bytes()));
  const auto decoded = decode_message(serialise_protobuf(message));
  ASSERT_TRUE(decoded);
  const auto& addresses = std::get<DialRequest>(*decoded).addresses;
  EXPECT_EQ(addresses.size(), k_max_addresses);
  EXPECT_EQ(addresses.back(), k_v4);

  DialRequest large{std::vector<Multiaddr>(k_max_addresses + 1, k_v4), 1};
  pb::AutonatMessage sent;
  const Bytes encoded = encode_message(large);
  ASSERT_TRUE(sent.ParseFromArray(encoded.data(), static_cast<int>(encoded.size())));
  EXPECT_EQ(sent.dial_request().addrs_size(), static_cast<int>(k_max_addresses));
}

TEST(AutonatMessage, StatusCodesThatAreNotKnownAreDiscarded) {
  EXPECT_EQ(error_of(hex("12020801")), Errc::unsupported);
  EXPECT_EQ(error_of(hex("120308c901")), Errc::unsupported);
  EXPECT_EQ(error_of(hex("120608c8011866")), Errc::malformed) << "cut short";
  EXPECT_EQ(error_of(hex("120508c8011866")), Errc::unsupported);
  EXPECT_EQ(error_of(hex("120b08ffffffffffffffffff01")), Errc::unsupported) << "a negative one";
}

TEST(AutonatMessage, AMessageOfAnUnknownKindIsDiscarded) {
  EXPECT_EQ(error_of({}), Errc::unsupported);
  EXPECT_EQ(error_of(hex("2a00")), Errc::unsupported);
}

TEST(AutonatMessage, BoundsThePiecesOfDialData) {
  const auto with = [](std::size_t size) {
    pb::AutonatMessage message;
    message.mutable_dial_data_response()->set_data(std::string(size, '\0'));
    return serialise_protobuf(message);
  };
  EXPECT_TRUE(decode_message(with(k_max_dial_data)));
  EXPECT_EQ(error_of(with(k_max_dial_data + 1)), Errc::oversized);
}

TEST(AutonatMessage, BoundsEveryMessage) {
  const auto padded = [](Bytes message, std::size_t size) {
    append(message, hex("fa01"));  // field 31
    const std::size_t rest = size - message.size() - 2;
    message.push_back(static_cast<std::byte>(rest % 128 + 128));
    message.push_back(static_cast<std::byte>(rest / 128));
    message.resize(size);
    return message;
  };
  EXPECT_TRUE(decode_message(padded(hex("1200"), k_max_message)));
  EXPECT_EQ(error_of(padded(hex("1200"), k_max_message + 1)), Errc::oversized);
  EXPECT_TRUE(DialBack::decode(padded({}, DialBack::max_encoded_size)));
  EXPECT_EQ(DialBack::decode(padded({}, DialBack::max_encoded_size + 1)).error().code(), Errc::oversized);
  EXPECT_TRUE(DialBackResponse::decode(padded({}, DialBackResponse::max_encoded_size)));
  EXPECT_EQ(DialBackResponse::decode(padded({}, DialBackResponse::max_encoded_size + 1)).error().code(),
            Errc::oversized);
}

TEST(AutonatMessage, SurvivesEveryCut) {
  for (const Vector& vector : vectors()) {
    for (std::size_t size = 0; size < vector.bytes.size(); ++size) {
      const auto cut = decode_message(BytesView(vector.bytes).first(size));
      if (cut) {
        EXPECT_NE(*cut, vector.message) << vector.name << size;
      }
    }
  }
}

}  // namespace
}  // namespace dig::autonat
