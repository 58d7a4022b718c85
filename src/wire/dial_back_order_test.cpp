// SPDX-License-Identifier: Apache-2.0
#include "wire/dial_back_order.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "dial_back_order.pb.h"
#include "wire/identity.hpp"
#include "wire/protobuf.hpp"

namespace dig::autonat {
namespace {

DialBackOrder some_order() {
  SeededRng rng(1);
  return {Identity::generate(rng).peer_id(), Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value(), 77};
}
pb::DialBackOrder some_message() {
  pb::DialBackOrder message;
  const Bytes encoded = some_order().encode();
  message.ParseFromArray(encoded.data(), static_cast<int>(encoded.size()));
  return message;
}
Errc error_of(const pb::DialBackOrder& message) {
  const auto order = DialBackOrder::decode(serialise_protobuf(message));
  EXPECT_FALSE(order);
  return order ? Errc::internal : order.error().code();
}

TEST(DialBackOrder, RoundTrips) {
  EXPECT_EQ(DialBackOrder::decode(some_order().encode()).value(), some_order());
  for (const DialBackOutcome outcome : {DialBackOutcome::not_tried, DialBackOutcome::dialled_back,
                                        DialBackOutcome::not_connected, DialBackOutcome::not_delivered}) {
    EXPECT_EQ(DialBackReport::decode(DialBackReport{outcome}.encode()).value().outcome, outcome);
  }
}

TEST(DialBackOrder, NeedsAllItsFields) {
  pb::DialBackOrder message = some_message();
  message.clear_peer();
  EXPECT_EQ(error_of(message), Errc::bad_peer_id);
  message = some_message();
  message.clear_address();
  EXPECT_EQ(error_of(message), Errc::malformed);
  message = some_message();
  message.clear_nonce();
  EXPECT_EQ(error_of(message), Errc::malformed);
}

TEST(DialBackOrder, AnOutcomeThatIsNotKnownIsNotTakenForOne) {
  EXPECT_EQ(DialBackReport::decode({}).error().code(), Errc::malformed);
  EXPECT_EQ(DialBackReport::decode(to_bytes("\x08\x04")).error().code(), Errc::malformed);
}

TEST(DialBackOrder, IsBounded) {
  pb::DialBackOrder message = some_message();
  message.set_address(std::string(DialBackOrder::max_encoded_size, 'x'));
  EXPECT_EQ(error_of(message), Errc::oversized);
  EXPECT_EQ(DialBackReport::decode(Bytes(DialBackReport::max_encoded_size + 1)).error().code(), Errc::oversized);
}

TEST(DialBackOrder, SurvivesEveryCut) {
  const Bytes encoded = some_order().encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(DialBackOrder::decode(BytesView(encoded).first(size))) << size;
  }
}

}  // namespace
}  // namespace dig::autonat
