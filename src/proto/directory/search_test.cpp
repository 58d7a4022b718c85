// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/search.hpp"

#include <gtest/gtest.h>

#include "proto/directory/testing/signed_nodes.hpp"

namespace dig::directory {
namespace {

using namespace testing;

constexpr BootstrapId k_first{1};
constexpr BootstrapId k_second{2};

struct SearchTest : ::testing::Test {
  std::vector<TestNode> nodes;
  SearchTest() {
    for (std::uint64_t i = 1; i <= 5; ++i) nodes.emplace_back(i);
  }

  [[nodiscard]] VerifiedRecord record(std::size_t node, std::uint64_t sequence) const {
    return {nodes[node].record(sequence), {}};
  }
  static std::vector<SearchEvent> events(Search& search) {
    std::vector<SearchEvent> out;
    while (auto event = search.poll_event()) out.push_back(std::move(*event));
    return out;
  }
};

TEST_F(SearchTest, AsksEachServerForItsPages) {
  Search search({k_first, k_second, k_first});
  auto all = events(search);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(std::get<Ask>(all[1]).server, k_second);
  search.handle_found(k_first, {record(0, 1)}, DirectoryCursor{1, 2});
  all = events(search);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(std::get<SearchFound>(all[0]).records.size(), 1u);
  EXPECT_EQ(std::get<Ask>(all[1]).cursor, (DirectoryCursor{1, 2}));
  search.handle_found(k_first, {record(1, 1)}, std::nullopt);
  search.handle_found(k_second, {}, std::nullopt);
  all = events(search);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(std::get<SearchEnded>(all[1]).peers, 2u);
  EXPECT_TRUE(search.is_ended());
}

TEST_F(SearchTest, TheNewestRecordOfAPeerWins) {
  Search search({k_first, k_second});
  events(search);
  search.handle_found(k_first, {record(0, 5), record(1, 5)}, std::nullopt);
  events(search);
  search.handle_found(k_second, {record(0, 4), record(1, 6), record(2, 1)}, std::nullopt);
  const auto all = events(search);
  const auto& found = std::get<SearchFound>(all.at(0)).records;
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].record.peer, nodes[1].peer());
  EXPECT_EQ(found[0].record.sequence, 6u);
  EXPECT_EQ(std::get<SearchEnded>(all.at(1)).peers, 3u);
}

TEST_F(SearchTest, AServerThatLiesCostsItsOwnPartOnly) {
  Search search({k_first, k_second});
  events(search);
  search.handle_failed(k_first, Error(Errc::directory_lied));
  search.handle_failed(k_first, Error(Errc::directory_lied));
  search.handle_found(k_first, {record(0, 5)}, std::nullopt);
  EXPECT_TRUE(events(search).empty());
  search.handle_found(k_second, {record(1, 5)}, std::nullopt);
  const auto all = events(search);
  const auto& ended = std::get<SearchEnded>(all.at(1));
  EXPECT_EQ(ended.peers, 1u);
  ASSERT_EQ(ended.errors.size(), 1u);
  EXPECT_EQ(ended.errors[0].server, k_first);
  EXPECT_EQ(ended.errors[0].error.code(), Errc::directory_lied);
}

TEST_F(SearchTest, WithoutServersItEndsAtOnce) {
  Search search({});
  EXPECT_TRUE(std::holds_alternative<SearchEnded>(events(search).at(0)));
}

TEST_F(SearchTest, PeersAndPagesAreBounded) {
  Search few({k_first, k_second}, {.max_peers = 2});
  events(few);
  few.handle_found(k_first, {record(0, 1), record(1, 1), record(2, 1)}, DirectoryCursor{});
  EXPECT_EQ(events(few).size(), 1u) << "no more pages";
  few.handle_found(k_second, {record(3, 1), record(0, 2)}, DirectoryCursor{});
  const auto all = events(few);
  EXPECT_EQ(std::get<SearchFound>(all.at(0)).records.size(), 1u) << "a newer record of a known peer";
  EXPECT_EQ(std::get<SearchEnded>(all.at(1)).peers, 2u);

  Search pages({k_first}, {.max_pages = 3});
  int asked = 0;
  for (auto list = events(pages); !pages.is_ended(); list = events(pages)) {
    for (const SearchEvent& event : list) asked += std::holds_alternative<Ask>(event) ? 1 : 0;
    pages.handle_found(k_first, {record(0, static_cast<std::uint64_t>(asked))}, DirectoryCursor{});
  }
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace dig::directory
