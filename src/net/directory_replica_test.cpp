// SPDX-License-Identifier: Apache-2.0
// Directories that share a redis-server, which is killed, stopped, emptied and filled with garbage.
#include "net/directory_replica.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "net/testing/replica_servers.hpp"
#include "store/shared_row.hpp"

namespace dig::net {
namespace {

using directory::testing::store_of;
using directory::testing::TestNode;
using testing::k_heal;
using testing::RedisServer;
using testing::Server;
using testing::wall_ms;

class DirectoryReplicaTest : public testing::ReplicaServersTest {};

TEST_F(DirectoryReplicaTest, TwoServersHearOfEachOtherWithinASecond) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  EXPECT_TRUE(registers(one, alice_, wall_ms(), store_of(5)));
  EXPECT_TRUE(wait([&] { return two.holds(alice_, store_of(5)); }, 1s));
  EXPECT_TRUE(registers(two, bob_, wall_ms()));
  EXPECT_TRUE(wait([&] { return one.knows(bob_); }, 1s));
  EXPECT_EQ(one.record_of(bob_), two.record_of(bob_));
  const std::uint64_t gone = two.remove(alice_, alice_.removal(wall_ms() + 1));
  EXPECT_TRUE(wait([&] { return !one.knows(alice_); }, 1s));
  EXPECT_EQ(two.replicated(gone), true);
  EXPECT_EQ(one.states(), std::vector{true});
  EXPECT_EQ(one.warnings(), 0U);
}

TEST_F(DirectoryReplicaTest, NothingOlderReplacesANewerRow) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  const std::uint64_t now = wall_ms();
  EXPECT_TRUE(registers(one, alice_, now + 5));
  lose_server("one");  // which would put what it hears from the other back into Redis, at any time
  // Another server that has not heard of it yet: straight into its replica.
  Server& two = make_server("two");
  const auto row = [&](std::uint64_t sequence) {
    return store::DirectoryRow{.peer = alice_.peer(),
                               .slot = 0,
                               .sequence = sequence,
                               .source = 1,
                               .lifetime = 1h,
                               .kept = 2h,
                               .envelope = alice_.signed_record(sequence)};
  };
  ASSERT_TRUE(wait_up(two));
  const auto write = [&](const store::DirectoryChange& change) {
    std::optional<bool> told;
    two.replica().write({&change, 1}, [&](bool is_replicated) { told = is_replicated; });
    EXPECT_FALSE(told);
    EXPECT_TRUE(wait([&] { return told.has_value(); }));
    return told.value_or(false);
  };
  const auto kept = [&] {
    const auto value = ask({"HGET", key_of(alice_), "0"});
    const auto decoded = store::decode_shared_row(alice_.peer(), 0, as_bytes(*value->text()));
    EXPECT_TRUE(decoded);
    return decoded->sequence;
  };
  EXPECT_TRUE(write(row(now + 4))) << "something newer is there";
  EXPECT_EQ(kept(), now + 5);
  EXPECT_TRUE(write(store::EraseRows{alice_.peer(), 0, now + 4}));
  EXPECT_EQ(kept(), now + 5) << "forgotten elsewhere, but renewed since";
  EXPECT_EQ(ask({"HLEN", key_of(alice_)})->number(), 2) << "its page too";
  EXPECT_TRUE(write(row(now + 6)));
  EXPECT_EQ(kept(), now + 6);
  auto other = row(now + 6);
  NodeRecord record = alice_.record(now + 6);
  record.pages = 7;
  other.envelope = alice_.sign(record);
  EXPECT_FALSE(write(other)) << "two records with one sequence: the first stays, and the second is nowhere";
  EXPECT_TRUE(write(store::EraseRows{alice_.peer(), 0, now + 6}));
  EXPECT_EQ(ask({"EXISTS", key_of(alice_)})->number(), 0);
}

