// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/announced_pages.hpp"

#include <gtest/gtest.h>

#include <set>

#include "proto/directory/testing/signed_nodes.hpp"

namespace dig::directory {
namespace {

using namespace testing;

struct AnnouncedPagesTest : ::testing::Test {
  TestNode node{1};
  AnnouncedPages pages{4};
  std::uint64_t sequence = 1;

  static std::vector<StoreId> stores(std::uint64_t first, std::uint64_t count) {
    std::vector<StoreId> out;
    for (std::uint64_t i = 0; i < count; ++i) out.push_back(store_of(first + i));
    return out;
  }
  // What is signed, page by page; checks that it is signed as pages must be.
  std::vector<StoreAnnouncement> signed_pages() {
    pages.sign(node.identity, sequence);
    std::vector<StoreAnnouncement> out;
    for (std::uint32_t number = 0; number < pages.count(); ++number) {
      const auto page = read_statement<StoreAnnouncement>(SignedEnvelope::decode(pages.envelope(number)).value());
      EXPECT_TRUE(page);
      if (!page) continue;
      EXPECT_EQ(page->page, number);
      out.push_back(*page);
    }
    return out;
  }
  static std::set<StoreId> all_of(const std::vector<StoreAnnouncement>& list) {
    std::set<StoreId> out;
    for (const StoreAnnouncement& page : list) out.insert(page.stores.begin(), page.stores.end());
    return out;
  }
};

TEST_F(AnnouncedPagesTest, NoStoresAreNoPages) {
  EXPECT_FALSE(pages.set({}));
  EXPECT_EQ(pages.count(), 0u);
  EXPECT_TRUE(pages.set(stores(0, 1)));
  EXPECT_EQ(pages.count(), 1u);
  EXPECT_TRUE(pages.set({}));
  EXPECT_EQ(pages.count(), 0u);
}

TEST_F(AnnouncedPagesTest, AChangeSignsOnePageAnew) {
  pages.set(stores(0, 10));
  EXPECT_EQ(signed_pages().size(), 3u);
  ++sequence;
  EXPECT_TRUE(pages.set(stores(0, 11)));
  int changed = 0;
  for (const StoreAnnouncement& page : signed_pages()) changed += page.sequence == sequence ? 1 : 0;
  EXPECT_EQ(changed, 1);
  EXPECT_FALSE(pages.set(stores(0, 11)));
}

TEST_F(AnnouncedPagesTest, TheSameStoreTwiceIsOneStore) {
  std::vector<StoreId> twice = stores(0, 3);
  twice.push_back(twice.front());
  pages.set(twice);
  EXPECT_EQ(all_of(signed_pages()).size(), 3u);
}

TEST_F(AnnouncedPagesTest, WhatDoesNotFitIsLeftOut) {
  AnnouncedPages small(1);
  small.set(stores(0, NodeRecord::max_pages + 5));
  EXPECT_EQ(small.count(), NodeRecord::max_pages);
  EXPECT_EQ(small.left_out(), 5u);
}

TEST_F(AnnouncedPagesTest, RandomChangesAreAnnouncedExactly) {
  SeededRng rng(3);
  for (int step = 0; step < 200; ++step) {
    std::vector<StoreId> wanted;
    for (std::uint64_t i = 0; i < 30; ++i) {
      if (rng.below(3) != 0) wanted.push_back(store_of(i));
    }
    if (step % 20 == 0) wanted.resize(std::min<std::size_t>(wanted.size(), 2));
    pages.set(wanted);
    ++sequence;
    const auto list = signed_pages();
    ASSERT_EQ(all_of(list), std::set<StoreId>(wanted.begin(), wanted.end()));
    std::size_t total = 0;
    for (const StoreAnnouncement& page : list) total += page.stores.size();
    ASSERT_EQ(total, wanted.size()) << "each on one page";
  }
}

}  // namespace
}  // namespace dig::directory
