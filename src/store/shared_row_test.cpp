// SPDX-License-Identifier: Apache-2.0
#include "store/shared_row.hpp"

#include <gtest/gtest.h>

#include "wire/identity.hpp"
#include "wire/node_record.hpp"
#include "wire/signed_statement.hpp"
#include "wire/store_announcement.hpp"

namespace dig::store {
namespace {

constexpr std::uint64_t k_sequence = (std::uint64_t{1} << 52U) + 7;

Identity identity_of(std::uint64_t seed) {
  SeededRng rng(seed);
  return Identity::generate(rng);
}

struct SharedRow : ::testing::Test {
  Identity alice = identity_of(1);
  NodeRecord record{.peer = alice.peer_id(),
                    .sequence = k_sequence,
                    .lifetime = 1h,
                    .addresses = {Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value()},
                    .roles = {},
                    .reachability = {},
                    .pages = 3};
  DirectoryRow row_of_record() const {
    return {.peer = alice.peer_id(),
            .slot = 0,
            .sequence = k_sequence,
            .source = 0xFFEE'DDCC'BBAA'9988,
            .lifetime = 3599999ms,
            .kept = 2h,
            .envelope = sign_statement(alice, record).encode()};
  }
  DirectoryRow row_of_page(std::uint32_t page) const {
    return {.peer = alice.peer_id(),
            .slot = page + 1,
            .sequence = 5,
            .source = 0,
            .lifetime = {},
            .kept = {},
            .envelope = sign_statement(alice, StoreAnnouncement{alice.peer_id(), 5, page, {StoreId{}}}).encode()};
  }
  DirectoryRow row_of_removal() const {
    return {.peer = alice.peer_id(),
            .slot = 0,
            .sequence = 9,
            .source = 1,
            .lifetime = {},
            .kept = 1h,
            .envelope = sign_statement(alice, NodeRemoval{alice.peer_id(), 9}).encode()};
  }
  Errc refusal(const PeerId& peer, std::uint32_t slot, const Bytes& value) const {
    const auto decoded = decode_shared_row(peer, slot, value);
    EXPECT_FALSE(decoded);
    return decoded ? Errc::internal : decoded.error().code();
  }
};

TEST_F(SharedRow, SurvivesEncoding) {
  for (const DirectoryRow& row : {row_of_record(), row_of_page(0), row_of_page(255), row_of_removal()}) {
    const auto decoded = decode_shared_row(row.peer, row.slot, encode_shared_row(row));
    ASSERT_TRUE(decoded) << decoded.error().message();
    EXPECT_EQ(*decoded, row);
  }
}

TEST_F(SharedRow, TheSequenceIsAtItsPlace) {
  const Bytes value = encode_shared_row(row_of_record());
  const Bytes start = encode_shared_sequence(k_sequence);
  EXPECT_TRUE(equal(BytesView(value).first(start.size()), start));
  EXPECT_EQ(start, (Bytes{std::byte{1}, {}, std::byte{0x10}, {}, {}, {}, {}, {}, std::byte{7}}));
}

TEST_F(SharedRow, WhatDoesNotAgreeWithItselfIsRefused) {
  const PeerId& peer = alice.peer_id();
  const Bytes good = encode_shared_row(row_of_record());
  EXPECT_EQ(refusal(identity_of(2).peer_id(), 0, good), Errc::record_of_another_peer);
  EXPECT_EQ(refusal(peer, 1, good), Errc::malformed) << "a record in the place of a page";
  EXPECT_EQ(refusal(peer, 2, encode_shared_row(row_of_page(0))), Errc::malformed) << "another page";
  DirectoryRow row = row_of_record();
  row.sequence += 1;
  EXPECT_EQ(refusal(peer, 0, encode_shared_row(row)), Errc::malformed) << "another sequence";
  row = row_of_record();
  row.lifetime = Duration(0);
  EXPECT_EQ(refusal(peer, 0, encode_shared_row(row)), Errc::malformed) << "a record that claims to be a removal";
  row = row_of_removal();
  row.lifetime = 1min;
  EXPECT_EQ(refusal(peer, 0, encode_shared_row(row)), Errc::malformed) << "a removal that lives";
  row = row_of_record();
  row.kept = 1min;
  EXPECT_EQ(refusal(peer, 0, encode_shared_row(row)), Errc::malformed) << "lives longer than it is kept";
  Bytes bytes = good;
  bytes[0] = std::byte{2};
  EXPECT_EQ(refusal(peer, 0, bytes), Errc::malformed);
  bytes = good;
  bytes[21] = std::byte{0xFF};
  EXPECT_EQ(refusal(peer, 0, bytes), Errc::malformed) << "kept for weeks";
  bytes.resize(k_max_shared_row + 1);
  EXPECT_EQ(refusal(peer, 0, bytes), Errc::oversized);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_shared_row(peer, 0, BytesView(good).first(size))) << size;
  }
}

TEST_F(SharedRow, AgesByWhatIsLeft) {
  DirectoryRow row = row_of_record();
  age_shared_row(row, 90min);
  EXPECT_EQ(row.kept, 90min);
  EXPECT_EQ(row.lifetime, 29min + 59999ms);
  age_shared_row(row, 1ms);
  EXPECT_EQ(row.lifetime, Duration(0));
  row = row_of_record();
  age_shared_row(row, 9h);
  EXPECT_EQ(row, row_of_record()) << "nobody gives it more time";
}

TEST_F(SharedRow, ARecordSaysWhichPagesAreStale) {
  EXPECT_EQ(first_stale_slot(row_of_record()), 4U);
  EXPECT_EQ(first_stale_slot(row_of_removal()), 1U);
  DirectoryRow ended = row_of_record();
  ended.lifetime = Duration(0);
  EXPECT_EQ(first_stale_slot(ended), std::nullopt);
  ended = row_of_removal();
  ended.kept = Duration(0);
  EXPECT_EQ(first_stale_slot(ended), std::nullopt);
}

}  // namespace
}  // namespace dig::store