TEST_F(DirectoryReplicaTest, RowsExpireWithTheirRecordAndPagesGoWithTheirCount) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  const std::uint64_t now = wall_ms();
  NodeRecord record = alice_.record(now);
  record.pages = 3;
  const auto page = [&](std::uint32_t number) { return alice_.signed_page(now, number, {store_of(number)}); };
  one.register_node(alice_, {alice_.sign(record), page(0), page(1), page(2)});
  ASSERT_TRUE(wait([&] { return *ask({"HLEN", key_of(alice_)})->number() == 4; }));
  const std::int64_t left = *ask({"PTTL", key_of(alice_)})->number();
  EXPECT_GT(left, 7'100'000);
  EXPECT_LE(left, 7'212'000);
  record.sequence = now + 1;
  record.pages = 1;
  one.register_node(alice_, {alice_.sign(record)});
  EXPECT_TRUE(wait([&] { return *ask({"HLEN", key_of(alice_)})->number() == 2; }));
  ASSERT_TRUE(ask({"PEXPIRE", key_of(alice_), "1"}));
  EXPECT_TRUE(wait([&] { return *ask({"EXISTS", key_of(alice_)})->number() == 0; }));
}

TEST_F(DirectoryReplicaTest, AKilledRedisIsFilledAgainAndToldOnce) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  for (const bool is_emptied : {false, true}) {
    redis_->kill();
    ASSERT_TRUE(wait([&] { return !one.is_up() && !two.is_up(); }));
    const TestNode carol(is_emptied ? 10 : 11);
    const Instant before = monotonic_now();
    EXPECT_FALSE(registers(one, carol, wall_ms()));
    EXPECT_LT(monotonic_now() - before, 500ms) << "nobody waits for what is gone";
    EXPECT_TRUE(one.knows(carol) && one.knows(alice_));
    is_emptied ? restart_redis_empty() : redis_->start();
    EXPECT_TRUE(wait([&] { return one.is_up() && two.is_up() && two.knows(carol); }, k_heal));
    EXPECT_EQ(ask({"HLEN", key_of(carol)})->number(), 2);
    EXPECT_EQ(ask({"HLEN", key_of(alice_)})->number(), 2);
    // What was acknowledged as not replicated is by now, and so is all that is registered with it again.
    EXPECT_TRUE(registers(one, carol, wall_ms() + 10));
  }
  EXPECT_EQ(one.states(), (std::vector{true, false, true, false, true}));
}

TEST_F(DirectoryReplicaTest, WhatIsToldAndKnownIsNotReadAgain) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  const std::uint64_t now = wall_ms();
  ASSERT_TRUE(registers(two, alice_, now));
  ASSERT_TRUE(wait([&] { return one.knows(alice_); }));
  // As servers tell each other of all that they put into a Redis that was empty.
  const auto tell = [&](std::uint64_t record, std::uint64_t page) {
    const auto sequence = [](std::uint64_t number) {
      return std::string(as_text(store::encode_shared_sequence(number))).substr(1);
    };
    ASSERT_TRUE(ask({"XADD", "dignet:directory:changes", "0-*", "k", key_of(alice_), "s", "0,1", "o", "another", "q",
                     sequence(record) + sequence(page)}));
  };
  // A change behind it was heard, so it was too.
  const auto heard_until = [&](const TestNode& node) {
    EXPECT_TRUE(registers(two, node, now));
    EXPECT_TRUE(wait([&] { return one.holds(node, store_of(1)); }));
    return one.replica().snapshot().heard;
  };
  const std::uint64_t heard = heard_until(bob_);
  tell(now, now);
  tell(now - 1, now - 1);
  EXPECT_EQ(heard_until(TestNode(3)), heard + 2);
  tell(now + 1, now);
  EXPECT_EQ(heard_until(TestNode(4)), heard + 2 + 1 + 2) << "the record, for it may be newer";
  tell(now, now + 1);
  EXPECT_EQ(heard_until(TestNode(5)), heard + 2 + 1 + 2 + 2 + 2) << "the page, and its record with it";
}

