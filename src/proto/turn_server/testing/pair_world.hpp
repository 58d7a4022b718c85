// SPDX-License-Identifier: Apache-2.0
// A pair relay with peers who have credentials of it. Test-only.
#pragma once

#include "proto/turn_server/pair_credentials.hpp"
#include "proto/turn_server/testing/turn_world.hpp"
#include "wire/identity.hpp"

namespace dig::turn::testing {

inline PeerId test_peer(std::uint64_t seed) {
  SeededRng rng(seed);
  return Identity::generate(rng).peer_id();
}

struct PairWorld {
  static ServerConfig default_config() {
    ServerConfig config = World::default_config();
    config.is_pair_relay = true;
    return config;
  }
  explicit PairWorld(ServerConfig config = default_config()) : world(std::move(config), {}, &credentials) {
    world.opens = [this](const OpenRelay&) -> Result<void> {
      ++openings;
      return {};
    };
  }

  // Gives the client a credential of `self` for `peer`.
  void give(TestClient& client, const PeerId& self, const PeerId& peer) {
    const auto minted = credentials.mint(world.wall, {self, peer}, rng);
    ASSERT_TRUE(minted);
    client.username = minted->username;
    client.password = minted->password;
  }
  [[nodiscard]] std::uint64_t dropped(Drop why) const { return world.server.counters().dropped(why); }
  // What has left this server in another way than to a client.
  [[nodiscard]] std::size_t leaks() const { return world.sink.peers.size() + openings; }

  SeededRng rng{5};
  PairCredentials credentials{test_peer(100)};
  std::size_t openings = 0;
  World world;
};

}  // namespace dig::turn::testing
