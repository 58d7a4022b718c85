// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/publisher.hpp"

#include <gtest/gtest.h>

#include <set>

#include "proto/directory/testing/server_fixture.hpp"

namespace dig::directory {
namespace {

using namespace testing;

constexpr BootstrapId k_first{1};
constexpr BootstrapId k_second{2};

struct PublisherTest : ::testing::Test {
  SeededRng rng{1};
  Instant now = k_start;
  TestNode node{1};
  Publisher publisher{now, k_wall, node.identity, rng, 0};
  NodeDescription description{
      .addresses = {Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value()}, .roles = {1}, .reachability = {}};

  std::vector<PublisherEvent> events() {
    std::vector<PublisherEvent> out;
    while (auto event = publisher.poll_event()) out.push_back(std::move(*event));
    return out;
  }
  // The only thing to do.
  Publish publish() {
    auto all = events();
    EXPECT_EQ(all.size(), 1u);
    if (all.size() != 1 || !std::holds_alternative<Publish>(all[0])) return {};
    return std::get<Publish>(std::move(all[0]));
  }
  static NodeRecord record_of(const Publish& published) {
    return read_statement<NodeRecord>(SignedEnvelope::decode(published.envelopes.at(0)).value()).value();
  }
  void start(std::uint64_t stores = 0) {
    publisher.add_server(now, k_first);
    publisher.set_stores(now, list(stores));
    publisher.set_node(now, description);
    publisher.handle_timeout(now);
  }
  static std::vector<StoreId> list(std::uint64_t count) {
    std::vector<StoreId> out;
    for (std::uint64_t i = 0; i < count; ++i) out.push_back(store_of(i));
    return out;
  }
  void succeed(std::chrono::seconds expires_in = std::chrono::hours(1)) {
    publisher.handle_registered(now, k_first, Registered{expires_in, true});
  }
  void wait_until_due() {
    ASSERT_TRUE(publisher.next_timeout());
    now = *publisher.next_timeout();
    publisher.handle_timeout(now);
  }
};

TEST_F(PublisherTest, SaysNothingBeforeItKnowsTheNode) {
  publisher.add_server(now, k_first);
  publisher.set_stores(now, list(3));
  publisher.handle_timeout(now);
  EXPECT_TRUE(events().empty());
  EXPECT_FALSE(publisher.next_timeout());
}

TEST_F(PublisherTest, SignsTheNodeAndItsStores) {
  start(3);
  const Publish published = publish();
  EXPECT_EQ(published.server, k_first);
  const NodeRecord record = record_of(published);
  EXPECT_EQ(record.peer, node.peer());
  EXPECT_EQ(record.sequence, k_wall_ms);
  EXPECT_EQ(record.lifetime, std::chrono::hours(1));
  EXPECT_EQ(record.addresses, description.addresses);
  EXPECT_EQ(record.roles, description.roles);
  EXPECT_EQ(record.pages, 1u);
  ASSERT_EQ(published.envelopes.size(), 2u);
  const auto page = read_statement<StoreAnnouncement>(SignedEnvelope::decode(published.envelopes[1]).value());
  ASSERT_TRUE(page);
  EXPECT_EQ(page->stores.size(), 3u);
}

TEST_F(PublisherTest, RegistersAgainBetweenHalfAndSevenTenthsOfTheTime) {
  start();
  std::set<Duration> pauses;
  for (int i = 0; i < 20; ++i) {
    const NodeRecord record = record_of(publish());
    EXPECT_GE(record.sequence, k_wall_ms + static_cast<std::uint64_t>((now - k_start) / 1ms));
    succeed(std::chrono::seconds(1000));
    const Duration pause = *publisher.next_timeout() - now;
    EXPECT_GE(pause, 500s);
    EXPECT_LE(pause, 700s);
    pauses.insert(pause);
    EXPECT_TRUE(events().empty());
    wait_until_due();
  }
  EXPECT_GT(pauses.size(), 10u) << "with jitter";
}

TEST_F(PublisherTest, AServerCannotMakeItHurry) {
  start();
  publish();
  succeed(std::chrono::seconds(0));
  EXPECT_EQ(*publisher.next_timeout() - now, 30s);
}

TEST_F(PublisherTest, SequencesRiseWhateverTheClockDoes) {
  start();
  const std::uint64_t first = record_of(publish()).sequence;
  publisher.set_wall_clock(now, {k_wall.seconds - 100'000});
  succeed();
  wait_until_due();
  const std::uint64_t second = record_of(publish()).sequence;
  EXPECT_EQ(second, first + 1);
  // And from one run to the next.
  Publisher next(now, {k_wall.seconds - 100'000}, node.identity, rng, publisher.snapshot().sequence);
  next.add_server(now, k_first);
  next.set_node(now, description);
  next.handle_timeout(now);
  EXPECT_EQ(record_of(std::get<Publish>(*next.poll_event())).sequence, second + 1);
}

TEST_F(PublisherTest, AChangeIsPublishedSoonAndManyTogether) {
  start();
  publish();
  now = now + 500ms;
  succeed();
  publisher.set_stores(now, list(1));
  publisher.set_stores(now, list(2));
  description.roles = {};
  publisher.set_node(now, description);
  EXPECT_EQ(*publisher.next_timeout(), k_start + 2s);
  wait_until_due();
  const Publish published = publish();
  EXPECT_EQ(record_of(published).roles, NodeRoles());
  EXPECT_EQ(record_of(published).pages, 1u);
  succeed();
  publisher.set_node(now, description);  // no change
  EXPECT_GT(*publisher.next_timeout(), now + 1000s);
}

TEST_F(PublisherTest, AChangeDuringARoundIsNotLost) {
  start();
  publish();
  publisher.set_stores(now, list(1));
  EXPECT_FALSE(publisher.next_timeout()) << "the round is under way";
  succeed();
  EXPECT_EQ(*publisher.next_timeout(), now + 2s);
  wait_until_due();
  EXPECT_EQ(publish().envelopes.size(), 2u);
}

TEST_F(PublisherTest, ManyStoresGoInSeveralRequests) {
  start(256 * 40);
  std::size_t pages = 0;
  int requests = 0;
  for (auto all = events(); !all.empty(); all = events()) {
    ASSERT_EQ(all.size(), 1u);
    const auto& published = std::get<Publish>(all[0]);
    EXPECT_LE(encode_directory_request(RegisterRequest{published.envelopes}).size(), k_max_directory_message);
    pages += published.envelopes.size() - (requests++ == 0 ? 1 : 0);
    succeed();
  }
  EXPECT_EQ(pages, 40u);
  EXPECT_EQ(requests, 2);
  EXPECT_TRUE(publisher.snapshot().servers.at(0).expires);
}

TEST_F(PublisherTest, FailuresAreTriedAgainWithGrowingPauses) {
  start();
  Duration longest{0};
  for (int i = 0; i < 12; ++i) {
    publish();
    publisher.handle_registered(now, k_first, fail(Errc::peer_silent));
    EXPECT_EQ(publisher.snapshot().servers.at(0).error->code(), Errc::peer_silent);
    const Duration pause = *publisher.next_timeout() - now;
    if (i == 0) {
      EXPECT_LE(pause, 6250ms);
    }
    longest = std::max(longest, pause);
    EXPECT_LE(pause, 375s);
    wait_until_due();
  }
  EXPECT_GE(longest, 225s);
  publish();
  succeed();
  EXPECT_FALSE(publisher.snapshot().servers.at(0).error);
  EXPECT_TRUE(publisher.snapshot().servers.at(0).is_replicated);
}

TEST_F(PublisherTest, EachServerHasItsOwnRounds) {
  start();
  publish();
  publisher.add_server(now, k_second);
  publisher.handle_timeout(now);
  EXPECT_EQ(publish().server, k_second);
  publisher.handle_registered(now, k_second, fail(Errc::connect_timeout));
  succeed();
  wait_until_due();
  EXPECT_EQ(publish().server, k_second);
  publisher.remove_server(k_second);
  publisher.handle_registered(now, k_second, Registered{});
  EXPECT_TRUE(events().empty());
}

TEST_F(PublisherTest, TakesItsRecordBackWhenItStops) {
  start();
  const std::uint64_t sequence = record_of(publish()).sequence;
  publisher.add_server(now, k_second);  // has nothing yet
  publisher.stop(now);
  const auto all = events();
  ASSERT_EQ(all.size(), 1u);
  const auto& withdraw = std::get<Withdraw>(all[0]);
  EXPECT_EQ(withdraw.server, k_first);
  const auto removal = read_statement<NodeRemoval>(SignedEnvelope::decode(withdraw.envelope).value());
  ASSERT_TRUE(removal);
  EXPECT_GT(removal->sequence, sequence);
  succeed();
  publisher.add_server(now, k_second);
  publisher.set_stores(now, list(1));
  publisher.stop(now);
  publisher.handle_timeout(now + 1h);
  EXPECT_TRUE(events().empty());
  EXPECT_FALSE(publisher.next_timeout());
}

TEST_F(PublisherTest, TooManyAddressesAreCutToWhatARecordHolds) {
  description.addresses.clear();
  for (int i = 0; i < 60; ++i) {
    description.addresses.push_back(Multiaddr::parse("/ip4/192.0.2.1/tcp/" + std::to_string(1000 + i)).value());
  }
  start();
  EXPECT_EQ(record_of(publish()).addresses.size(), NodeRecord::max_addresses);
  succeed();
  const std::string name(63, 'a');
  for (Multiaddr& address : description.addresses) {
    address = Multiaddr::parse("/dns/" + name + "." + name + "." + name + "." + name.substr(3) + "/tcp/1").value();
  }
  publisher.set_node(now, description);
  wait_until_due();
  const NodeRecord record = record_of(publish());
  EXPECT_GT(record.addresses.size(), 10u);
  EXPECT_LE(record.encode().size(), NodeRecord::max_encoded_size);
}

// What it makes, a directory takes.
TEST_F(PublisherTest, OurServerTakesIt) {
  ServerFixture fixture;
  start(600);
  const Publish published = publish();
  ASSERT_TRUE(fixture.register_all(node, published.envelopes));
  EXPECT_EQ(fixture.holders(store_of(599)).size(), 1u);
  publisher.stop(now);
  ASSERT_TRUE(fixture.remove(node, std::get<Withdraw>(events().at(0)).envelope));
  EXPECT_FALSE(fixture.knows(node));
}

}  // namespace
}  // namespace dig::directory
