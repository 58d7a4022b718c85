// SPDX-License-Identifier: Apache-2.0
// A server among clients that want a third party dialled: whatever they do, the victim hears from it 12 times a minute
// at most, each time after its client has paid, and nothing of a client stays behind.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <vector>

#include "proto/autonat/dial_request_server.hpp"
#include "wire/identity.hpp"

namespace dig::autonat {
namespace {

const Multiaddr k_victim = Multiaddr::parse("/ip4/9.9.9.9/tcp/25").value();

class ServerWorld {
 public:
  explicit ServerWorld(std::uint64_t seed) : rng_(seed) {
    for (int i = 0; i < 20; ++i) peers_.push_back(Identity::generate(rng_).peer_id());
  }

  void step() {
    now_ = now_ + std::chrono::milliseconds(rng_.below(300));
    if (clients_.size() < 50 && rng_.below(3) == 0) connect();
    for (std::size_t i = 0; i < clients_.size(); ++i) act(*clients_[i]);
    std::erase_if(clients_, [&](const auto& client) { return client->is_over || rng_.below(300) == 0; });
    check();
  }
  void finish() {
    clients_.clear();
    EXPECT_EQ(book_.snapshot().running, 0u);
    EXPECT_EQ(book_.snapshot().reading, 0u);
  }
  std::uint64_t dials = 0;
  std::uint64_t dials_of_victim = 0;

 private:
  struct Client {
    Client(Instant now, const PeerId& peer, const IpAddress& from, RequestBook& book, Rng& rng)
        : address(from), machine(now, peer, from, {}, book, rng) {}
    IpAddress address;
    DialRequestServer machine;
    std::uint64_t paid = 0;
    bool is_dialling = false;
    bool is_over = false;
  };

  void connect() {
    const auto number = static_cast<std::uint8_t>(rng_.below(10));
    auto client = std::make_unique<Client>(now_, peers_[rng_.below(peers_.size())], IpAddress::v4({1, 0, 0, number}),
                                           book_, rng_);
    const Multiaddr own = Multiaddr::tcp({client->address, 4001});
    give(*client, DialRequest{{rng_.below(2) == 0 ? k_victim : own}, rng_.u64()});
    clients_.push_back(std::move(client));
  }
  void give(Client& client, const Message& message) {
    Bytes framed;
    append_frame(framed, encode_message(message));
    client.machine.handle_bytes(now_, framed);
    drain(client);
  }
  void act(Client& client) {
    Bytes out(4096);
    static_cast<void>(client.machine.poll_bytes(out));
    client.machine.handle_timeout(now_);
    drain(client);
    const std::uint64_t what = rng_.below(20);
    if (what < 12 && !client.is_over) {
      const std::size_t size = rng_.below(10) == 0 ? rng_.below(200) : 4096;
      client.paid += size;
      give(client, DialDataResponse{Bytes(size)});
    } else if (what < 14 && client.is_dialling) {
      client.machine.handle_dial_back_result(static_cast<DialBackOutcome>(rng_.below(4)));
    } else if (what == 19 && rng_.below(20) == 0) {
      client.machine.handle_eof(now_);
      drain(client);
    }
    client.is_over = client.is_over || client.machine.is_done();
  }
  void drain(Client& client) {
    const auto task = client.machine.take_result();
    if (!task) return;
    if (!*task) {
      client.is_over = true;
      return;
    }
    EXPECT_FALSE(client.is_dialling) << "one dial for a request";
    client.is_dialling = true;
    ++dials;
    all_.push_back(now_);
    if ((*task)->remote.address == client.address) return;
    EXPECT_GE(client.paid, 30'000u);
    ++dials_of_victim;
    of_victim_.push_back(now_);
  }
  void check() {
    for (auto* const list : {&all_, &of_victim_}) {
      while (!list->empty() && now_ - list->front() >= 1min) list->pop_front();
    }
    // A dial comes up to 15 s after its request: the dials of a minute are of the requests of 75 s.
    EXPECT_LE(all_.size(), 2u * 60u);
    EXPECT_LE(of_victim_.size(), 2u * 12u);
    EXPECT_LE(book_.snapshot().running, 32u);
    EXPECT_LE(book_.snapshot().in_last_minute, 60u);
  }

  SeededRng rng_;
  Instant now_{1h};
  RequestBook book_;
  std::vector<PeerId> peers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::deque<Instant> all_;
  std::deque<Instant> of_victim_;
};

TEST(ServerProperty, NobodyIsFloodedThroughTheServer) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    ServerWorld world(seed);
    for (int i = 0; i < 12'000; ++i) world.step();  // half an hour
    world.finish();
    EXPECT_GT(world.dials, 500u);
    EXPECT_GT(world.dials_of_victim, 100u);
    EXPECT_LE(world.dials_of_victim, 31u * 12u);
  }
}

}  // namespace
}  // namespace dig::autonat
