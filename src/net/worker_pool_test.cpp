// SPDX-License-Identifier: Apache-2.0
#include "net/worker_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

namespace dig::net {
namespace {

constexpr Duration k_patience = 10s;

TEST(WorkerPool, WorkRunsElsewhereAndResultsComeBackOnTheLoop) {
  Loop loop;
  WorkerPool pool(loop);
  const auto loop_thread = std::this_thread::get_id();
  std::thread::id work_thread;
  std::thread::id done_thread;
  int sum = 0;
  int finished = 0;
  for (int i = 1; i <= 100; ++i) {
    ASSERT_TRUE(pool.run(
        [i, &loop_thread] {
          EXPECT_NE(std::this_thread::get_id(), loop_thread);
          return i;
        },
        [&](int result) {
          sum += result;
          ++finished;
          done_thread = std::this_thread::get_id();
        }));
  }
  EXPECT_TRUE(loop.run_until([&] { return finished == 100; }, k_patience));
  EXPECT_EQ(sum, 5050);
  EXPECT_EQ(done_thread, loop_thread);
}

TEST(WorkerPool, WorkWithoutResultAndMoveOnlyResults) {
  Loop loop;
  WorkerPool pool(loop);
  bool is_done = false;
  std::unique_ptr<int> value;
  ASSERT_TRUE(pool.run([] {}, [&] { is_done = true; }));
  ASSERT_TRUE(pool.run([] { return std::make_unique<int>(7); }, [&](std::unique_ptr<int> v) { value = std::move(v); }));
  EXPECT_TRUE(loop.run_until([&] { return is_done && value; }, k_patience));
  EXPECT_EQ(*value, 7);
}

TEST(WorkerPool, QueueIsBounded) {
  Loop loop;
  std::latch gate(1);
  WorkerPool pool(loop, {.threads = 1, .max_queued = 2});
  int finished = 0;
  const auto blocked = [&] { gate.wait(); };
  const auto done = [&] { ++finished; };
  ASSERT_TRUE(pool.run(blocked, done));
  while (pool.snapshot().running == 0) std::this_thread::yield();
  EXPECT_TRUE(pool.run(blocked, done));
  EXPECT_TRUE(pool.run(blocked, done));
  EXPECT_FALSE(pool.run(blocked, done));
  EXPECT_EQ(pool.snapshot().queued, 2u);
  gate.count_down();
  EXPECT_TRUE(loop.run_until([&] { return finished == 3; }, k_patience));
}

TEST(WorkerPool, DestructionJoinsWhatRunsAndDropsTheRest) {
  Loop loop;
  std::atomic<int> worked = 0;
  int finished = 0;
  auto marker = std::make_shared<int>();
  {
    WorkerPool pool(loop, {.threads = 1, .max_queued = 100});
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(pool.run([&, marker] { ++worked; }, [&, marker] { ++finished; }));
    }
  }
  loop.poll();
  EXPECT_LE(worked.load(), 100);
  EXPECT_EQ(finished, 0) << "no result after the pool is gone";
  EXPECT_EQ(marker.use_count(), 1) << "everything that waited was destroyed";
}

TEST(WorkerPool, PoolMayOutliveTheLoop) {
  auto loop = std::make_unique<Loop>();
  WorkerPool pool(*loop);
  loop.reset();
  std::latch worked(1);
  ASSERT_TRUE(pool.run([&] { worked.count_down(); }, [] { FAIL() << "no loop to come back to"; }));
  worked.wait();
}

}  // namespace
}  // namespace dig::net
