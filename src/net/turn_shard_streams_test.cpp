// SPDX-License-Identifier: Apache-2.0
// TCP clients of a TURN shard: those that it accepts itself, and those that the one port has accepted for it.
#include <gtest/gtest.h>

#include <thread>

#include "crypto/system_rng.hpp"
#include "net/port_streams.hpp"
#include "net/testing/port_client.hpp"

namespace dig::net {
namespace {

using testing::PortClient;

constexpr Duration k_patience = 20s;
const std::string k_binding("\x00\x01\x00\x00\x21\x12\xA4\x42twelve-bytes", 20);
const std::string k_begun("\x00\x01\x04\x00\x21\x12\xA4\x42twelve-bytes", 20);  // 1024 bytes are missing

// Takes one message.
bool is_answered(PortClient& client) {
  const std::string head = client.receive(20);
  if (head.size() < 20) return false;
  const std::size_t size = static_cast<unsigned char>(head[2]) * 256U + static_cast<unsigned char>(head[3]);
  return head.starts_with("\x01\x01") && client.receive(size).size() == size;
}

// Nobody speaks libp2p here.
class NoOwner final : public PortOwner {
 public:
  bool admits(Instant /*now*/, const Endpoint& /*local*/, const Endpoint& /*remote*/) override { return true; }
  void handle_accepted(Instant /*now*/, TransportId /*id*/, const Endpoint& /*local*/, const Endpoint& /*remote*/,
                       Multiaddr::Carrier /*carrier*/) override {}
  void handle_not_libp2p(Instant /*now*/, const Endpoint& /*remote*/) override {}
  void handle_dialled(Instant /*now*/, DialId /*id*/, const DialOutcome& /*outcome*/) override {}
  void handle_bytes(Instant /*now*/, TransportId /*id*/, BytesView /*bytes*/) override {}
  void handle_eof(Instant /*now*/, TransportId /*id*/) override {}
  void handle_error(Instant /*now*/, TransportId /*id*/, const Error& /*error*/) override {}
  std::size_t poll_bytes(Instant /*now*/, TransportId /*id*/, MutableBytes /*out*/) override { return 0; }
  bool wants_bytes(TransportId /*id*/) override { return true; }
  void settle(Instant /*now*/) override {}
};

// Whether the one port stands before the shard.
class TurnShardStreamsTest : public ::testing::TestWithParam<bool> {
 protected:
  void start(TurnShardOptions options) {
    if (GetParam()) streams_.emplace(loop_, owner_, rng_, PortStreams::Limits());
    shard_.emplace(loop_, std::move(options), users_, quotas_, rng_);
    if (streams_) streams_->set_turn(&*shard_);
    auto lease = ports_.acquire({.purpose = "turn", .addresses = {IpAddress::loopback(IpFamily::v4)}});
    server_ = {IpAddress::loopback(IpFamily::v4), lease->port()};
    for (BoundSocket& socket : lease->take_tcp()) {
      if (streams_) {
        streams_->listen(std::move(socket));
      } else {
        shard_->listen_tcp(std::move(socket));
      }
    }
  }

  // Runs `client` on a thread of its own while the loop runs here.
  void run(const std::function<void()>& client) {
    std::atomic<bool> is_done = false;
    std::jthread thread([&] {
      EXPECT_NO_THROW(client());
      is_done = true;
      loop_.post([] {});
    });
    ASSERT_TRUE(loop_.run_until([&] { return is_done.load(); }, k_patience));
  }
  [[nodiscard]] std::size_t streams() const { return shard_->snapshot().streams; }

  Loop loop_;
  crypto::SystemRng rng_;
  turn::StaticUsers users_{"dignet"};
  turn::Quotas quotas_{{}};
  PortManager ports_;
  NoOwner owner_;
  std::optional<PortStreams> streams_;
  std::optional<TurnShard> shard_;
  Endpoint server_;
  std::atomic<bool> is_one_left_ = false;
};

TEST_P(TurnShardStreamsTest, who_has_said_all_still_gets_his_answers) {
  start({});
  run([&] {
    std::string requests;
    for (int i = 0; i < 500; ++i) requests += k_binding;
    PortClient client(server_);
    client.send(requests);
    client.finish();
    const std::string answers = client.receive();
    EXPECT_GE(answers.size(), 500 * (20 + 12U)) << "each with the address it came from";
    EXPECT_TRUE(answers.starts_with("\x01\x01"));
  });
  EXPECT_EQ(streams(), 0U);
}

TEST_P(TurnShardStreamsTest, streams_of_one_source_are_bounded_and_those_of_others_come_in) {
  start({.max_streams_per_source = 4});
  std::vector<std::unique_ptr<PortClient>> clients;
  run([&] {
    for (int i = 0; i < 20; ++i) {
      clients.push_back(std::make_unique<PortClient>(server_));
      clients.back()->send(k_begun);
    }
    PortClient other(server_, IpAddress::v4({127, 0, 0, 2}));
    other.send(k_binding);
    EXPECT_TRUE(is_answered(other));
  });
  ASSERT_TRUE(loop_.run_until([&] { return shard_->snapshot().streams_refused == 16; }, k_patience));
  ASSERT_TRUE(loop_.run_until([&] { return streams() == 4; }, k_patience));  // the other one has gone
  // There is room again once they have gone.
  clients.clear();
  ASSERT_TRUE(loop_.run_until([&] { return streams() == 0; }, k_patience));
  run([&] {
    PortClient again(server_);
    again.send(k_binding);
    EXPECT_TRUE(is_answered(again));
  });
}

// Neither its own bytes keep it, nor what others do meanwhile.
TEST_P(TurnShardStreamsTest, a_message_that_never_ends_is_not_waited_for) {
  start({.idle = 500ms});
  run([&] {
    PortClient trickling(server_);
    trickling.send(k_binding + k_begun.substr(0, 8));
    EXPECT_TRUE(is_answered(trickling));
    PortClient busy(server_);
    const Instant since = monotonic_now();
    while (!is_one_left_.load() && monotonic_now() - since < 10s) {
      trickling.send("x");
      busy.send(k_binding);
      ASSERT_TRUE(is_answered(busy));
      loop_.post([&] { is_one_left_ = streams() == 1; });
      std::this_thread::sleep_for(50ms);  // how slowly it comes is what is tested
    }
    EXPECT_TRUE(is_one_left_.load());
    EXPECT_LT(monotonic_now() - since, 8s);
  });
}

using AdoptedStreamsTest = TurnShardStreamsTest;

// More than leaves before the end is seen.
TEST_P(AdoptedStreamsTest, answers_that_wait_outlive_the_end_of_the_requests) {
  constexpr std::size_t k_many = 150'000;
  start({.max_bytes_without_allocation = 100'000'000, .max_stream_output = 100'000'000});
  run([&] {
    std::string requests;
    for (std::size_t i = 0; i < k_many; ++i) requests += k_binding;
    PortClient client(server_);
    client.send(requests);
    client.finish();
    ASSERT_TRUE(is_answered(client));
    const std::string answers = client.receive();
    EXPECT_GE(answers.size(), (k_many - 1) * (20 + 12));
  });
}

INSTANTIATE_TEST_SUITE_P(Adopted, AdoptedStreamsTest, ::testing::Values(true));
INSTANTIATE_TEST_SUITE_P(Own, TurnShardStreamsTest, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Adopted, TurnShardStreamsTest, ::testing::Values(true));

}  // namespace
}  // namespace dig::net
