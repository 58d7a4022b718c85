// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <poll.h>

#include "base/testing/allocation_counter_operators.hpp"
#include "base/testing/echo_machine.hpp"
#include "net/clock.hpp"
#include "net/udp_driver.hpp"

namespace dig::net {
namespace {

using dig::testing::AllocationCounter;
using dig::testing::EchoMachine;

constexpr Duration k_patience = 10s;

struct Mode {
  IpFamily family;
  UdpOffload offload;
};
std::string name_of(const ::testing::TestParamInfo<Mode>& item) {
  return std::string(item.param.family == IpFamily::v4 ? "V4" : "V6") + (item.param.offload.gso ? "Gso" : "") +
         (item.param.offload.gro ? "Gro" : "");
}

BoundSocket bind(IpAddress address) {
  PortManager ports;
  auto lease = ports.acquire({.purpose = "test", .tcp = false, .addresses = {address}});
  EXPECT_TRUE(lease) << lease.error().message();
  return std::move(lease->take_udp().at(0));
}

struct Got {
  std::vector<Bytes> datagrams;
  Endpoint local;
  Endpoint remote;
  Ecn ecn = Ecn::not_ect;
};
// Waits for `count` datagrams, whatever batches they come in.
Got receive(UdpSocket& socket, std::size_t count) {
  Got got;
  pollfd ready{socket.fd(), POLLIN, 0};
  while (got.datagrams.size() < count && ::poll(&ready, 1, 5000) == 1) {
    socket.receive({}, [&](const Received& in) {
      got.local = in.local;
      got.remote = in.remote;
      got.ecn = in.ecn;
      const std::size_t segment = in.segment_size == 0 ? std::max<std::size_t>(1, in.bytes.size()) : in.segment_size;
      if (in.bytes.empty()) got.datagrams.emplace_back();
      for (std::size_t at = 0; at < in.bytes.size(); at += segment) {
        got.datagrams.push_back(to_bytes(in.bytes.subspan(at, std::min(segment, in.bytes.size() - at))));
      }
    });
  }
  return got;
}

class UdpTest : public ::testing::TestWithParam<Mode> {
 protected:
  IpAddress loopback() const { return IpAddress::loopback(GetParam().family); }
};

INSTANTIATE_TEST_SUITE_P(Modes, UdpTest,
                         ::testing::Values(Mode{IpFamily::v4, {}}, Mode{IpFamily::v6, {}},
                                           Mode{IpFamily::v4, {.gso = true, .gro = true}},
                                           Mode{IpFamily::v6, {.gso = true, .gro = true}},
                                           Mode{IpFamily::v4, {.gso = true}}, Mode{IpFamily::v4, {.gro = true}}),
                         name_of);

TEST_P(UdpTest, SegmentsArriveWholeWithAddressesAndEcn) {
  UdpSocket sender(bind(loopback()), GetParam().offload);
  UdpSocket receiver(bind(IpAddress::any(GetParam().family)), GetParam().offload);
  Bytes bytes(10 * 1200 + 7);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i / 1200);
  const Endpoint to{loopback(), receiver.local().port};
  ASSERT_EQ(sender.send({.remote = to, .ecn = Ecn::ect0, .size = bytes.size(), .segment_size = 1200}, bytes),
            UdpSocket::SendState::done);
  const Got got = receive(receiver, 11);
  ASSERT_EQ(got.datagrams.size(), 11u);
  for (std::size_t i = 0; i < 11; ++i) EXPECT_EQ(got.datagrams[i], Bytes(i < 10 ? 1200 : 7, std::byte(i)));
  EXPECT_EQ(got.local, to) << "the address the datagram was sent to, not the wildcard";
  EXPECT_EQ(got.remote, sender.local());
  EXPECT_EQ(got.ecn, Ecn::ect0);
  EXPECT_EQ(sender.snapshot().datagrams_sent, 11u);
  EXPECT_EQ(receiver.snapshot().datagrams_received, 11u);
  if (GetParam().offload.gso) {
    EXPECT_EQ(sender.snapshot().send_calls, 1u);
  } else {
    EXPECT_EQ(sender.snapshot().send_calls, 11u);
  }
}

TEST_P(UdpTest, ReplyLeavesFromTheAddressThatWasAsked) {
  UdpSocket asker(bind(loopback()), GetParam().offload);
  UdpSocket replier(bind(IpAddress::any(GetParam().family)), GetParam().offload);
  const Endpoint asked{loopback(), replier.local().port};
  ASSERT_EQ(replier.send({.local = asked, .remote = asker.local(), .size = 2}, to_bytes("hi")),
            UdpSocket::SendState::done);
  EXPECT_EQ(receive(asker, 1).remote, asked);
}

TEST_P(UdpTest, MoreSegmentsThanTheKernelTakesAtOnceAreSplit) {
  UdpSocket sender(bind(loopback()), GetParam().offload);
  UdpSocket receiver(bind(loopback()), GetParam().offload);
  const Bytes bytes(300 * 10, std::byte{1});
  ASSERT_EQ(sender.send({.remote = receiver.local(), .size = bytes.size(), .segment_size = 10}, bytes),
            UdpSocket::SendState::done);
  EXPECT_EQ(receive(receiver, 300).datagrams.size(), 300u);
}

TEST_P(UdpTest, EmptyLargestAndTooLargeDatagrams) {
  UdpSocket sender(bind(loopback()), GetParam().offload);
  UdpSocket receiver(bind(loopback()), GetParam().offload);
  const Bytes bytes(65'536);
  for (const std::size_t size : {std::size_t{1}, UdpSocket::k_max_transfer, bytes.size()}) {
    EXPECT_EQ(sender.send({.remote = receiver.local(), .size = size}, bytes), UdpSocket::SendState::done);
  }
  const Got got = receive(receiver, 2);
  ASSERT_EQ(got.datagrams.size(), 2u);
  EXPECT_EQ(got.datagrams[1].size(), UdpSocket::k_max_transfer);
  EXPECT_EQ(sender.snapshot().dropped_sends, 1u);
}

// An echo machine behind the driver, and a client that runs on the same thread.
class Echo {
 public:
  static constexpr std::size_t k_datagrams = 20;
  static constexpr std::size_t k_datagram = 1000;

  Echo(const IpAddress& address, UdpOffload offload) : client_(bind(address), offload) {
    std::vector<BoundSocket> sockets;
    sockets.push_back(bind(address));
    server_ = sockets[0].local;
    driver_ = drive(loop_, std::move(sockets), machine_, [](Instant, EchoMachine::Event) {}, offload);
  }

  // Sends a batch there and returns what came back; counts what the driver allocated meanwhile.
  Bytes round_trip(const Bytes& batch) {
    const Transmit transmit{.remote = server_, .size = batch.size(), .segment_size = k_datagram};
    EXPECT_EQ(client_.send(transmit, batch), UdpSocket::SendState::done);
    sent_ += batch.size();
    serve();
    Bytes back;
    for (const Bytes& datagram : receive(client_, k_datagrams).datagrams) append(back, datagram);
    return back;
  }
  [[nodiscard]] std::uint64_t allocations() const { return allocations_; }
  [[nodiscard]] EchoMachine::Status machine() const { return machine_.snapshot(); }
  [[nodiscard]] UdpSocketStatus socket() const { return driver_->snapshot().at(0); }

 private:
  void serve() {
    const std::function<bool()> is_received = [this] { return machine_.snapshot().received_bytes >= sent_; };
    const AllocationCounter counter;
    const bool is_whole = loop_.run_until(is_received, k_patience);
    loop_.poll();
    allocations_ += counter.count();
    EXPECT_TRUE(is_whole);
  }

  Loop loop_;
  EchoMachine machine_;
  Endpoint server_;
  std::unique_ptr<UdpDriver> driver_;
  UdpSocket client_;
  std::size_t sent_ = 0;
  std::uint64_t allocations_ = 0;
};

TEST_P(UdpTest, DriverEchoesEverythingInOrder) {
  Echo echo(loopback(), GetParam().offload);
  Bytes batch(Echo::k_datagrams * Echo::k_datagram);
  for (std::size_t round = 0; round < 50; ++round) {
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i] = static_cast<std::byte>(round + i / Echo::k_datagram);
    ASSERT_EQ(echo.round_trip(batch), batch);
  }
  EXPECT_EQ(echo.machine().dropped_bytes, 0u);
  EXPECT_EQ(echo.socket().datagrams_sent, 1000u);
}

TEST_P(UdpTest, DriverAllocatesNothingPerPacketOnceWarm) {
  Echo echo(loopback(), GetParam().offload);
  const Bytes batch(Echo::k_datagrams * Echo::k_datagram);
  for (int round = 0; round < 10; ++round) ASSERT_EQ(echo.round_trip(batch), batch);
  const std::uint64_t warm_up = echo.allocations();
  for (int round = 0; round < 200; ++round) ASSERT_EQ(echo.round_trip(batch), batch);
  EXPECT_EQ(echo.allocations(), warm_up) << "for " << 200 * Echo::k_datagrams << " packets";
  EXPECT_EQ(echo.socket().offload, GetParam().offload) << "the mode under test must not have fallen back";
}

TEST(AllocationCounterTest, CountsWhileItLivesAndOnlyThen) {
  std::uint64_t count = 0;
  {
    const AllocationCounter counter;
    ::operator delete(::operator new(1));
    ::operator delete[](::operator new[](1));
    ::operator delete(::operator new(1, std::nothrow), std::nothrow);
    count = counter.count();
  }
  ::operator delete(::operator new(1));
  EXPECT_EQ(count, 3u);
}

// Beats three times on a timer, then reports.
class Beats {
 public:
  struct Over {};
  using Event = std::variant<Over>;
  Beats(Instant now, Endpoint to) : to_(to), next_(now + 1ms) {}
  void handle_datagram(const Received&) {}
  void handle_timeout(Instant now) {
    if (!next_ || now < *next_) return;
    is_due_ = true;
    next_ = now + 1ms;
    if (++count_ == 3) next_.reset();
  }
  std::optional<Transmit> poll_transmit(Instant, MutableBytes out) {
    if (!std::exchange(is_due_, false)) return std::nullopt;
    out[0] = static_cast<std::byte>(count_);
    return Transmit{.remote = to_, .size = 1};
  }
  std::optional<Event> poll_event() {
    if (count_ < 3 || std::exchange(is_reported_, true)) return std::nullopt;
    return Over{};
  }
  std::optional<Instant> next_timeout() const { return next_; }