TEST_F(DirectoryReplicaTest, ARedisThatHangsDelaysNoAnswerBeyondTheDeadline) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  redis_->signal(SIGSTOP);
  const Instant before = monotonic_now();
  EXPECT_FALSE(registers(one, alice_, wall_ms()));
  EXPECT_LT(monotonic_now() - before, 2s);
  EXPECT_TRUE(one.knows(alice_));
  ASSERT_TRUE(wait([&] { return !one.is_up(); }));
  const Instant later = monotonic_now();
  EXPECT_FALSE(registers(one, bob_, wall_ms()));
  EXPECT_LT(monotonic_now() - later, 500ms);
  redis_->signal(SIGCONT);
  EXPECT_TRUE(wait([&] { return one.is_up(); }, k_heal));
  EXPECT_EQ(ask({"HLEN", key_of(alice_)})->number(), 2);
  EXPECT_EQ(ask({"HLEN", key_of(bob_)})->number(), 2);
}

TEST_F(DirectoryReplicaTest, DataThatIsFlushedUnderAStandingConnectionIsPutBack) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  ASSERT_TRUE(wait([&] { return two.knows(alice_); }));
  lose_server("one");  // what it wrote is replayed by the other
  ASSERT_TRUE(ask({"FLUSHALL"}));
  EXPECT_TRUE(wait([&] { return *ask({"HLEN", key_of(alice_)})->number() == 2; }, k_heal));
  EXPECT_TRUE(wait_up(two));
  EXPECT_TRUE(registers(two, bob_, wall_ms()));
}

TEST_F(DirectoryReplicaTest, AServerThatComesBackHearsWhatItMissed) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  ASSERT_TRUE(wait([&] { return two.knows(alice_); }));
  lose_server("one");
  ASSERT_TRUE(registers(two, bob_, wall_ms()));
  std::ignore = two.remove(alice_, alice_.removal(wall_ms() + 1));
  Server& again = make_server("one");
  EXPECT_TRUE(again.knows(alice_)) << "as its own disk says";
  EXPECT_TRUE(wait([&] { return again.knows(bob_) && !again.knows(alice_); }, k_heal));
}

TEST_F(DirectoryReplicaTest, ARemovalThatRedisMissedReachesEverybody) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  ASSERT_TRUE(wait([&] { return two.knows(alice_); }));
  redis_->kill();
  ASSERT_TRUE(wait([&] { return !one.is_up() && !two.is_up(); }));
  std::ignore = one.remove(alice_, alice_.removal(wall_ms() + 1));
  redis_->start();
  EXPECT_TRUE(wait([&] { return !two.knows(alice_) && one.is_up() && two.is_up(); }, k_heal));
}

