// SPDX-License-Identifier: Apache-2.0
// Making a directory and its redis-server equal: when it begins, what ends it, and what counts meanwhile.
#include "net/directory_replica.hpp"

#include <gtest/gtest.h>

#include "net/testing/replica_servers.hpp"
#include "store/shared_row.hpp"

namespace dig::net {
namespace {

using testing::k_heal;
using testing::Server;
using testing::wall_ms;

class DirectoryReplicaSyncTest : public testing::ReplicaServersTest {};

TEST_F(DirectoryReplicaSyncTest, AReaderThatFellBehindReadsAllAnew) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  const std::uint64_t before = one.replica().snapshot().syncs;
  const store::DirectoryRow row{.peer = alice_.peer(),
                                .slot = 0,
                                .sequence = wall_ms(),
                                .source = 1,
                                .lifetime = 1h,
                                .kept = 2h,
                                .envelope = alice_.signed_record(wall_ms())};
  // As if other entries had been there and were trimmed.
  ASSERT_TRUE(ask({"HSET", key_of(alice_), "0", std::string(as_text(store::encode_shared_row(row)))}));
  ASSERT_TRUE(
      ask({"XADD", "dignet:directory:changes", "0-900", "k", "x", "s", "0", "o", "x", "q", std::string(8, 'q')}));
  EXPECT_TRUE(wait([&] { return one.knows(alice_); }, k_heal));
  EXPECT_GT(one.replica().snapshot().syncs, before);
  EXPECT_EQ(one.states(), std::vector{true}) << "nothing was lost";
}

TEST_F(DirectoryReplicaSyncTest, ASyncThatBeginsWhileRowsWaitForTheOwnerTakesTheirPlace) {
  start_redis();
  Server& one = make_server("one", {}, 5s);  // what waits behind a read of changes waits long
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  one.set_busy(true);
  ASSERT_TRUE(registers(two, bob_, wall_ms()));
  ASSERT_TRUE(wait([&] { return one.put_off() > 0; }));
  ask_for_sync(one);
  // The sync begins, and waits, while what was read before it is still to be given to the owner.
  redis_->signal(SIGSTOP);
  ASSERT_TRUE(wait([&] { return one.replica().snapshot().syncs == 2; }));
  const std::size_t put_off = one.put_off();
  EXPECT_FALSE(wait([&] { return one.put_off() > put_off; }, 100ms)) << "it was read for nothing";
  redis_->signal(SIGCONT);
  ASSERT_TRUE(wait([&] { return one.put_off() > put_off; }, 3s)) << "read again, behind nothing";
  one.set_busy(false);
  EXPECT_TRUE(wait([&] { return one.is_up() && one.knows(bob_); }, 1s));
  ASSERT_TRUE(wait_up(two));  // which may have lost Redis meanwhile
  EXPECT_TRUE(registers(two, alice_, wall_ms()));
  EXPECT_TRUE(wait([&] { return one.knows(alice_); }, 1s)) << "it follows";
  EXPECT_EQ(one.states(), std::vector{true});
}

TEST_F(DirectoryReplicaSyncTest, ASyncThatFindsTheDataLostTellsItFirst) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  // Hears nothing of the epoch meanwhile.
  one.set_busy(true);
  ASSERT_TRUE(registers(two, bob_, wall_ms()));
  ASSERT_TRUE(wait([&] { return one.put_off() > 0; }));
  ask_for_sync(one);
  lose_server("two");
  ASSERT_TRUE(ask({"FLUSHALL"}));
  ASSERT_TRUE(wait([&] { return one.replica().snapshot().syncs == 2; }));
  one.set_busy(false);
  ASSERT_TRUE(wait([&] { return one.states().size() == 3; }));
  EXPECT_EQ(one.states(), (std::vector{true, false, true}));
  EXPECT_EQ(ask({"HLEN", key_of(alice_)})->number(), 2);
}

TEST_F(DirectoryReplicaSyncTest, ASyncBehindAReadThatWaitsLongIsNoLostConnection) {
  start_redis();
  Server& one = make_server("one", {}, 3500ms);
  ASSERT_TRUE(wait_up(one));
  ask_for_sync(one);
  ASSERT_TRUE(wait([&] { return one.replica().snapshot().syncs == 2; }));
  ASSERT_TRUE(wait([&] { return one.is_up(); }));
  EXPECT_EQ(one.states(), std::vector{true});
  EXPECT_EQ(one.replica().snapshot().syncs, 2U);
}

