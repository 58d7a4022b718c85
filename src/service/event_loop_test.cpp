// SPDX-License-Identifier: Apache-2.0
#include "service/event_loop.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "net/unique_fd.hpp"

namespace dig::service {
namespace {

struct SocketPair {
  SocketPair() {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    first = net::UniqueFd(fds[0]);
    second = net::UniqueFd(fds[1]);
  }
  net::UniqueFd first;
  net::UniqueFd second;
};

TEST(EventLoop, TimersRunInTheOrderOfTheirTimeAndCancelledOnesDoNot) {
  EventLoop loop;
  std::vector<int> order;
  loop.call_after(std::chrono::milliseconds(3), [&] { order.push_back(2); });
  loop.call_after(std::chrono::milliseconds(1), [&] { order.push_back(1); });
  const auto cancelled = loop.call_after(std::chrono::milliseconds(0), [&] { order.push_back(9); });
  loop.cancel(cancelled);
  loop.run_until([&] { return order.size() == 2; });
  EXPECT_EQ(order.front() + order.back(), 3);
}

TEST(EventLoop, AHandlerMayRemoveItselfAndOthers) {
  EventLoop loop;
  SocketPair one;
  SocketPair two;
  int calls = 0;
  const auto handler = [&](short) {
    ++calls;
    loop.unwatch(one.first.value());
    loop.unwatch(two.first.value());
  };
  loop.watch(one.first.value(), POLLIN, handler);
  loop.watch(two.first.value(), POLLIN, handler);
  ASSERT_EQ(::send(one.second.value(), "x", 1, 0), 1);
  ASSERT_EQ(::send(two.second.value(), "x", 1, 0), 1);
  bool is_due = false;
  loop.run_until([&] {
    if (calls == 1 && !is_due) loop.call_after(std::chrono::milliseconds(0), [&] { is_due = true; });
    return is_due;
  });
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, AHangUpIsReported) {
  EventLoop loop;
  SocketPair pair;
  short seen = 0;
  loop.watch(pair.first.value(), POLLIN, [&](short revents) { seen = revents; });
  pair.second.reset();
  loop.run_until([&] { return seen != 0; });
  EXPECT_NE(seen & (POLLHUP | POLLIN), 0);
}

}  // namespace
}  // namespace dig::service