 private:
  Endpoint to_;
  std::optional<Instant> next_;
  bool is_due_ = false;
  bool is_reported_ = false;
  int count_ = 0;
};

TEST_P(UdpTest, DriverKeepsDeadlinesAndPassesEvents) {
  Loop loop;
  UdpSocket peer(bind(loopback()), GetParam().offload);
  Beats machine(monotonic_now(), peer.local());
  int over = 0;
  std::vector<BoundSocket> sockets;
  sockets.push_back(bind(loopback()));
  const auto driver =
      drive(loop, std::move(sockets), machine, [&](Instant, Beats::Event) { ++over; }, GetParam().offload);
  EXPECT_TRUE(loop.run_until([&] { return over > 0; }, k_patience));
  EXPECT_EQ(receive(peer, 3).datagrams, (std::vector<Bytes>{{std::byte{1}}, {std::byte{2}}, {std::byte{3}}}));
  loop.run_for(5ms);
  EXPECT_EQ(over, 1);
}

TEST(UdpOffloadTest, SelfTestIsStableAndNeverClaimsMoreThanItSaw) {
  const UdpOffload first = test_udp_offload();
  EXPECT_EQ(test_udp_offload(), first);
  if (first.gro) {
    EXPECT_TRUE(first.gso) << "nothing can be coalesced that was not sent as a batch";
  }
}

}  // namespace
}  // namespace dig::net
