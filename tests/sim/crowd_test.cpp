// SPDX-License-Identifier: Apache-2.0
// Two hundred peers that know one bootstrap server, over lossy links: they find each other by its directory while it is
// killed and restarted, half of them reach each other through its relay only, and what others forge or replay is
// refused.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/frame_reader.hpp"
#include "sim/world.hpp"
#include "wire/directory_message.hpp"
#include "wire/signed_statement.hpp"

namespace dig::sim::testing {
namespace {

constexpr std::size_t k_peers = 200;
constexpr LinkSpec k_lossy{.delay = 30ms, .jitter = 40ms, .max_segment = 1400, .loss = 0.02};

class Crowd : public ::testing::Test {
 protected:
  Crowd() {
    world.network().set_default_link(k_lossy);
    bootstrap = &world.add_host(
        HostSpec{.name = "bootstrap", .limits = node::NodeCore::Limits::of_bootstrap(), .is_bootstrap = true});
  }

  void add_peers(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Host& peer = world.add_host("peer" + std::to_string(i));
      archives.push_back(world.random_bytes(2000));
      stores.push_back(peer.disk().add(archives.back(), peer.identity()));
      peers.push_back(&peer);
      peer.run([&](Instant now, node::NodeCore& core) {
        EXPECT_TRUE(core.add_bootstrap(now, bootstrap->peer_id(), {bootstrap->address()}));
        EXPECT_TRUE(core.add_relay(now, bootstrap->peer_id(), {bootstrap->address()}));
        core.start_publishing(now, 0);
        core.set_stores(now, {stores[i].id});
        return 0;
      });
    }
  }
  // The one whose store the peer wants; the odd ones have no route to theirs.
  static std::size_t wanted_by(std::size_t peer) { return (peer + 71) % k_peers; }
  void part(std::size_t peer) {
    world.network().silence(peers[peer]->endpoint().address, peers[wanted_by(peer)]->endpoint().address);
  }
  [[nodiscard]] std::size_t records() const {
    return bootstrap->is_running() ? bootstrap->snapshot().directory->live : 0;
  }
  [[nodiscard]] bool has_reservation(const Host& peer) const {
    const auto kept = peer.snapshot().reservations;
    return kept.size() == 1 && kept[0].reserved_until.has_value();
  }
  [[nodiscard]] bool is_everybody_there() const {
    return records() == peers.size() &&
           std::ranges::all_of(peers, [&](const Host* peer) { return has_reservation(*peer); });
  }
  [[nodiscard]] bool is_everybody_proven() const {
    return std::ranges::all_of(
        peers, [](const Host* peer) { return peer->snapshot().reachability.v4 == autonat::Verdict::reachable; });
  }
  // What each peer finds for the store it wants.
  std::vector<node::OperationId> search() {
    std::vector<node::OperationId> searches;
    for (std::size_t i = 0; i < peers.size(); ++i) {
      searches.push_back(peers[i]->run(
          [&](Instant now, node::NodeCore& core) { return core.find_holders(now, stores[wanted_by(i)].id); }));
    }
    const auto is_over = [&] {
      for (std::size_t i = 0; i < peers.size(); ++i) {
        if (!peers[i]->searched(searches[i]).is_over) return false;
      }
      return true;
    };
    EXPECT_TRUE(world.run_until(is_over, 5min));
    return searches;
  }
  void expect_found(const std::vector<node::OperationId>& searches) {
    for (std::size_t i = 0; i < peers.size(); ++i) {
      const Host::Search& found = peers[i]->searched(searches[i]);
      for (const Error& error : found.errors) ADD_FAILURE() << i << ": " << error.message();
      ASSERT_EQ(found.records.size(), 1U) << i;
      EXPECT_EQ(found.records[0].record.peer, peers[wanted_by(i)]->peer_id()) << i;
    }
  }

