// SPDX-License-Identifier: Apache-2.0
// What the scenarios share: a world with holders of one store and somebody who fetches it, and what must hold when
// everybody has left.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/world.hpp"

namespace dig::sim::testing {

class Scenario {
 public:
  explicit Scenario(std::uint64_t seed) : world(seed), fetcher(world.add_host("fetcher")) {}

  void make_store(std::size_t size) {
    archive = world.random_bytes(size);
    SeededRng owner_rng(42);
    owner.emplace(Identity::generate(owner_rng));
  }
  Host& add_holder(const std::string& name) { return add_holder(HostSpec{.name = name}); }
  Host& add_holder(HostSpec spec) {
    Host& host = world.add_host(std::move(spec));
    store = host.disk().add(archive, *owner);
    holders.push_back(&host);
    return host;
  }
  void link(const Host& a, const Host& b, const LinkSpec& spec) {
    world.network().set_link(a.endpoint().address, b.endpoint().address, spec);
  }
  void link(const Host& holder, const LinkSpec& spec) { link(fetcher, holder, spec); }

  node::OperationId start() {
    std::vector<node::HolderSpec> specs;
    for (const Host* holder : holders) specs.push_back(holder->as_holder());
    return fetcher.fetch(store, std::move(specs));
  }
  // Starts the fetch, if it is not under way, and waits for its end.
  const node::FetchEnded* fetch(Duration limit = 10min) { return wait(start(), limit); }
  const node::FetchEnded* wait(node::OperationId operation, Duration limit = 10min) {
    const bool is_over = world.run_until([&] { return fetcher.fetched(operation) != nullptr; }, limit);
    EXPECT_TRUE(is_over) << "the fetch has not ended";
    return fetcher.fetched(operation);
  }

  [[nodiscard]] bool is_complete() const {
    return fetcher.disk().has(store) && equal(fetcher.disk().archive(store), archive);
  }
  // What the fetch says of itself; empty when it failed.
  node::FetchSummary expect_complete(const node::FetchEnded* ended) const {
    if (ended == nullptr) return {};
    EXPECT_TRUE(ended->result) << ended->result.error().message();
    EXPECT_TRUE(is_complete());
    return ended->result.value_or(node::FetchSummary{});
  }
  // Whatever became of a fetch: what is on disk is part of the store.
  void expect_only_true_bytes() const {
    if (const store::ChunkSet* have = fetcher.disk().partial_chunks(store)) {
      const BytesView bytes = fetcher.disk().partial_bytes(store);
      for (std::uint64_t i = 0; i < have->size(); ++i) {
        if (!have->test(i)) continue;
        const auto offset = static_cast<std::size_t>(store::chunk_offset(i));
        const std::size_t size = store::chunk_size_at(archive.size(), i);
        EXPECT_TRUE(equal(bytes.subspan(offset, size), BytesView(archive).subspan(offset, size))) << "chunk " << i;
      }
    }
    EXPECT_TRUE(!fetcher.disk().has(store) || is_complete());
  }

  // Closes every connection and waits: then nobody may hold anything any more, nor wait for anything.
  void expect_nothing_left() {
    std::vector<Host*> hosts{&fetcher};
    hosts.insert(hosts.end(), holders.begin(), holders.end());
    for (Host* host : hosts) {
      if (host->is_running()) host->close_all();
    }
    world.run_for(2min);
    for (const Host* host : hosts) {
      if (!host->is_running()) continue;
      const node::NodeStatus status = host->snapshot();
      EXPECT_EQ(status.connections, 0u);
      EXPECT_EQ(status.established, 0u);
      EXPECT_EQ(status.operations, 0u);
      EXPECT_EQ(status.store_streams, 0u);
      EXPECT_EQ(status.accepts.half_open, 0u);
      EXPECT_EQ(host->disk_requests(), 0u);
      EXPECT_EQ(host->next_timeout(), std::nullopt);
    }
    EXPECT_EQ(world.network().snapshot().sockets, 0u);
    EXPECT_EQ(world.network().snapshot().dials, 0u);
  }

  World world;
  Host& fetcher;
  std::vector<Host*> holders;
  Bytes archive;
  std::optional<Identity> owner;
  StoreName store;
};

inline constexpr std::size_t k_mebibyte = 1024 * 1024;

}  // namespace dig::sim::testing
