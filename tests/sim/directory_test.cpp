// SPDX-License-Identifier: Apache-2.0
// Peers that know only a bootstrap server's address find each other by its directory.
#include <gtest/gtest.h>

#include "tests/sim/scenario.hpp"

namespace dig::sim::testing {
namespace {

class Directory : public ::testing::Test {
 protected:
  Directory() { scenario.make_store(100'000); }

  Host& make_bootstrap(const std::string& name = "bootstrap") {
    Host& host = scenario.world.add_host(HostSpec{.name = name, .is_bootstrap = true});
    others.push_back(&host);
    return host;
  }
  static void use(Host& host, const Host& bootstrap) {
    ASSERT_TRUE(host.run([&](Instant now, node::NodeCore& core) {
      return core.add_bootstrap(now, bootstrap.peer_id(), {bootstrap.address()});
    }));
  }
  // The holder says what it is and has, and when it was proven to be there also where; `last_sequence` is of its
  // earlier life.
  void publish(Host& holder, std::uint64_t last_sequence = 0) {
    holder.run([&](Instant now, node::NodeCore& core) {
      core.start_publishing(now, last_sequence);
      core.set_stores(now, {scenario.store.id});
      return 0;
    });
    EXPECT_TRUE(scenario.world.run_until(
        [&] { return holder.snapshot().reachability.v4 == autonat::Verdict::reachable; }, 1min));
    scenario.world.run_for(10s);  // what changes is published together
  }
  const Host::Search& search(Host& asker) {
    const auto operation =
        asker.run([&](Instant now, node::NodeCore& core) { return core.find_holders(now, scenario.store.id); });
    EXPECT_TRUE(scenario.world.run_until([&] { return asker.searched(operation).is_over; }, 1min));
    return asker.searched(operation);
  }
  const node::FetchEnded* fetch(const Host::Search& found) {
    std::vector<node::HolderSpec> holders;
    for (const auto& one : found.records) holders.push_back({one.record.peer, one.record.addresses});
    return scenario.wait(scenario.fetcher.fetch(scenario.store, std::move(holders)));
  }
  void expect_nothing_left() {
    for (Host* other : others) scenario.holders.push_back(other);
    scenario.expect_nothing_left();
  }

  Scenario scenario{80};
  std::vector<Host*> others;
};

TEST_F(Directory, AHolderThatPublishesIsFoundAndFetchedFrom) {
  Host& bootstrap = make_bootstrap();
  Host& holder = scenario.add_holder("holder");
  use(holder, bootstrap);
  publish(holder);
  use(scenario.fetcher, bootstrap);
  ASSERT_TRUE(scenario.world.run_until([&] { return bootstrap.directory_rows() == 2; }, 1min));
  const Host::Search& found = search(scenario.fetcher);
  ASSERT_EQ(found.records.size(), 1U);
  EXPECT_TRUE(found.errors.empty());
  EXPECT_EQ(found.records[0].record.peer, holder.peer_id());
  EXPECT_EQ(found.records[0].record.addresses.front(), holder.address());
  std::ignore = scenario.expect_complete(fetch(found));
}

TEST_F(Directory, AHolderWithoutARouteIsFoundAndReachedThroughTheBootstrapsRelay) {
  Host& bootstrap = make_bootstrap();
  Host& holder = scenario.add_holder("holder");
  scenario.world.network().silence(scenario.fetcher.endpoint().address, holder.endpoint().address);
  use(holder, bootstrap);
  ASSERT_TRUE(holder.run([&](Instant now, node::NodeCore& core) {
    return core.add_relay(now, bootstrap.peer_id(), {bootstrap.address()});
  }));
  publish(holder);
  use(scenario.fetcher, bootstrap);
  scenario.world.run_for(10s);  // the reservation changes the record, which is published again
  const Host::Search& found = search(scenario.fetcher);
  ASSERT_EQ(found.records.size(), 1U);
  const node::FetchSummary summary = scenario.expect_complete(fetch(found));
  EXPECT_NE(summary.path.find("/p2p-circuit"), std::string::npos) << summary.path;
}

TEST_F(Directory, ARelayThatWasFullIsAskedAgainWhenItMayHaveRoom) {
  node::NodeCore::Limits limits = node::NodeCore::Limits::of_bootstrap();
  limits.relay.reservations = 1;
  Host& bootstrap = scenario.world.add_host({.name = "bootstrap", .limits = limits, .is_bootstrap = true});
  others.push_back(&bootstrap);
  const auto has_reservation = [](const Host& host) {
    const auto kept = host.snapshot().reservations;
    return !kept.empty() && kept.front().reserved_until.has_value();
  };
  Host& first = scenario.add_holder("first");
  use(first, bootstrap);
  publish(first);
  ASSERT_TRUE(scenario.world.run_until([&] { return has_reservation(first); }, 1min));
  Host& second = scenario.add_holder("second");
  use(second, bootstrap);
  publish(second);
  scenario.world.run_for(1min);
  EXPECT_FALSE(has_reservation(second));
  first.crash();
  EXPECT_TRUE(scenario.world.run_until([&] { return has_reservation(second); }, 10min));
}

TEST_F(Directory, NobodyHasTheStore) {
  Host& bootstrap = make_bootstrap();
  use(scenario.fetcher, bootstrap);
  scenario.add_holder("holder");
  const Host::Search& found = search(scenario.fetcher);
  EXPECT_TRUE(found.records.empty() && found.errors.empty());
}

// The server ends a stream on which nothing was asked for a minute.
TEST_F(Directory, NoQuestionIsLostWithAStreamThatNobodyUsed) {
  scenario.world.network().set_default_link({.delay = 50ms});
  Host& bootstrap = make_bootstrap();
  Host& holder = scenario.add_holder("holder");
  use(holder, bootstrap);
  publish(holder);
  use(scenario.fetcher, bootstrap);
  for (Duration pause = 58s; pause < 62s; pause += 50ms) {
    const Host::Search& found = search(scenario.fetcher);
    ASSERT_TRUE(found.errors.empty()) << found.errors[0].message();
    ASSERT_EQ(found.records.size(), 1U);
    scenario.world.run_for(pause);
  }
}

// The patience with the server ends when the stream would have been given up, had nothing been asked.
TEST_F(Directory, AQuestionThatNobodyAnswersEndsAndTheNextOneIsAskedAnew) {
  Host& bootstrap = make_bootstrap();
  Host& holder = scenario.add_holder("holder");
  use(holder, bootstrap);
  publish(holder);
  use(scenario.fetcher, bootstrap);
  for (Duration pause = 19s; pause < 31s; pause += 1s) {
    EXPECT_EQ(search(scenario.fetcher).records.size(), 1U);
    scenario.world.run_for(pause);
    scenario.world.network().silence(scenario.fetcher.endpoint().address, bootstrap.endpoint().address);
    EXPECT_EQ(search(scenario.fetcher).errors.size(), 1U) << pause / 1s;
    scenario.world.network().heal(scenario.fetcher.endpoint().address, bootstrap.endpoint().address);
    scenario.world.run_for(1min);
  }
}

TEST_F(Directory, WithoutABootstrapServerNothingIsFoundAtOnce) {
  scenario.add_holder("holder");
  EXPECT_TRUE(search(scenario.fetcher).records.empty());
}

TEST_F(Directory, ABootstrapThatIsGoneIsToldAndAnotherOneAnswers) {
  Host& gone = make_bootstrap("gone");
  Host& there = make_bootstrap("there");
  Host& holder = scenario.add_holder("holder");
  for (Host* peer : {&holder, &scenario.fetcher}) {
    use(*peer, gone);
    use(*peer, there);
  }
  publish(holder);
  scenario.world.run_for(5s);
  gone.lose_power();
  const Host::Search& found = search(scenario.fetcher);
  ASSERT_EQ(found.records.size(), 1U);
  EXPECT_EQ(found.errors.size(), 1U);
}

// What was acknowledged survives: nothing is registered again before the search.
TEST_F(Directory, ABootstrapThatComesBackStillKnows) {
  Host& bootstrap = make_bootstrap();
  Host& holder = scenario.add_holder("holder");
  use(holder, bootstrap);
  publish(holder);
  ASSERT_TRUE(scenario.world.run_until([&] { return bootstrap.directory_rows() == 2; }, 1min));
  bootstrap.crash();
  bootstrap.restart();
  use(scenario.fetcher, bootstrap);
  EXPECT_EQ(search(scenario.fetcher).records.size(), 1U);
}

TEST_F(Directory, AHolderThatStopsIsForgottenAtOnce) {
  Host& bootstrap = make_bootstrap();
  Host& holder = scenario.add_holder("holder");
  use(holder, bootstrap);
  publish(holder);
  ASSERT_TRUE(scenario.world.run_until([&] { return bootstrap.directory_rows() == 2; }, 1min));
  holder.close_all();
  scenario.world.run_for(5s);
  use(scenario.fetcher, bootstrap);
  EXPECT_TRUE(search(scenario.fetcher).records.empty());
}

TEST_F(Directory, AHolderThatVanishesIsForgottenWhenItsRecordExpires) {
  Host& bootstrap = make_bootstrap();
  Host& holder = scenario.add_holder("holder");
  use(holder, bootstrap);
  publish(holder);
  ASSERT_TRUE(scenario.world.run_until([&] { return bootstrap.directory_rows() == 2; }, 1min));
  holder.lose_power();
  use(scenario.fetcher, bootstrap);
  scenario.world.run_for(30min);
  EXPECT_EQ(search(scenario.fetcher).records.size(), 1U);
  scenario.world.run_for(31min);
  EXPECT_TRUE(search(scenario.fetcher).records.empty());
}

TEST_F(Directory, ARecordIsKeptAliveForAsLongAsItsPeerLives) {
  Host& bootstrap = make_bootstrap();
  Host& holder = scenario.add_holder("holder");
  use(holder, bootstrap);
  publish(holder);
  use(scenario.fetcher, bootstrap);
  scenario.world.run_for(10h);
  EXPECT_EQ(search(scenario.fetcher).records.size(), 1U);
}

}  // namespace
}  // namespace dig::sim::testing
