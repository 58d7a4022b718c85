// SPDX-License-Identifier: Apache-2.0
// A pair relay beside the rules written down a second time: three peers, with more clients than they need, do at random
// what good and bad clients do. Each answer and each packet must be the expected one, and nothing may ever leave the
// relay but to a client.
#include <gtest/gtest.h>

#include <map>

#include "proto/turn_server/testing/pair_world.hpp"

namespace dig::turn {
namespace {

using namespace testing;

constexpr std::size_t k_clients = 6;
constexpr std::size_t k_steps = 3000;
constexpr std::uint64_t k_schedules = 12;

const std::array<PeerId, 3> k_peers{test_peer(1), test_peer(2), test_peer(3)};

class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : rng_(seed) {
    for (std::size_t i = 0; i < k_clients; ++i) {
      parties_.emplace_back(relay_.world, "192.0.2." + std::to_string(10 + i) + ":5000");
    }
  }

  void run() {
    for (std::size_t step = 0; step < k_steps && !::testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      advance(std::chrono::seconds(1 + (rng_.below(60) == 0 ? rng_.below(700) : rng_.below(3))));
      act(parties_[rng_.below(k_clients)]);
      EXPECT_EQ(relay_.leaks(), 0U);
    }
    const Counters& counters = relay_.world.server.counters();
    EXPECT_EQ(counters.packets_to_clients, outcomes_["delivered"]);
    EXPECT_EQ(counters.bytes_to_clients, delivered_bytes_);
    EXPECT_EQ(counters.refused(403), outcomes_["permit 403"] + outcomes_["bind 403"]);
    EXPECT_EQ(relay_.world.server.allocations(), counters.allocations_made - counters.allocations_ended);
    advance(3601s);
    EXPECT_EQ(relay_.world.server.allocations(), 0U);
    EXPECT_EQ(relay_.world.quotas.taken(), 0U);
  }
  [[nodiscard]] const std::map<std::string, std::size_t>& outcomes() const { return outcomes_; }

 private:
  struct Credential {
    std::string username;
    std::string password;
    PairRole role;
    UnixTime expires;
    bool is_genuine = false;
  };
  struct Bound {
    std::uint16_t number = 0;
    Endpoint peer;
    Instant expires;
  };
  struct Allocated {
    PairRole role;
    std::string username;
    Endpoint relayed;
    Instant expires;
    std::optional<Instant> permitted_until;  // of the IP address that all have
    std::vector<Bound> channels;
  };
  struct Party {
    Party(World& world, const std::string& from) : client(world, from) {}
    TestClient client;
    Credential credential;
    std::optional<Allocated> allocated;
  };

  // --- the rules ----------------------------------------------------------------------------------------------------
  [[nodiscard]] Instant now() const { return relay_.world.now; }
  [[nodiscard]] bool is_valid(const Credential& credential) const {
    return credential.is_genuine && credential.expires > relay_.world.wall;
  }
  [[nodiscard]] static bool is_mirror(const Party& party, const PairRole& role) {
    return party.allocated && party.allocated->role == PairRole{role.peer, role.self};
  }
  [[nodiscard]] bool may_send(const Allocated& allocated) const {
    return allocated.permitted_until && *allocated.permitted_until > now();
  }
  // 0, or what every request of this party for its allocation is refused with.
  [[nodiscard]] int refusal_of(const Party& party) const {
    if (!is_valid(party.credential)) return 401;
    if (!party.allocated) return 437;
    return party.allocated->username == party.credential.username ? 0 : 441;
  }
  [[nodiscard]] Party* mirror_at(const PairRole& role, const Endpoint& relayed) {
    for (Party& party : parties_) {
      if (is_mirror(party, role) && party.allocated->relayed == relayed) return &party;
    }
    return nullptr;
  }
  [[nodiscard]] int expected_permit(const Party& party, const Endpoint& peer) {
    if (const int refusal = refusal_of(party)) return refusal;
    const bool has_mirror =
        std::ranges::any_of(parties_, [&](const Party& other) { return is_mirror(other, party.allocated->role); });
    return has_mirror && peer.address == party.allocated->relayed.address ? 0 : 403;
  }
  [[nodiscard]] int expected_bind(const Party& party, std::uint16_t number, const Endpoint& peer) {
    if (const int refusal = refusal_of(party)) return refusal;
    if (mirror_at(party.allocated->role, peer) == nullptr) return 403;
    const auto& channels = party.allocated->channels;
    const auto by_number = std::ranges::find(channels, number, &Bound::number);
    const auto by_peer = std::ranges::find(channels, peer, &Bound::peer);
    return by_number == by_peer ? 0 : 400;
  }