TEST_F(DirectoryReplicaSyncTest, ALossDuringASyncIsALossThoughItIsDownAlready) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  const std::uint64_t now = wall_ms();
  one.set_disk_slow(true);
  const auto sync_with_an_empty_redis = [&] {
    const std::uint64_t syncs = one.replica().snapshot().syncs;
    restart_redis_empty();
    EXPECT_TRUE(wait([&] { return one.replica().snapshot().syncs > syncs; }));
  };
  sync_with_an_empty_redis();
  EXPECT_TRUE(registers(one, alice_, now)) << "Redis takes it while the rest is still read";
  sync_with_an_empty_redis();
  EXPECT_FALSE(registers(one, alice_, now)) << "lost since";
  EXPECT_EQ(one.states(), (std::vector{true, false}));
  one.set_disk_slow(false);
  ASSERT_TRUE(wait_up(one));
  EXPECT_TRUE(registers(one, alice_, now));
}

TEST_F(DirectoryReplicaSyncTest, ASyncThatIsWantedDuringASyncFollowsItAndCostsNothingMeanwhile) {
  start_redis();
  Server& one = make_server("one");
  one.set_disk_slow(true);
  ASSERT_TRUE(wait([&] { return one.is_disk_read(); }));
  ask_for_sync(one);
  EXPECT_FALSE(wait([] { return false; }, 2100ms));
  std::size_t turns = 0;
  EXPECT_FALSE(wait([&] { return ++turns > 100; }, 300ms)) << "the loop spins";
  EXPECT_EQ(one.replica().snapshot().syncs, 1U);
  one.set_disk_slow(false);
  EXPECT_TRUE(wait([&] { return one.replica().snapshot().syncs == 2; }));
  EXPECT_TRUE(wait_up(one));
  EXPECT_EQ(one.states(), std::vector{true});
}

TEST_F(DirectoryReplicaSyncTest, PagesWithoutTheirRecordBringAboutFewSyncs) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  ask_for_sync(one);
  ASSERT_TRUE(wait([&] { return one.replica().snapshot().syncs == 2; }, 3s));
  ASSERT_TRUE(wait_up(one));
  ask_for_sync(one);
  EXPECT_FALSE(wait([&] { return one.replica().snapshot().syncs > 2; }, 3s));
}

TEST_F(DirectoryReplicaSyncTest, WhatIsWrittenBeforeALossCountsNotAfterIt) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  const store::DirectoryChange row = store::DirectoryRow{.peer = alice_.peer(),
                                                         .slot = 0,
                                                         .sequence = wall_ms(),
                                                         .source = 1,
                                                         .lifetime = 1h,
                                                         .kept = 2h,
                                                         .envelope = alice_.signed_record(wall_ms())};
  ASSERT_TRUE(ask({"CLIENT", "PAUSE", "900", "WRITE"}));
  std::optional<bool> told;
  one.replica().write({&row, 1}, [&](bool is_replicated) { told = is_replicated; });
  lose_before_the_answer(one, "xread");
  ASSERT_TRUE(wait([&] { return told.has_value(); }));
  EXPECT_EQ(told, false);
}

TEST_F(DirectoryReplicaSyncTest, WhatASyncPutsBeforeALossCountsNotAfterIt) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  redis_->kill();
  ASSERT_TRUE(wait([&] { return !one.is_up(); }));
  const Bytes record = alice_.signed_record(wall_ms());
  one.register_node(alice_, {record});
  one.set_disk_slow(true);
  restart_redis_empty();
  ASSERT_TRUE(wait([&] { return one.is_disk_read(); }));
  ASSERT_TRUE(ask({"CLIENT", "PAUSE", "900", "WRITE"}));
  one.set_disk_slow(false);
  one.set_disk_slow(true);
  lose_before_the_answer(one, "scan");
  ASSERT_TRUE(wait([&] { return one.is_disk_read() && one.replica().snapshot().written == 1; }));
  const std::uint64_t again = one.register_node(alice_, {record});
  ASSERT_TRUE(wait([&] { return one.replicated(again).has_value(); }));
  EXPECT_EQ(one.replicated(again), false);
}

}  // namespace
}  // namespace dig::net