  World world{200};
  Host* bootstrap = nullptr;
  std::vector<Host*> peers;
  std::vector<Bytes> archives;
  std::vector<StoreName> stores;
};

TEST_F(Crowd, EverybodyFindsAndFetchesWhileTheBootstrapIsKilledAndRestarted) {
  add_peers(k_peers);
  for (std::size_t i = 1; i < k_peers; i += 2) part(i);
  // Killed in the middle of the first registrations, and again later.
  for (const Duration pause : {Duration(500ms), Duration(3s), Duration(10s)}) {
    world.run_for(pause);
    bootstrap->crash();
    world.run_for(2s);
    bootstrap->restart();
  }
  ASSERT_TRUE(world.run_until([&] { return is_everybody_there(); }, 10min)) << records();
  // Who asked when the server was killed lets it rest before he asks again.
  ASSERT_TRUE(world.run_until([&] { return is_everybody_proven(); }, 20min));
  world.run_for(1min);  // a proven address changes the record, which is then published again
  const auto searches = search();
  expect_found(searches);

  std::vector<node::OperationId> fetches;
  for (std::size_t i = 0; i < k_peers; ++i) {
    const auto& record = peers[i]->searched(searches[i]).records.at(0).record;
    fetches.push_back(peers[i]->fetch(stores[wanted_by(i)], {{record.peer, record.addresses}}));
  }
  const auto is_over = [&] {
    for (std::size_t i = 0; i < k_peers; ++i) {
      if (peers[i]->fetched(fetches[i]) == nullptr) return false;
    }
    return true;
  };
  ASSERT_TRUE(world.run_until(is_over, 10min));
  for (std::size_t i = 0; i < k_peers; ++i) {
    const node::FetchEnded& ended = *peers[i]->fetched(fetches[i]);
    ASSERT_TRUE(ended.result) << i << ": " << ended.result.error().message();
    EXPECT_TRUE(equal(peers[i]->disk().archive(stores[wanted_by(i)]), archives[wanted_by(i)])) << i;
    EXPECT_EQ(ended.result->path.find("/p2p-circuit") != std::string::npos, i % 2 == 1) << i << ended.result->path;
  }
}

TEST_F(Crowd, WhoVanishesIsForgottenAndTheOthersStay) {
  add_peers(k_peers);
  ASSERT_TRUE(world.run_until([&] { return is_everybody_there(); }, 10min)) << records();
  for (std::size_t i = 0; i < 50; ++i) peers[i]->lose_power();
  world.run_for(2h + 1min);
  EXPECT_EQ(records(), k_peers - 50);
}

// Somebody who speaks the directory's protocol by hand.
class Forger {
 public:
  Forger(World& world, Host& self, const Host& bootstrap) : world_(world), self_(self) {
    self_.on_output([this](const node::NodeOutput& fact) { handle(fact); });
    const auto dial = self_.connect(bootstrap.peer_id(), {bootstrap.address()});
    EXPECT_TRUE(world_.run_until([&] { return self_.connected(dial) != nullptr; }, 1min));
    connection_ = self_.connected(dial)->result.value().connection;
    self_.run([&](Instant now, node::NodeCore& core) {
      return core.open_app_stream(now, connection_, std::string(k_directory_protocol));
    });
    EXPECT_TRUE(world_.run_until([&] { return stream_.has_value(); }, 1min));
  }

  DirectoryStatus ask(const DirectoryRequest& request) {
    Bytes framed;
    append_frame(framed, encode_directory_request(request));
    self_.run([&](Instant now, node::NodeCore& core) {
      core.write_app_stream(now, connection_, *stream_, framed);
      core.read_app_stream(now, connection_, *stream_, 65536);
      return 0;
    });
    EXPECT_TRUE(world_.run_until([&] { return frames_.has_frame(); }, 1min));
    return decode_directory_response(frames_.take_frame().value()).value().status;
  }

 private:
  void handle(const node::NodeOutput& fact) {
    if (const auto* opened = std::get_if<node::AppStreamOpened>(&fact)) {
      stream_ = opened->result.value();
    } else if (const auto* read = std::get_if<node::AppRead>(&fact)) {
      EXPECT_EQ(frames_.feed(read->bytes), read->bytes.size());
    }
  }

  World& world_;
  Host& self_;
  node::ConnectionId connection_;
  std::optional<StreamId> stream_;
  FrameReader frames_{k_max_directory_message};
};

TEST_F(Crowd, ForgedAndReplayedRecordsAreRefusedByName) {
  add_peers(5);
  ASSERT_TRUE(world.run_until([&] { return is_everybody_there(); }, 1min));
  const auto search =
      peers[0]->run([&](Instant now, node::NodeCore& core) { return core.find_holders(now, stores[1].id); });
  ASSERT_TRUE(world.run_until([&] { return peers[0]->searched(search).is_over; }, 1min));
  const directory::VerifiedRecord stolen = peers[0]->searched(search).records.at(0);

  Host& evil = world.add_host("evil");
  Forger forger(world, evil, *bootstrap);
  EXPECT_EQ(forger.ask(RegisterRequest{{stolen.envelope}}), DirectoryStatus::another_peer);
  // The same record, signed by the wrong key.
  EXPECT_EQ(forger.ask(RegisterRequest{{sign_statement(evil.identity(), stolen.record).encode()}}),
            DirectoryStatus::another_peer);
  NodeRecord own = stolen.record;
  own.peer = evil.peer_id();
  own.pages = 0;
  Bytes altered = sign_statement(evil.identity(), own).encode();
  altered.back() ^= std::byte{1};
  EXPECT_EQ(forger.ask(RegisterRequest{{altered}}), DirectoryStatus::bad_signature);
  const Bytes genuine = sign_statement(evil.identity(), own).encode();
  EXPECT_EQ(forger.ask(RegisterRequest{{genuine}}), DirectoryStatus::ok);
  ++own.sequence;
  EXPECT_EQ(forger.ask(RegisterRequest{{sign_statement(evil.identity(), own).encode()}}), DirectoryStatus::ok);
  EXPECT_EQ(forger.ask(RegisterRequest{{genuine}}), DirectoryStatus::outdated);
  own.sequence += 24ULL * 3600 * 1000;
  EXPECT_EQ(forger.ask(RegisterRequest{{sign_statement(evil.identity(), own).encode()}}), DirectoryStatus::from_future);
  EXPECT_EQ(records(), 6U);
  EXPECT_GE(bootstrap->snapshot().directory->refused, 5U);

  // Who was to be replaced is found as before.
  const auto again =
      peers[0]->run([&](Instant now, node::NodeCore& core) { return core.find_holders(now, stores[1].id); });
  ASSERT_TRUE(world.run_until([&] { return peers[0]->searched(again).is_over; }, 1min));
  ASSERT_EQ(peers[0]->searched(again).records.size(), 1U);
  EXPECT_EQ(peers[0]->searched(again).records[0], stolen);
}

}  // namespace
}  // namespace dig::sim::testing