  // --- what happens -------------------------------------------------------------------------------------------------
  void advance(Duration duration) {
    relay_.world.advance(duration);
    for (Party& party : parties_) {
      if (!party.allocated) continue;
      std::erase_if(party.allocated->channels, [&](const Bound& bound) { return bound.expires + 5min <= now(); });
      if (party.allocated->expires <= now()) party.allocated.reset();
    }
  }
  void act(Party& party) {
    const std::uint64_t what = rng_.below(40);
    if (what == 0) return leave(party);
    if (what == 1 || (what % 2 == 0 && !party.allocated && !is_valid(party.credential))) return take_credential(party);
    if (what <= 6) return allocate(party);
    if (what <= 9) return refresh(party);
    if (what <= 15) return permit(party);
    if (what <= 23) return bind(party);
    return what <= 31 ? send(party) : send_on_channel(party);
  }

  // The party's own, or one that is wrong in one way.
  void take_credential(Party& party) {
    const std::size_t self = rng_.below(3);
    const bool is_for_next = rng_.below(2) == 0;
    const PairRole role{k_peers[self], k_peers[(self + (is_for_next ? 1 : 2)) % 3]};
    const UnixTime wall = relay_.world.wall;
    const std::uint64_t kind = rng_.below(12);
    const UnixTime made{wall.seconds - (kind == 0 ? 3601 : static_cast<std::int64_t>(rng_.below(3000)))};
    const auto minted = (kind == 1 ? foreign_ : relay_.credentials).mint(made, role, rng_).value();
    party.credential = {minted.username, minted.password, role, {made.seconds + 3600}, kind != 1};
    if (kind == 2) {
      party.credential.password.front() ^= 1;
      party.credential.is_genuine = false;
    }
    if (kind == 3) {  // a stranger's name, with a password for another
      party.credential.username = parties_[rng_.below(k_clients)].credential.username + "A";
      party.credential.is_genuine = false;
    }
    party.client.username = party.credential.username;
    party.client.password = party.credential.password;
  }
  void allocate(Party& party) {
    party.client.nonce.clear();
    const int expected = !is_valid(party.credential) ? 401 : party.allocated ? 437 : 0;
    note("allocate", expected, party.client.allocate().error());
    if (expected != 0) return;
    party.allocated.emplace(Allocated{.role = party.credential.role,
                                      .username = party.credential.username,
                                      .relayed = party.client.relayed,
                                      .expires = now() + 600s,
                                      .permitted_until = {},
                                      .channels = {}});
  }
  void refresh(Party& party) {
    party.client.nonce.clear();
    const int expected = refusal_of(party);
    note("refresh", expected, party.client.refresh(3600).error());
    if (expected == 0) party.allocated->expires = now() + 3600s;
  }
  void leave(Party& party) {
    relay_.world.server.handle_client_closed(now(), party.client.path);
    relay_.world.settle();
    party.allocated.reset();
    ++outcomes_["leave"];
  }
  // Where a client may want to send: to its peer, to another one, where that is or was, or to what is nobody's.
  [[nodiscard]] Endpoint somewhere(const Party& party) {
    if (party.allocated && rng_.below(2) == 0) {
      for (const Party& other : parties_) {
        if (is_mirror(other, party.allocated->role)) return other.allocated->relayed;
      }
    }
    const Endpoint& other = parties_[rng_.below(k_clients)].client.relayed;
    switch (rng_.below(12)) {
      case 0:
        return at("198.51.100.7:9");  // a decoy on the Internet
      case 1:
        return at("203.0.113.2:22");  // and one beside the relay
      case 2:
        return party.client.path.local;
      case 3:
        return {other.address, static_cast<std::uint16_t>(other.port ^ 1U)};
      default:
        return other;
    }
  }
  void permit(Party& party) {
    const Endpoint peer = somewhere(party);
    if (!peer.address.is_v4()) return;
    party.client.nonce.clear();
    const int expected = expected_permit(party, peer);
    note("permit", expected, party.client.permit({peer.to_string()}).error());
    if (expected == 0) party.allocated->permitted_until = now() + 300s;
  }
  void bind(Party& party) {
    const Endpoint peer = somewhere(party);
    const auto number = static_cast<std::uint16_t>(0x4000 + rng_.below(4));
    party.client.nonce.clear();
    const int expected = expected_bind(party, number, peer);
    note("bind", expected, party.client.bind(number, peer).error());
    if (expected != 0) return;
    party.allocated->permitted_until = now() + 300s;
    std::erase_if(party.allocated->channels, [&](const Bound& bound) { return bound.number == number; });
    party.allocated->channels.push_back({number, peer, now() + 600s});
  }
  void send(Party& party) {
    const Endpoint peer = somewhere(party);
    const std::string payload = next_payload();
    relay_.world.sink.clients.clear();
    party.client.send_indication(peer, as_bytes(payload));
    check_delivery(party, peer, payload);
  }
  void send_on_channel(Party& party) {
    const auto number = static_cast<std::uint16_t>(0x4000 + rng_.below(4));
    const std::string payload = next_payload();
    relay_.world.sink.clients.clear();
    party.client.send_channel_data(number, payload);
    std::optional<Endpoint> peer;
    if (party.allocated) {
      for (const Bound& bound : party.allocated->channels) {
        if (bound.number == number && bound.expires > now()) peer = bound.peer;
      }
    }
    check_delivery(party, peer, payload);
  }
  [[nodiscard]] std::string next_payload() { return "packet " + std::to_string(++packets_); }