TEST_F(DirectoryReplicaTest, GarbageIsTakenOutAndBelievedByNobody) {
  start_redis();
  const TestNode carol(3);
  const TestNode dave(4);
  ASSERT_TRUE(ask({"SET", "dignet:directory:row:nobody", "x"}));
  ASSERT_TRUE(ask({"SET", key_of(carol), "not a hash"}));
  ASSERT_TRUE(ask({"HSET", "dignet:directory:row:12D3KooW", "0", "x"}));
  ASSERT_TRUE(ask({"HSET", key_of(dave), "0", "x", "x", "y", "2", std::string(100'000, 'z')}));
  ASSERT_TRUE(ask({"LPUSH", "dignet:directory:changes", "not a stream"}));
  ASSERT_TRUE(ask({"LPUSH", "dignet:directory:epoch", "not a word"}));
  // Rows in the right form with the highest sequence, which their peers never signed.
  for (const TestNode* node : {&alice_, &bob_}) {
    store::DirectoryRow forged{.peer = node->peer(),
                               .slot = 0,
                               .sequence = wall_ms() + 1'000'000,
                               .source = 1,
                               .lifetime = 1h,
                               .kept = 2h,
                               .envelope = node->signed_record(wall_ms() + 1'000'000)};
    forged.envelope.back() ^= std::byte{1};
    ASSERT_TRUE(ask({"DEL", key_of(*node)}));
    ASSERT_TRUE(ask({"HSET", key_of(*node), "0", std::string(as_text(store::encode_shared_row(forged)))}));
  }
  Server& one = make_server("one");
  Server& two = make_server("two");
  EXPECT_TRUE(wait([&] { return one.replica().snapshot().dropped + two.replica().snapshot().dropped >= 2; }));
  ASSERT_TRUE(wait([&] { return one.is_up() && two.is_up(); }));
  EXPECT_EQ(one.live() + two.live(), 0U);
  EXPECT_EQ(ask({"HEXISTS", key_of(alice_), "0"})->number(), 0);
  EXPECT_TRUE(registers(one, alice_, wall_ms()));
  EXPECT_TRUE(registers(two, bob_, wall_ms()));
  EXPECT_TRUE(registers(one, carol, wall_ms()) && registers(two, dave, wall_ms()));
  EXPECT_TRUE(wait([&] { return one.live() == 4 && two.live() == 4; }, 2s));
}

TEST_F(DirectoryReplicaTest, AStreamOfSomebodyElseIsReplacedAndEverybodyHearsOfIt) {
  start_redis();
  ASSERT_TRUE(ask({"XADD", "dignet:directory:changes", "*", "k", "x"}));
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  EXPECT_TRUE(wait([&] { return two.knows(alice_); }, 2s));
  ASSERT_TRUE(ask({"XADD", "dignet:directory:changes", "*", "k", "x"}));  // under those that read it
  one.register_node(bob_, {bob_.signed_record(wall_ms())});
  EXPECT_TRUE(wait([&] { return two.knows(bob_) && one.is_up() && two.is_up(); }, k_heal));
}

TEST_F(DirectoryReplicaTest, WhatOneServerHasNoRoomForStaysReplicated) {
  start_redis();
  Server& one = make_server("one", {.max_records = 3});
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  const std::uint64_t now = wall_ms();
  const TestNode dave(3);
  const std::array<const TestNode*, 3> nodes{&alice_, &bob_, &dave};
  for (const TestNode* node : nodes) ASSERT_TRUE(registers(two, *node, now));
  ASSERT_TRUE(wait([&] { return one.live() == 3; }));
  const TestNode carol(4);
  const std::uint64_t request = one.register_node(carol, {carol.signed_record(now)}, 8);
  ASSERT_TRUE(wait([&] { return one.replicated(request).has_value(); }));
  EXPECT_EQ(one.live(), 3U) << "one has made room";
  for (const TestNode* node : nodes) {
    EXPECT_EQ(ask({"HLEN", key_of(*node)})->number(), 2);
    EXPECT_TRUE(registers(two, *node, now)) << "nothing has changed";
  }
  lose_server("two");
  lose_server("one");
  Server& late = make_server("late");
  EXPECT_TRUE(wait([&] { return late.live() == 4; }));
}

TEST_F(DirectoryReplicaTest, ARedisThatForgetsAtACrashIsToldOfToTheOperator) {
  redis_.emplace(port_, std::vector<std::string>{});
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  EXPECT_EQ(one.warnings(), 1U);
}

TEST_F(DirectoryReplicaTest, AFloodArrivesAsAWholeAndALateServerGetsItAll) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  constexpr std::size_t k_nodes = 320;  // 640 rows, which take many turns
  std::vector<TestNode> nodes;
  std::vector<std::uint64_t> requests;
  for (std::size_t i = 0; i < k_nodes; ++i) nodes.emplace_back(100 + i);
  for (const TestNode& node : nodes) {
    const AcceptLimiter::Prefix source = requests.size() / 100;  // no more of one address than it may have
    requests.push_back(one.register_node(
        node, {node.signed_record(wall_ms()), node.signed_page(wall_ms(), 0, {store_of(1)})}, source));
  }
  ASSERT_TRUE(wait([&] {
    return std::ranges::all_of(requests, [&](std::uint64_t request) { return one.replicated(request).has_value(); });
  }));
  for (const std::uint64_t request : requests) EXPECT_EQ(one.replicated(request), true);
  EXPECT_TRUE(wait([&] { return two.live() == k_nodes; }, k_heal));
  Server& late = make_server("late");
  EXPECT_TRUE(wait([&] { return late.is_up() && late.live() == k_nodes; }, k_heal));
  EXPECT_EQ(late.replica().snapshot().written, 0U) << "Redis has what came from there";
  for (const TestNode& node : nodes) EXPECT_TRUE(late.holds(node, store_of(1)) || late.knows(node));
}

}  // namespace
}  // namespace dig::net
