// SPDX-License-Identifier: Apache-2.0
#include "net/network_watch.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "net/clock.hpp"

namespace dig::net {
namespace {

InterfaceAddress at(const std::string& interface, const std::string& address) {
  return {.interface = interface, .address = IpAddress::parse(address).value(), .is_running = true};
}

class NetworkWatchTest : public ::testing::Test {
 protected:
  static constexpr Duration k_patience = 10s;

  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    kernel_ = UniqueFd(ends[0]);
    events_ = UniqueFd(ends[1]);
  }
  void start(UniqueFd events) {
    watch_.emplace(
        loop_, std::move(events),
        [this] {
          ++looks_;
          return list_;
        },
        limits_, [this](Instant) { ++told_; });
  }
  void say_something_has_changed() { ASSERT_EQ(::send(kernel_.value(), "changed", 7, 0), 7); }
  // Until the list was looked at once more, and what follows was done.
  void wait_for_a_look() {
    const std::size_t before = looks_;
    ASSERT_TRUE(loop_.run_until([&] { return looks_ > before; }, k_patience));
  }

  Loop loop_;
  UniqueFd kernel_;
  UniqueFd events_;
  NetworkWatch::Limits limits_{.quiet = 20ms, .longest = 1h, .poll = 1h};
  std::vector<InterfaceAddress> list_{at("eth0", "192.0.2.1")};
  std::size_t looks_ = 0;
  std::size_t told_ = 0;
  std::optional<NetworkWatch> watch_;
};

TEST_F(NetworkWatchTest, TellsOnceWhatHasChangedInABurst) {
  start(std::move(events_));
  for (int i = 1; i <= 5; ++i) {
    list_.push_back(at("eth0", "192.0.2.10" + std::to_string(i)));
    say_something_has_changed();
  }
  wait_for_a_look();
  EXPECT_EQ(told_, 1U);
  EXPECT_EQ(looks_, 2U) << "one at the beginning";

  list_.clear();
  say_something_has_changed();
  wait_for_a_look();
  EXPECT_EQ(told_, 2U);
}

TEST_F(NetworkWatchTest, WaitsUntilItIsQuiet) {
  limits_ = {.quiet = 1h, .longest = 1h, .poll = 1ms};
  start(std::move(events_));
  list_.clear();
  for (int i = 0; i < 3; ++i) {
    say_something_has_changed();
    loop_.run_for(5ms);
  }
  EXPECT_EQ(looks_, 1U);
  EXPECT_EQ(told_, 0U);
}

TEST_F(NetworkWatchTest, ALinkThatComesOrGoesIsAChange) {
  start(std::move(events_));
  list_.front().is_running = false;
  say_something_has_changed();
  wait_for_a_look();
  EXPECT_EQ(told_, 1U);
}

TEST_F(NetworkWatchTest, SaysNothingWhereNobodyElseWouldNotice) {
  list_.push_back(at("eth1", "192.0.2.2"));
  start(std::move(events_));
  list_ = {at("eth1", "192.0.2.2"), at("veth7", "fe80::7"), at("eth0", "192.0.2.1"), at("eth0", "169.254.7.7")};
  list_.push_back({.interface = "lo", .address = IpAddress::parse("127.0.0.9").value(), .is_loopback = true});
  say_something_has_changed();
  wait_for_a_look();
  EXPECT_EQ(told_, 0U);
}

TEST_F(NetworkWatchTest, WithoutAMomentOfQuietItTellsAllTheSame) {
  limits_ = {.quiet = 1h, .longest = 20ms, .poll = 1h};
  start(std::move(events_));
  list_.clear();
  say_something_has_changed();
  wait_for_a_look();
  EXPECT_EQ(told_, 1U);
}

TEST_F(NetworkWatchTest, WithoutEventsItLooksNowAndThen) {
  limits_.poll = 5ms;
  start(UniqueFd());
  wait_for_a_look();
  EXPECT_EQ(told_, 0U);
  list_.clear();
  wait_for_a_look();
  EXPECT_EQ(told_, 1U);
}

TEST_F(NetworkWatchTest, WhenTheEventsEndItLooksNowAndThen) {
  limits_.poll = 5ms;
  start(std::move(events_));
  kernel_.reset();
  wait_for_a_look();  // the end is an event as well
  list_.clear();
  wait_for_a_look();
  EXPECT_EQ(told_, 1U);
}

TEST_F(NetworkWatchTest, ItCanBeDroppedAtAnyTime) {
  start(std::move(events_));
  say_something_has_changed();
  watch_.reset();
  while (loop_.poll()) {
  }
  EXPECT_EQ(looks_, 1U);
}

TEST_F(NetworkWatchTest, TheKernelTellsWithoutPrivileges) { EXPECT_TRUE(open_network_events()); }

}  // namespace
}  // namespace dig::net