  void check_delivery(const Party& party, const std::optional<Endpoint>& peer, const std::string& payload) {
    const auto& sent = relay_.world.sink.clients;
    Party* const target =
        party.allocated && peer && may_send(*party.allocated) ? mirror_at(party.allocated->role, *peer) : nullptr;
    if (target == nullptr || !may_send(*target->allocated)) {
      EXPECT_TRUE(sent.empty());
      ++outcomes_[target == nullptr ? "dropped" : "not permitted"];
      return;
    }
    ++outcomes_["delivered"];
    delivered_bytes_ += payload.size();
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent.front().client, target->client.path);
    EXPECT_NE(as_text(sent.front().bytes).find(payload), std::string_view::npos);
  }
  void note(std::string_view what, int expected, int seen) {
    EXPECT_EQ(seen, expected) << what;
    ++outcomes_[std::string(what) + " " + std::to_string(expected)];
  }

  SeededRng rng_;
  PairWorld relay_;
  PairCredentials foreign_{test_peer(101)};
  std::deque<Party> parties_;
  std::size_t packets_ = 0;
  std::uint64_t delivered_bytes_ = 0;
  std::map<std::string, std::size_t> outcomes_;
};

TEST(PairRelayRandom, EveryAnswerAndEveryPacketIsTheExpectedOne) {
  std::map<std::string, std::size_t> outcomes;
  for (std::uint64_t seed = 1; seed <= k_schedules; ++seed) {
    Schedule schedule(seed);
    schedule.run();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
    for (const auto& [what, times] : schedule.outcomes()) outcomes[what] += times;
  }
  // Schedules in which nothing happens would agree as well.
  for (const std::string_view what :
       {"allocate 0",  "allocate 401", "allocate 437", "refresh 0",    "refresh 401", "refresh 437",
        "refresh 441", "leave",        "permit 0",     "permit 401",   "permit 403",  "permit 437",
        "permit 441",  "bind 0",       "bind 400",     "bind 401",     "bind 403",    "bind 437",
        "bind 441",    "delivered",    "dropped",      "not permitted"}) {
    EXPECT_GE(outcomes[std::string(what)], 100U) << what;
  }
}

}  // namespace
}  // namespace dig::turn
