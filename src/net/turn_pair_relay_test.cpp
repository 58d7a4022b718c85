// SPDX-License-Identifier: Apache-2.0
// A pair relay over real sockets: two clients, a third one, and a decoy beside the relay.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>

#include "crypto/system_rng.hpp"
#include "net/clock.hpp"
#include "net/node_turn.hpp"
#include "net/sockaddr.hpp"
#include "net/turn_shard.hpp"
#include "proto/turn_server/pair_credentials.hpp"
#include "wire/identity.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::net {
namespace {

using stun::Attribute;
using stun::Class;
using stun::Method;

constexpr Duration k_patience = 30s;

PeerId new_peer() {
  crypto::SystemRng rng;
  return Identity::generate(rng).peer_id();
}

struct UdpPort {
  UdpPort() : fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const SocketAddress address(Endpoint{IpAddress::loopback(IpFamily::v4), 0});
    EXPECT_EQ(::bind(fd.value(), address.get(), address.size()), 0);
    local = local_endpoint(fd.value()).value();
  }
  [[nodiscard]] bool is_readable() const {
    pollfd ready{fd.value(), POLLIN, 0};
    return ::poll(&ready, 1, 0) == 1;
  }
  UniqueFd fd;
  Endpoint local;
};

// A relay on one port of the loopback interface, run by the thread of the test.
struct Relay {
  Relay() : shard(loop, options(), credentials, quotas, rng) {
    UdpPort port;
    address = port.local;
    shard.listen_udp({std::move(port.fd), SocketKind::udp, address});
  }
  static TurnShardOptions options() {
    TurnShardOptions options;
    options.server.is_pair_relay = true;
    options.server.relay_v4 = IpAddress::loopback(IpFamily::v4);
    options.relay_bind_v4 = options.server.relay_v4;
    return options;
  }

  crypto::SystemRng rng;
  turn::PairCredentials credentials{new_peer()};
  turn::Quotas quotas{{}};
  Loop loop;
  TurnShard shard;
  Endpoint address;
};

class Client {
 public:
  Client(Relay& relay, const PeerId& self, const PeerId& peer)
      : relay_(relay), credential_(relay.credentials.mint(wall_now(), {self, peer}, relay.rng).value()) {}

  // Each returns the error code of the answer, 0 for a success, -1 for none.
  int allocate() {
    const int code = request(
        Method::allocate, [](stun::Writer& writer) { stun::add_requested_transport(writer, stun::k_transport_udp); });
    if (code == 0) {
      relayed = stun::xor_address(stun::Message::parse(last_).value(), Attribute::xor_relayed_address).value();
    }
    return code;
  }
  int permit(const Endpoint& peer) {
    return request(Method::create_permission, [&](stun::Writer& writer) {
      stun::add_xor_address(writer, Attribute::xor_peer_address, peer, writer.transaction());
    });
  }
  int bind(std::uint16_t channel, const Endpoint& peer) {
    return request(Method::channel_bind, [&](stun::Writer& writer) {
      stun::add_channel_number(writer, channel);
      stun::add_xor_address(writer, Attribute::xor_peer_address, peer, writer.transaction());
    });
  }
  void send_on_channel(std::uint16_t channel, std::string_view data) {
    Bytes bytes(turn::k_channel_header_size);
    turn::encode_channel_header(channel, data.size(), std::span(bytes).first<turn::k_channel_header_size>());
    append(bytes, as_bytes(data));
    send(bytes);
  }
  void send_indication(const Endpoint& peer, std::string_view data) {
    std::array<std::byte, 512> buffer;
    stun::Writer writer(buffer, {Method::send, Class::indication, {}});
    stun::add_xor_address(writer, Attribute::xor_peer_address, peer, writer.transaction());
    writer.add_text(Attribute::data, data);
    send(writer.written());
  }
  // What has come on a channel; empty: nothing.
  std::string receive_on_channel(std::uint16_t channel) {
    if (!receive()) return "";
    const auto data = turn::decode_channel_data(last_);
    return data && data->channel == channel ? std::string(as_text(data->data)) : "something else";
  }
  [[nodiscard]] bool has_something() const { return port_.is_readable(); }

