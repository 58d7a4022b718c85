// SPDX-License-Identifier: Apache-2.0
// Fetches through faults of the network, of disks and of holders.
#include <gtest/gtest.h>

#include "tests/sim/scenario.hpp"

namespace dig::sim::testing {
namespace {

constexpr std::size_t k_store_size = 3 * k_mebibyte;

// Calls `action` once, when so many bytes are on the fetcher's disk.
void when_at(Scenario& scenario, std::uint64_t bytes, std::function<void()> action) {
  scenario.fetcher.on_progress([bytes, action = std::move(action), is_done = false](std::uint64_t have) mutable {
    if (have >= bytes && !std::exchange(is_done, true)) action();
  });
}

TEST(Faults, ACutConnectionIsDialledAgainAndTheFetchGoesOn) {
  Scenario scenario(2);
  scenario.make_store(k_store_size);
  Host& holder = scenario.add_holder("holder");
  scenario.link(holder, {.delay = 20ms, .bytes_per_second = 2'000'000});
  when_at(scenario, k_mebibyte,
          [&] { scenario.world.network().cut(scenario.fetcher.endpoint().address, holder.endpoint().address); });
  const node::FetchSummary ended = scenario.expect_complete(scenario.fetch());
  EXPECT_EQ(scenario.world.network().snapshot().connections, 2u);
  EXPECT_LE(ended.fetched_bytes, k_store_size + ended.window_bytes);
  // Only whole chunks that were under way are asked for again.
  EXPECT_EQ(scenario.fetcher.disk().snapshot().chunks_written, store::chunk_count(k_store_size));
  scenario.expect_nothing_left();
}

TEST(Faults, AShortSilenceOfTheNetworkIsWaitedOut) {
  Scenario scenario(3);
  scenario.make_store(k_store_size);
  Host& holder = scenario.add_holder("holder");
  scenario.link(holder, {.delay = 10ms, .bytes_per_second = 2'000'000});
  Network& network = scenario.world.network();
  const IpAddress near = scenario.fetcher.endpoint().address;
  const IpAddress far = holder.endpoint().address;
  when_at(scenario, k_mebibyte, [&] {
    network.silence(near, far);
    scenario.world.events().after(4s, [&network, near, far] { network.heal(near, far); });
  });
  std::ignore = scenario.expect_complete(scenario.fetch());
  EXPECT_EQ(network.snapshot().connections, 1u);
  scenario.expect_nothing_left();
}

TEST(Faults, AFetcherThatIsKilledResumesWithWhatItHad) {
  Scenario scenario(4);
  scenario.make_store(k_store_size);
  scenario.link(scenario.add_holder("holder"), {.delay = 20ms, .bytes_per_second = 2'000'000});
  std::uint64_t had = 0;
  bool is_due = false;
  scenario.fetcher.on_progress([&](std::uint64_t have) { is_due = is_due || (had = have) >= k_mebibyte; });
  std::ignore = scenario.start();
  ASSERT_TRUE(scenario.world.run_until([&] { return is_due; }));
  scenario.fetcher.crash();
  scenario.fetcher.on_progress({});
  scenario.world.run_for(2s);
  scenario.fetcher.restart();
  const node::FetchSummary ended = scenario.expect_complete(scenario.fetch());
  EXPECT_GE(ended.reused_bytes, had);
  EXPECT_LE(ended.fetched_bytes, k_store_size - had);
  scenario.expect_nothing_left();
}

TEST(Faults, AHolderThatLosesPowerIsReplacedByTheOther) {
  Scenario scenario(5);
  scenario.make_store(k_store_size);
  Host& first = scenario.add_holder("first");
  Host& second = scenario.add_holder("second");
  scenario.link(first, {.delay = 5ms, .bytes_per_second = 4'000'000});
  scenario.link(second, {.delay = 40ms, .bytes_per_second = 1'000'000});
  when_at(scenario, k_mebibyte, [&] { scenario.world.events().after(1us, [&] { first.lose_power(); }); });
  const node::FetchSummary ended = scenario.expect_complete(scenario.fetch());
  EXPECT_LE(ended.fetched_bytes, k_store_size + ended.window_bytes);
  EXPECT_LT(scenario.world.now().since_origin, 15s);
  scenario.expect_nothing_left();
}

TEST(Faults, TheOnlyHolderVanishesAndTheFetchEndsWithACodedError) {
  Scenario scenario(6);
  scenario.make_store(k_store_size);
  Host& holder = scenario.add_holder("holder");
  scenario.link(holder, {.delay = 5ms, .bytes_per_second = 4'000'000});
  when_at(scenario, k_mebibyte, [&] { scenario.world.events().after(1us, [&] { holder.lose_power(); }); });
  const node::FetchEnded* ended = scenario.fetch();
  ASSERT_NE(ended, nullptr);
  ASSERT_FALSE(ended->result);
  EXPECT_NE(ended->result.error().code(), Errc::internal);
  EXPECT_FALSE(scenario.is_complete());
  scenario.expect_only_true_bytes();
  // What it had stays for the next time.
  ASSERT_NE(scenario.fetcher.disk().partial_chunks(scenario.store), nullptr);
  EXPECT_GE(scenario.fetcher.disk().partial_chunks(scenario.store)->count(), 4u);
  scenario.expect_nothing_left();
}

TEST(Faults, AHolderThatLiesIsDroppedAndASlowOneFinishesTheFetch) {
  Scenario scenario(7);
  scenario.make_store(k_store_size);
  Host& evil = scenario.add_holder("evil");
  Host& slow = scenario.add_holder("slow");
  evil.disk().set_mutation([](std::uint64_t index, Bytes& data) { data[index] ^= std::byte{1}; });
  scenario.link(evil, {.delay = 1ms});
  scenario.link(slow, {.delay = 60ms, .jitter = 20ms, .bytes_per_second = 1'500'000});
  const node::FetchSummary ended = scenario.expect_complete(scenario.fetch());
  EXPECT_GT(evil.disk().snapshot().chunks_read, 0u);
  EXPECT_EQ(scenario.fetcher.disk().snapshot().chunks_written, store::chunk_count(k_store_size));
  EXPECT_EQ(ended.best_holder, slow.peer_id());
  // Who sends wrong content loses the connection.
  EXPECT_EQ(evil.snapshot().connections, 0u);
  scenario.expect_nothing_left();
}

TEST(Faults, OnlyLiarsMakeAnIntegrityErrorAndNothingIsWritten) {
  Scenario scenario(8);
  scenario.make_store(k_store_size);
  for (const char* name : {"evil", "twin"}) {
    scenario.add_holder(name).disk().set_mutation([](std::uint64_t, Bytes& data) { data.back() ^= std::byte{0x80}; });
  }
  const node::FetchEnded* ended = scenario.fetch();
  ASSERT_NE(ended, nullptr);
  ASSERT_FALSE(ended->result);
  EXPECT_EQ(ended->result.error().info().kind, ErrorKind::integrity) << ended->result.error().message();
  EXPECT_EQ(scenario.fetcher.disk().snapshot().chunks_written, 0u);
  scenario.expect_nothing_left();
}

TEST(Faults, AFullDiskEndsTheFetchAndRoomLetsItResume) {
  Scenario scenario(9);
  scenario.make_store(k_store_size);
  scenario.add_holder("holder");
  scenario.fetcher.disk().fail_writes_after(5, Errc::disk_full);
  const node::FetchEnded* ended = scenario.fetch();
  ASSERT_NE(ended, nullptr);
  ASSERT_FALSE(ended->result);
  EXPECT_EQ(ended->result.error().code(), Errc::disk_full);
  scenario.expect_only_true_bytes();
  scenario.fetcher.disk().repair();
  const node::FetchSummary again = scenario.expect_complete(scenario.fetch());
  EXPECT_EQ(again.reused_bytes, 5 * store::k_chunk_size);
  EXPECT_EQ(again.fetched_bytes, k_store_size - 5 * store::k_chunk_size);
  scenario.expect_nothing_left();
}

TEST(Faults, ACancelledFetchLetsGoOfEverything) {
  Scenario scenario(10);
  scenario.make_store(k_store_size);
  scenario.link(scenario.add_holder("holder"), {.delay = 20ms, .bytes_per_second = 2'000'000});
  bool is_due = false;
  scenario.fetcher.on_progress([&](std::uint64_t have) { is_due = have >= k_mebibyte; });
  const node::OperationId operation = scenario.start();
  ASSERT_TRUE(scenario.world.run_until([&] { return is_due; }));
  scenario.fetcher.cancel(operation);
  const node::FetchEnded* ended = scenario.wait(operation);
  ASSERT_NE(ended, nullptr);
  ASSERT_FALSE(ended->result);
  EXPECT_EQ(ended->result.error().code(), Errc::cancelled);
  scenario.expect_only_true_bytes();
  scenario.world.run_for(1s);
  EXPECT_EQ(scenario.holders[0]->snapshot().store_streams, 0u);
  scenario.expect_nothing_left();
}

TEST(Faults, ASilentHolderOnAStandingConnectionIsNotTakenForOneThatLacksTheStore) {
  Scenario scenario(15);
  scenario.make_store(1000);
  Host& holder = scenario.add_holder("holder");
  std::ignore = scenario.fetcher.connect(holder.peer_id(), {holder.address()});
  scenario.world.run_for(1s);
  scenario.world.network().silence(scenario.fetcher.endpoint().address, holder.endpoint().address);
  const node::FetchEnded* ended = scenario.fetch();
  ASSERT_NE(ended, nullptr);
  ASSERT_FALSE(ended->result);
  EXPECT_NE(ended->result.error().info().kind, ErrorKind::not_found) << ended->result.error().message();
  EXPECT_NE(ended->result.error().code(), Errc::internal);
  scenario.world.network().heal(scenario.fetcher.endpoint().address, holder.endpoint().address);
  scenario.expect_nothing_left();
}

TEST(Faults, AStoreThatNobodyHasIsNotFound) {
  Scenario scenario(11);
  scenario.make_store(1000);
  Host& holder = scenario.add_holder("holder");
  holder.disk().remove(scenario.store);
  const node::FetchEnded* ended = scenario.fetch();
  ASSERT_NE(ended, nullptr);
  ASSERT_FALSE(ended->result);
  EXPECT_EQ(ended->result.error().info().kind, ErrorKind::not_found) << ended->result.error().message();
  scenario.expect_nothing_left();
}

TEST(Faults, AHolderWithoutAUsableAddressDoesNotEndTheFetchFromAnother) {
  Scenario scenario(13);
  scenario.make_store(1000);
  Host& lost = scenario.add_holder("lost");
  Host& good = scenario.add_holder("good");
  const auto udp = Multiaddr::parse("/ip4/198.51.100.9/udp/4001");
  ASSERT_TRUE(udp);
  const node::OperationId operation =
      scenario.fetcher.fetch(scenario.store, {{lost.peer_id(), {*udp}}, good.as_holder()});
  std::ignore = scenario.expect_complete(scenario.wait(operation));
  scenario.expect_nothing_left();
}

TEST(Faults, ManyFetchesOfOnePeerShareItsConnection) {
  Scenario scenario(14);
  scenario.make_store(600'000);
  Host& holder = scenario.add_holder("holder");
  std::ignore = scenario.fetcher.connect(holder.peer_id(), {holder.address()});
  scenario.world.run_for(1s);
  std::vector<StoreName> names;
  std::vector<node::OperationId> operations;
  for (int i = 0; i < 8; ++i) {
    SeededRng rng(static_cast<std::uint64_t>(100 + i));
    const Identity owner = Identity::generate(rng);
    names.push_back(holder.disk().add(scenario.world.random_bytes(300'000), owner));
    operations.push_back(scenario.fetcher.fetch(names.back(), {holder.as_holder()}));
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const node::FetchEnded* ended = scenario.wait(operations[i]);
    ASSERT_NE(ended, nullptr);
    EXPECT_TRUE(ended->result) << ended->result.error().message();
    EXPECT_TRUE(scenario.fetcher.disk().has(names[i]));
  }
  EXPECT_EQ(scenario.world.network().snapshot().connections, 1u);
  scenario.expect_nothing_left();
}

TEST(Faults, AFetchThatMayUseNoTierEndsAtOnceAndIsForgotten) {
  Scenario scenario(12);
  scenario.make_store(1000);
  Host& holder = scenario.add_holder("holder");
  const auto none = ladder::TierSet::parse("2");
  ASSERT_TRUE(none);
  const node::OperationId operation = scenario.fetcher.run([&](Instant now, node::NodeCore& core) {
    return core.fetch(now, {.target = {.store = scenario.store.id, .root = scenario.store.root},
                            .holders = {holder.as_holder()},
                            .tiers = *none});
  });
  const node::FetchEnded* ended = scenario.fetcher.fetched(operation);
  ASSERT_NE(ended, nullptr);
  ASSERT_FALSE(ended->result);
  EXPECT_EQ(ended->result.error().code(), Errc::all_tiers_failed);
  EXPECT_EQ(scenario.fetcher.snapshot().operations, 0u);
  scenario.expect_nothing_left();
}

}  // namespace
}  // namespace dig::sim::testing
