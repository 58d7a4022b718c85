// SPDX-License-Identifier: Apache-2.0
// A directory that is full, and long listings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "proto/directory/testing/server_fixture.hpp"

namespace dig::directory {
namespace {

using namespace testing;

constexpr SourcePrefix k_attacker = 666;

// `count` nodes of a source, with one store each.
std::vector<TestNode> crowd(ServerFixture& fixture, std::uint64_t first_seed, std::size_t count,
                            const std::function<SourcePrefix(std::size_t)>& source, const StoreId& store) {
  std::vector<TestNode> nodes;
  for (std::size_t i = 0; i < count; ++i) {
    nodes.emplace_back(first_seed + i);
    const TestNode& node = nodes.back();
    std::ignore =
        fixture.register_all(node, {node.signed_record(k_wall_ms), node.signed_page(k_wall_ms, 0, {store})}, source(i));
    fixture.advance(1ms);  // no more at once than the server checks
  }
  return nodes;
}
SourcePrefix attacker(std::size_t) { return k_attacker; }
SourcePrefix one_each(std::size_t i) { return 1000 + i; }

std::size_t known(ServerFixture& fixture, const std::vector<TestNode>& nodes) {
  std::size_t count = 0;
  for (const TestNode& node : nodes) count += fixture.knows(node) ? 1u : 0u;
  return count;
}

TEST(DirectoryRoom, ManyKeysBehindOnePrefixHaveOneShare) {
  ServerFixture fixture({.max_records = 100, .max_records_per_source = 20});
  const auto honest = crowd(fixture, 1, 60, one_each, store_of(1));
  const auto hostile = crowd(fixture, 10'000, 200, attacker, store_of(1));
  EXPECT_EQ(known(fixture, honest), 60u);
  EXPECT_EQ(known(fixture, hostile), 20u);
}

TEST(DirectoryRoom, TheLargestSourceGivesWayToSmallerOnes) {
  ServerFixture fixture({.max_records = 100, .max_records_per_source = 90});
  const auto hostile = crowd(fixture, 10'000, 200, attacker, store_of(1));
  EXPECT_EQ(known(fixture, hostile), 90u);
  const auto honest = crowd(fixture, 1, 95, one_each, store_of(1));
  EXPECT_EQ(known(fixture, honest), 95u);
  EXPECT_EQ(known(fixture, hostile), 5u);
  EXPECT_EQ(fixture.server.snapshot().live, 100u);
  EXPECT_EQ(fixture.server.snapshot().evicted, 85u);
  // And what was evicted is not kept on the disk.
  EXPECT_EQ(fixture.disk.size(), 200u);
}

TEST(DirectoryRoom, WhoIsNoSmallerThanTheLargestIsRefused) {
  ServerFixture fixture({.max_records = 10});
  const auto first = crowd(fixture, 1, 10, one_each, store_of(1));
  const TestNode late(500);
  const auto refused = fixture.register_all(late, {late.signed_record(k_wall_ms)}, 5);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::directory_full);
  EXPECT_EQ(known(fixture, first), 10u);
  // Those that are there stay, and may change.
  EXPECT_TRUE(fixture.register_all(first[3], {first[3].signed_record(k_wall_ms + 1)}, one_each(3)));
  fixture.advance(1h);  // the others expire, and what is remembered of them takes no place
  EXPECT_TRUE(fixture.register_all(late, {late.signed_record(k_wall_ms + 3'600'000)}, 5));
  EXPECT_EQ(fixture.server.snapshot().live, 1u);
  EXPECT_EQ(fixture.server.snapshot().ended, 10u);
}

// Few records with very many stores crowd nobody out either.
TEST(DirectoryRoom, BytesAreSharedLikeRecords) {
  ServerFixture fixture({.max_bytes = 400'000});
  std::vector<TestNode> heavy;
  std::vector<StoreId> stores;
  for (std::uint64_t i = 0; i < 1000; ++i) stores.push_back(store_of(i));
  for (std::uint64_t i = 0; i < 10; ++i) {
    heavy.emplace_back(10'000 + i);
    const Bytes page = heavy.back().signed_page(k_wall_ms, 0, stores);
    std::ignore = fixture.register_all(heavy.back(), {heavy.back().signed_record(k_wall_ms), page}, k_attacker);
  }
  EXPECT_GT(fixture.server.snapshot().bytes, 300'000u);
  const auto honest = crowd(fixture, 1, 300, one_each, store_of(1));
  EXPECT_EQ(known(fixture, honest), 300u);
  EXPECT_LE(fixture.server.snapshot().bytes, 400'000u);
  EXPECT_GT(fixture.server.snapshot().evicted, 0u);
}

TEST(DirectoryRoom, ASourceHasAShareOfTheBytes) {
  ServerFixture fixture({.max_bytes_per_source = 2000});
  const auto nodes = crowd(fixture, 1, 20, attacker, store_of(1));
  EXPECT_GE(known(fixture, nodes), 2u);
  EXPECT_LE(known(fixture, nodes), 5u);
  EXPECT_LE(fixture.server.snapshot().bytes, 2000u);
}

// Peers that come and go leave no more behind than a limited memory of them, in here and on the disk.
TEST(DirectoryRoom, EndedRecordsAreRememberedUpToALimit) {
  ServerFixture fixture({.max_ended = 10});
  for (std::uint64_t i = 1; i <= 50; ++i) {
    const TestNode node(i);
    ASSERT_TRUE(fixture.register_all(node, {node.signed_record(k_wall_ms)}));
    ASSERT_TRUE(fixture.remove(node, node.removal(k_wall_ms + i)));
  }
  fixture.settle();
  EXPECT_EQ(fixture.server.snapshot().ended, 10u);
  EXPECT_EQ(fixture.disk.size(), 10u);
  const TestNode last(50);
  EXPECT_FALSE(fixture.register_all(last, {last.signed_record(k_wall_ms)}));
}

// Who owns a whole IPv6 /32 has sources without end.
TEST(DirectoryRoom, ANetworkHasAShareToo) {
  ServerFixture fixture({.max_records_per_network = 10});
  const auto source_in = [](std::size_t i, std::string_view network) {
    return AcceptLimiter::prefix_of(IpAddress::parse(std::string(network) + std::to_string(i) + "::1").value());
  };
  const auto hostile =
      crowd(fixture, 10'000, 30, [&](std::size_t i) { return source_in(i, "2001:db8:"); }, store_of(1));
  const auto honest = crowd(fixture, 1, 10, [&](std::size_t i) { return source_in(i, "2001:db9:"); }, store_of(1));
  EXPECT_EQ(known(fixture, hostile), 10u);
  EXPECT_EQ(known(fixture, honest), 10u);
  // One that moves within its network takes no second place there.
  EXPECT_TRUE(fixture.register_all(honest[0], {honest[0].signed_record(k_wall_ms + 100)}, source_in(77, "2001:db9:")));
  EXPECT_FALSE(fixture.register_all(honest[1], {honest[1].signed_record(k_wall_ms + 100)}, source_in(77, "2001:db8:")));
}

// Whoever has a whole network to register random keys from fills the share of that network, and nothing else.
TEST(DirectoryRoom, AFloodOfRandomKeysCostsNobodyElseAPlace) {
  const bool is_full = std::getenv("DIGNET_FULL") != nullptr;
  const std::uint64_t keys = is_full ? 100'000 : 3000;
  const DirectoryServer::Limits defaults;
  const std::uint64_t share = is_full ? defaults.max_records_per_network : 500;
  ServerFixture fixture({.max_records_per_network = share});
  const auto honest = crowd(fixture, 1, 100, one_each, store_of(1));
  for (std::uint64_t i = 0; i < keys; ++i) {
    const TestNode node(10'000 + i);
    const IpAddress from = IpAddress::v4({198, 51, static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i)});
    std::ignore =
        fixture.register_all(node, {node.signed_record(k_wall_ms), node.signed_page(k_wall_ms, 0, {store_of(i)})},
                             AcceptLimiter::prefix_of(from));
    fixture.advance(1ms);
  }
  const ServerStatus status = fixture.server.snapshot();
  EXPECT_EQ(status.live, 100 + share);
  EXPECT_EQ(known(fixture, honest), 100u);
  EXPECT_LE(status.bytes, defaults.max_bytes);
  EXPECT_EQ(fixture.server.find_holders(store_of(1), {}, 64).records.size(), 64u);
  const TestNode late(9999);
  EXPECT_TRUE(fixture.register_all(late, {late.signed_record(k_wall_ms)}, one_each(500)));
}

TEST(DirectoryRoom, NetworksAreThoseOfTheirFamily) {
  const auto network = [](std::string_view text) {
    return network_of(AcceptLimiter::prefix_of(IpAddress::parse(text).value()));
  };
  EXPECT_EQ(network("192.0.2.1"), network("192.0.255.9"));
  EXPECT_NE(network("192.0.2.1"), network("192.1.2.1"));
  EXPECT_EQ(network("2001:db8::1"), network("2001:db8:ffff::1"));
  EXPECT_NE(network("2001:db8::1"), network("2001:db9::1"));
  EXPECT_NE(network("::"), network("0.0.0.0"));
}

// A forged record costs nobody a place.
TEST(DirectoryRoom, NothingIsEvictedForWhatIsForged) {
  ServerFixture fixture({.max_records = 10, .max_records_per_source = 10});
  crowd(fixture, 10'000, 10, attacker, store_of(1));
  const TestNode node(1);
  SignedEnvelope forged = SignedEnvelope::decode(node.signed_record(k_wall_ms)).value();
  forged.signature[0] ^= std::byte{1};
  EXPECT_FALSE(fixture.register_all(node, {forged.encode()}, 5));
  EXPECT_EQ(fixture.server.snapshot().evicted, 0u);
  EXPECT_TRUE(fixture.register_all(node, {node.signed_record(k_wall_ms)}, 5));
  EXPECT_EQ(fixture.server.snapshot().evicted, 1u);
}

TEST(DirectoryRoom, APeerThatMovesCountsWhereItIs) {
  ServerFixture fixture({.max_records_per_source = 1});
  const TestNode node(1);
  const TestNode other(2);
  ASSERT_TRUE(fixture.register_all(node, {node.signed_record(k_wall_ms)}, 1));
  ASSERT_FALSE(fixture.register_all(other, {other.signed_record(k_wall_ms)}, 1));
  ASSERT_TRUE(fixture.register_all(node, {node.signed_record(k_wall_ms + 1)}, 2));
  ASSERT_TRUE(fixture.register_all(other, {other.signed_record(k_wall_ms)}, 1));
  EXPECT_FALSE(fixture.register_all(other, {other.signed_record(k_wall_ms + 1)}, 2)) << "taken";
  EXPECT_EQ(fixture.server.snapshot().sources, 2u);
}

// --- listings ----------------------------------------------------------------------------------------------------

// All pages of a listing; `between` runs after each.
std::vector<PeerId> list_all(
    ServerFixture& fixture, const StoreId& store, std::uint32_t limit, const std::function<void()>& between = [] {}) {
  std::vector<PeerId> peers;
  std::optional<DirectoryCursor> cursor;
  for (int page = 0; page < 1000; ++page) {
    const FoundRecords found = fixture.server.find_holders(store, cursor, limit);
    EXPECT_LE(found.records.size(), limit);
    for (const PeerId& peer : peers_of(found.records)) peers.push_back(peer);
    if (!found.cursor) return peers;
    cursor = found.cursor;
    between();
  }
  ADD_FAILURE() << "a listing without an end";
  return peers;
}

TEST(DirectoryListing, HandsOutEachRecordOnceWhateverThePageSize) {
  ServerFixture fixture;
  const auto nodes = crowd(fixture, 1, 100, one_each, store_of(1));
  crowd(fixture, 500, 20, one_each, store_of(2));
  for (const std::uint32_t limit : {1u, 7u, 50u, 64u}) {
    const std::vector<PeerId> peers = list_all(fixture, store_of(1), limit);
    EXPECT_EQ(peers.size(), 100u);
    EXPECT_EQ(std::set<PeerId>(peers.begin(), peers.end()).size(), 100u);
  }
}

TEST(DirectoryListing, SurvivesInsertionsAndRemovals) {
  ServerFixture fixture;
  const auto nodes = crowd(fixture, 1, 60, one_each, store_of(1));
  std::uint64_t next = 5000;
  const std::vector<PeerId> peers = list_all(fixture, store_of(1), 5, [&] {
    crowd(fixture, next, 3, one_each, store_of(1));
    const TestNode gone(next++);
    EXPECT_TRUE(fixture.remove(gone, gone.removal(k_wall_ms + 1)));
    next += 2;
  });
  const std::set<PeerId> seen(peers.begin(), peers.end());
  EXPECT_EQ(seen.size(), peers.size()) << "nobody twice";
  for (const TestNode& node : nodes) EXPECT_TRUE(seen.contains(node.peer()));
}

TEST(DirectoryListing, BeginsEverywhereEquallyOften) {
  ServerFixture fixture;
  const auto nodes = crowd(fixture, 1, 20, one_each, store_of(1));
  std::map<PeerId, int> first;
  for (int i = 0; i < 2000; ++i) ++first[peers_of(fixture.server.find_holders(store_of(1), {}, 1).records).at(0)];
  EXPECT_GE(first.size(), 15u) << "places differ in size, but each is found";
}

TEST(DirectoryListing, APageFitsAResponse) {
  ServerFixture fixture;
  std::vector<StoreId> stores;
  for (std::uint64_t i = 0; i < StoreAnnouncement::max_stores; ++i) stores.push_back(store_of(i));
  for (std::uint64_t i = 1; i <= 20; ++i) {
    const TestNode node(i);
    ASSERT_TRUE(fixture.register_all(node, {node.signed_record(k_wall_ms), node.signed_page(k_wall_ms, 0, stores)}, i));
  }
  const FoundRecords found = fixture.server.find_holders(stores[3], {}, 64);
  EXPECT_EQ(found.records.size(), 7u);
  EXPECT_LE(encode_directory_response({DirectoryStatus::ok, found}).size(), k_max_directory_message);
  EXPECT_EQ(list_all(fixture, stores[3], 64).size(), 20u);
}

// A cursor is the client's to make up: whatever is in it, it gets real records and an end.
TEST(DirectoryListing, AnyCursorIsSafe) {
  ServerFixture fixture;
  const auto nodes = crowd(fixture, 1, 10, one_each, store_of(1));
  SeededRng rng(7);
  const std::uint64_t most = UINT64_MAX;
  std::vector<DirectoryCursor> cursors = {{0, 0}, {most, most}, {0, most}, {most, 0}, {most, most - 1}};
  for (int i = 0; i < 200; ++i) cursors.push_back({rng.u64(), rng.u64()});
  for (const DirectoryCursor& cursor : cursors) {
    const FoundRecords found = fixture.server.find_holders(store_of(1), cursor, 64);
    EXPECT_FALSE(found.cursor);
    const auto peers = peers_of(found.records);
    EXPECT_EQ(std::set<PeerId>(peers.begin(), peers.end()).size(), peers.size());
  }
}

}  // namespace
}  // namespace dig::directory