  Endpoint relayed;

 private:
  using Fill = std::function<void(stun::Writer&)>;

  int request(Method method, const Fill& fill) {
    if (nonce_.empty() && exchange(method, fill) != 401) return -1;
    return exchange(method, [&](stun::Writer& writer) {
      fill(writer);
      writer.add_text(Attribute::username, credential_.username);
      writer.add_text(Attribute::realm, "dignet");
      writer.add_text(Attribute::nonce, nonce_);
      const stun::LongTermKey key(stun::PasswordAlgorithm::md5, credential_.username, "dignet", credential_.password);
      stun::add_integrity(writer, key.view());
    });
  }
  int exchange(Method method, const Fill& fill) {
    std::array<std::byte, 1024> buffer;
    stun::Writer writer(buffer, {method, Class::request, {static_cast<std::byte>(++transactions_)}});
    fill(writer);
    send(writer.written());
    if (!receive()) return -1;
    const auto answer = stun::Message::parse(last_);
    if (!answer) return -1;
    if (const auto nonce = answer->find(Attribute::nonce)) nonce_ = as_text(*nonce);
    const auto error = answer->find(Attribute::error_code);
    return error ? stun::decode_error(*error).value().code : 0;
  }
  void send(BytesView bytes) {
    const SocketAddress to(relay_.address);
    EXPECT_GT(::sendto(port_.fd.value(), bytes.data(), bytes.size(), 0, to.get(), to.size()), 0);
  }
  bool receive() {
    if (!port_.is_readable() && !relay_.loop.run_until([&] { return port_.is_readable(); }, k_patience)) return false;
    last_.resize(2048);
    const ssize_t size = ::recv(port_.fd.value(), last_.data(), last_.size(), 0);
    last_.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return size >= 0;
  }

  Relay& relay_;
  UdpPort port_;
  turn::PairCredentials::Minted credential_;
  std::string nonce_;
  unsigned transactions_ = 0;
  Bytes last_;
};

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

TEST(TurnPairRelay, TwoPeersTalkThroughOnePortAndNobodyElseIsReached) {
  Relay relay;
  const UdpPort decoy;
  const PeerId alice_id = new_peer();
  const PeerId bob_id = new_peer();
  Client alice(relay, alice_id, bob_id);
  Client bob(relay, bob_id, alice_id);
  Client carol(relay, new_peer(), alice_id);
  const std::size_t files = open_files();
  for (Client* client : {&alice, &bob, &carol}) ASSERT_EQ(client->allocate(), 0);
  EXPECT_EQ(open_files(), files) << "a relayed address has no socket";

  ASSERT_EQ(alice.permit(bob.relayed), 0);
  ASSERT_EQ(alice.bind(0x4000, bob.relayed), 0);
  ASSERT_EQ(bob.permit(alice.relayed), 0);
  ASSERT_EQ(bob.bind(0x4001, alice.relayed), 0);
  alice.send_on_channel(0x4000, "to Bob");
  EXPECT_EQ(bob.receive_on_channel(0x4001), "to Bob");
  bob.send_indication(alice.relayed, "to Alice");
  EXPECT_EQ(alice.receive_on_channel(0x4000), "to Alice");

  EXPECT_EQ(carol.permit(alice.relayed), 403);
  EXPECT_EQ(carol.bind(0x4000, alice.relayed), 403);
  EXPECT_EQ(alice.bind(0x4002, carol.relayed), 403);
  EXPECT_EQ(alice.bind(0x4002, decoy.local), 403);
  alice.send_indication(decoy.local, "to a program beside the relay");
  alice.send_indication(relay.address, "to the relay itself");
  alice.send_indication(carol.relayed, "to Carol");
  alice.send_on_channel(0x4000, "the last");
  EXPECT_EQ(bob.receive_on_channel(0x4001), "the last");  // so the others have been dealt with
  EXPECT_FALSE(decoy.is_readable());
  EXPECT_FALSE(carol.has_something());
  EXPECT_EQ(relay.shard.snapshot().counters.dropped(turn::Drop::peer_forbidden), 3U + 4U);
  EXPECT_EQ(relay.shard.snapshot().counters.packets_to_clients, 3U);
}

