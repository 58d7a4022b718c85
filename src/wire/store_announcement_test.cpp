// SPDX-License-Identifier: Apache-2.0
#include "wire/store_announcement.hpp"

#include <gtest/gtest.h>

#include "wire/node_record.hpp"
#include "wire/signed_statement.hpp"

namespace dig {
namespace {

StoreId store_of(std::size_t number) {
  StoreId store;
  store.bytes[0] = static_cast<std::byte>(number >> 8U);
  store.bytes[1] = static_cast<std::byte>(number);
  return store;
}

struct StoreAnnouncementTest : ::testing::Test {
  SeededRng rng{1};
  Identity identity = Identity::generate(rng);

  StoreAnnouncement page_of(std::size_t count) const {
    StoreAnnouncement page{identity.peer_id(), 5, 3, {}};
    for (std::size_t i = 0; i < count; ++i) page.stores.push_back(store_of(2 * i));
    return page;
  }
  static Errc refusal(const StoreAnnouncement& page) {
    const auto decoded = StoreAnnouncement::decode(page.encode());
    EXPECT_FALSE(decoded);
    return decoded ? Errc::internal : decoded.error().code();
  }
};

TEST_F(StoreAnnouncementTest, SurvivesEncodingUpToItsLimit) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{2}, StoreAnnouncement::max_stores}) {
    const StoreAnnouncement page = page_of(count);
    EXPECT_EQ(StoreAnnouncement::decode(page.encode()), page);
    EXPECT_LE(sign_statement(identity, page).encode().size(), SignedEnvelope::max_encoded_size);
    EXPECT_EQ(read_statement<StoreAnnouncement>(sign_statement(identity, page)), page);
  }
}

TEST_F(StoreAnnouncementTest, FindsItsStores) {
  const StoreAnnouncement page = page_of(100);
  EXPECT_TRUE(page.has(store_of(0)));
  EXPECT_TRUE(page.has(store_of(198)));
  EXPECT_FALSE(page.has(store_of(3)));
}

TEST_F(StoreAnnouncementTest, OnlyRisingWholeIdsAreTaken) {
  StoreAnnouncement page = page_of(3);
  std::swap(page.stores[0], page.stores[1]);
  EXPECT_EQ(refusal(page), Errc::malformed);
  page = page_of(3);
  page.stores[1] = page.stores[0];
  EXPECT_EQ(refusal(page), Errc::malformed);
  EXPECT_EQ(refusal(page_of(0)), Errc::malformed);
  Bytes cut = page_of(1).encode();
  cut.pop_back();
  EXPECT_FALSE(StoreAnnouncement::decode(cut));
}

TEST_F(StoreAnnouncementTest, EachFieldHasItsBounds) {
  EXPECT_EQ(refusal(page_of(StoreAnnouncement::max_stores + 1)), Errc::oversized);
  EXPECT_EQ(refusal(page_of(StoreAnnouncement::max_stores + 100)), Errc::oversized);
  StoreAnnouncement page = page_of(1);
  page.page = NodeRecord::max_pages;
  EXPECT_EQ(refusal(page), Errc::oversized);
  page = page_of(1);
  page.sequence = 0;
  EXPECT_EQ(refusal(page), Errc::malformed);
  page = page_of(1);
  page.peer = {};
  EXPECT_EQ(refusal(page), Errc::bad_peer_id);
}

}  // namespace
}  // namespace dig
