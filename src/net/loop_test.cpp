// SPDX-License-Identifier: Apache-2.0
#include "net/loop.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "net/clock.hpp"

namespace dig::net {
namespace {

TEST(Loop, TimerExpiresAtItsDeadlineAndOnlyOnce) {
  Loop loop;
  int calls = 0;
  Instant called_at;
  Timer timer(loop, [&](Instant now) {
    ++calls;
    called_at = now;
  });
  const Instant deadline = monotonic_now() + 5ms;
  timer.set(monotonic_now() + 1h);
  timer.set(deadline);
  timer.set(deadline);
  EXPECT_TRUE(loop.run_until([&] { return calls > 0; }, 5s));
  loop.run_for(5ms);
  EXPECT_EQ(calls, 1);
  EXPECT_GE(called_at, deadline);
}

TEST(Loop, DisarmedAndDestroyedTimersStaySilent) {
  Loop loop;
  int calls = 0;
  Timer disarmed(loop, [&](Instant) { ++calls; });
  disarmed.set(monotonic_now());
  disarmed.set(std::nullopt);
  {
    Timer destroyed(loop, [&](Instant) { ++calls; });
    destroyed.set(monotonic_now());
  }
  loop.run_for(5ms);
  EXPECT_EQ(calls, 0);
}

TEST(Loop, TimerThatExpiredButWasSetAnewBeforeItsHandlerRanWaits) {
  Loop loop;
  int calls = 0;
  Timer second(loop, [&](Instant) { ++calls; });
  Timer first(loop, [&](Instant now) { second.set(now + 1h); });
  const Instant past = monotonic_now() - 1s;  // both are ready in the same wake-up
  first.set(past);
  second.set(past + 1ms);
  loop.run_for(5ms);
  EXPECT_EQ(calls, 0);
}

TEST(Loop, TimerMayBeSetAgainInItsHandler) {
  Loop loop;
  int calls = 0;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&](Instant now) {
    if (++calls < 3) timer->set(now + 1ms);
  });
  timer->set(monotonic_now());
  EXPECT_TRUE(loop.run_until([&] { return calls == 3; }, 5s));
}

TEST(Loop, PosterWorksFromOtherThreadsAndOutlivesTheLoop) {
  auto loop = std::make_unique<Loop>();
  const Poster poster = loop->poster();
  int calls = 0;
  std::thread other([&] { EXPECT_TRUE(poster.post([&] { ++calls; })); });
  other.join();
  EXPECT_TRUE(loop->run_until([&] { return calls == 1; }, 5s));
  loop.reset();
  EXPECT_FALSE(poster.post([&] { ++calls; }));
  EXPECT_EQ(calls, 1);
}

TEST(Loop, StopFromAnotherThreadEndsRun) {
  Loop loop;
  std::thread other([&] { loop.post([&] { loop.stop(); }); });
  loop.run();
  other.join();
  EXPECT_FALSE(loop.poll());
}

TEST(Loop, RunUntilGivesUpAtItsLimit) {
  Loop loop;
  Timer timer(loop, [](Instant) {});
  timer.set(monotonic_now() + 1h);
  EXPECT_FALSE(loop.run_until([] { return false; }, 5ms));
}

}  // namespace
}  // namespace dig::net