// What the owner gives away in a month, over real sockets: when it is used up, data and new allocations end and the
// offer too, until the next month begins; and all of it is remembered.
TEST(NodeTurn, AMonthIsUsedUpRememberedAndFollowedByAnother) {
  const std::filesystem::path file = std::filesystem::path(::testing::TempDir()) / "dignet-turn.volume";
  std::filesystem::remove(file);
  constexpr UnixTime k_month{221'000'000'000};  // the timer, with the real time, begins no other month
  constexpr UnixTime k_next_month{k_month.seconds + 31 * 86'400};
  Relay relay;
  std::vector<bool> wishes;
  NodeTurn turn(relay.loop, relay.shard, {.max_bytes_per_month = 1000, .volume_file = file},
                read_turn_volume(file).value(),
                {.set_wish = [&](Instant, const auto& wish, const auto&) { wishes.push_back(!wish.is_paused); },
                 .save = [&](const auto& state) { EXPECT_TRUE(write_turn_volume(file, state)); }});
  turn.start(monotonic_now());
  const PeerId alice_id = new_peer();
  const PeerId bob_id = new_peer();
  Client alice(relay, alice_id, bob_id);
  Client bob(relay, bob_id, alice_id);
  ASSERT_TRUE(alice.allocate() == 0 && bob.allocate() == 0);
  ASSERT_TRUE(alice.bind(0x4000, bob.relayed) == 0 && bob.bind(0x4001, alice.relayed) == 0);
  alice.send_on_channel(0x4000, std::string(600, 'x'));
  EXPECT_EQ(bob.receive_on_channel(0x4001).size(), 600U);
  turn.update(monotonic_now(), k_month);
  EXPECT_EQ(read_turn_volume(file).value().bytes, 600U);
  EXPECT_EQ(wishes, std::vector{true});

  alice.send_on_channel(0x4000, std::string(401, 'x'));
  Client late(relay, new_peer(), bob_id);
  EXPECT_EQ(late.allocate(), 508);
  EXPECT_FALSE(bob.has_something());
  turn.update(monotonic_now(), k_month);  // so soon again, but that there is no offer now is kept at once
  EXPECT_EQ(wishes, (std::vector{true, false}));
  EXPECT_EQ(turn.volume().bytes, 1000U);
  EXPECT_EQ(read_turn_volume(file).value(), turn.volume());
  EXPECT_EQ(late.allocate(), 508);

  turn.update(monotonic_now(), k_next_month);
  EXPECT_EQ(wishes, (std::vector{true, false, true}));
  EXPECT_EQ(late.allocate(), 0);
  alice.send_on_channel(0x4000, std::string(401, 'x'));
  EXPECT_EQ(bob.receive_on_channel(0x4001).size(), 401U);
  std::filesystem::remove(file);
}

TEST(NodeTurn, AFileThatSaysNothingIsAnErrorAndNoneIsZero) {
  const std::filesystem::path file = std::filesystem::path(::testing::TempDir()) / "dignet-turn-bad.volume";
  std::filesystem::remove(file);
  EXPECT_EQ(read_turn_volume(file).value(), turn::MonthlyVolume::State{});
  EXPECT_EQ(read_turn_volume({}).value(), turn::MonthlyVolume::State{});
  for (const std::string& text : {std::string("nonsense"), std::string(1000, '1')}) {
    std::ofstream(file) << text;
    EXPECT_FALSE(read_turn_volume(file));
  }
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace dig::net
