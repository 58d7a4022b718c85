// SPDX-License-Identifier: Apache-2.0
// Directories that share a redis-server, which is killed, stopped, emptied and filled with garbage.
#include "net/directory_replica.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>

#include "crypto/system_rng.hpp"
#include "net/clock.hpp"
#include "net/redis_client.hpp"
#include "net/testing/redis_server.hpp"
#include "proto/directory/server.hpp"
#include "proto/directory/testing/signed_nodes.hpp"
#include "store/disk/directory_database.hpp"
#include "store/shared_row.hpp"
#include "store/testing/disk_fixture.hpp"

namespace dig::net {
namespace {

using directory::testing::store_of;
using directory::testing::TestNode;
using testing::RedisServer;

constexpr Duration k_patience = 20s;
constexpr Duration k_heal = 10s;  // the promise

std::uint64_t wall_ms() { return static_cast<std::uint64_t>(wall_now().seconds) * 1000; }

// A directory with its disk and its replica, without a network around it.
class Server final : public ReplicaOwner {
 public:
  Server(Loop& loop, Resolver& resolver, Rng& rng, const std::filesystem::path& file, std::uint16_t port,
         directory::DirectoryServer::Limits limits = {}, Duration block = 1s)
      : machine_(monotonic_now(), wall_now(), rng, limits), database_(*store::DirectoryDatabase::open(file)) {
    std::ignore = database_->read(wall_now(), [this](const store::DirectoryRow& row) {
      std::ignore = machine_.load(monotonic_now(), row, directory::RowOrigin::own_disk);
    });
    replica_.emplace(loop, resolver, rng,
                     DirectoryReplica::Config{.url = {.host = "127.0.0.1", .port = port, .user = {}, .password = {}},
                                              .block = block},
                     *this);
  }

  // The number that the acknowledgement will have.
  std::uint64_t register_node(const TestNode& node, std::vector<Bytes> envelopes, AcceptLimiter::Prefix source = 7) {
    const auto taken = machine_.register_envelopes(monotonic_now(), {1, ++requests_}, {node.peer(), source}, envelopes);
    EXPECT_TRUE(taken) << taken.error().message();
    drain();
    return requests_;
  }
  std::uint64_t remove(const TestNode& node, const Bytes& removal) {
    EXPECT_TRUE(machine_.remove(monotonic_now(), {1, ++requests_}, {node.peer(), AcceptLimiter::Prefix{7}}, removal));
    drain();
    return requests_;
  }
  [[nodiscard]] std::optional<bool> replicated(std::uint64_t request) const {
    const auto found = acknowledged_.find(request);
    if (found == acknowledged_.end() || !found->second) return std::nullopt;
    return found->second->is_replicated;
  }
  [[nodiscard]] bool knows(const TestNode& node) { return !machine_.find_peer(node.peer()).records.empty(); }
  [[nodiscard]] bool holds(const TestNode& node, const StoreId& store) {
    const auto found = directory::testing::peers_of(machine_.find_holders(store, {}, 64).records);
    return std::ranges::find(found, node.peer()) != found.end();
  }
  [[nodiscard]] Bytes record_of(const TestNode& node) {
    const auto found = machine_.find_peer(node.peer()).records;
    return found.empty() ? Bytes() : found[0].record;
  }
  [[nodiscard]] std::size_t live() const { return machine_.snapshot().live; }
  [[nodiscard]] std::uint64_t verified() const { return machine_.snapshot().verified; }
  [[nodiscard]] DirectoryReplica& replica() { return *replica_; }
  [[nodiscard]] bool is_up() const { return replica_->snapshot().is_up; }
  // Of what was told: true is up.
  [[nodiscard]] const std::vector<bool>& states() const { return states_; }
  [[nodiscard]] std::size_t warnings() const { return warnings_; }
  // Takes no row of another server until it is free again.
  void set_busy(bool is_busy) { is_busy_ = is_busy; }
  [[nodiscard]] std::size_t put_off() const { return put_off_; }

  Result<void> handle_shared_row(const store::DirectoryRow& row) override {
    if (is_busy_) {
      ++put_off_;
      return fail(Errc::limit_reached);
    }
    Result<void> loaded = machine_.load(monotonic_now(), row, directory::RowOrigin::other_server);
    drain();
    return loaded;
  }
  [[nodiscard]] bool has_row(const store::RowName& row) const override { return machine_.has_row(row); }
  void read_rows(const std::optional<PeerId>& after, OnRows done) override {
    done(database_->read_some(wall_now(), after, 20'000));
  }
  void handle_replicated(std::span<const store::RowName> rows) override { machine_.handle_replicated(rows); }
  void handle_replica_state(const Result<void>& state) override {
    states_.push_back(state.has_value());
    if (!state) machine_.forget_replicas();
  }
  void handle_replica_warning(const Error& /*warning*/) override { ++warnings_; }

 private:
  void drain() {
    while (auto event = machine_.poll_event()) {
      if (auto* persist = std::get_if<directory::Persist>(&*event)) {
        const auto written = database_->write(wall_now(), persist->changes);
        EXPECT_TRUE(written);
        replica_->write(persist->changes, [this, token = persist->token](bool is_replicated) {
          machine_.handle_persisted(monotonic_now(), token, directory::PersistOutcome{is_replicated});
          drain();
        });
      } else if (auto* done = std::get_if<directory::Acknowledged>(&*event)) {
        acknowledged_.emplace(done->registration.request, std::move(done->result));
      }
    }
  }

  directory::DirectoryServer machine_;
  std::unique_ptr<store::DirectoryDatabase> database_;
  std::optional<DirectoryReplica> replica_;
  std::uint64_t requests_ = 0;
  std::map<std::uint64_t, Result<Registered>> acknowledged_;
  std::vector<bool> states_;
  std::size_t warnings_ = 0;
  bool is_busy_ = false;
  std::size_t put_off_ = 0;
};

class DirectoryReplicaTest : public store::testing::DiskTest {
 protected:
  // A new one finds what it had on its disk in an earlier life.
  Server& make_server(const std::string& name, directory::DirectoryServer::Limits limits = {}, Duration block = 1s) {
    servers_[name].reset();
    servers_[name] = std::make_unique<Server>(loop_, resolver_, rng_, folder() / (name + ".db"), port_, limits, block);
    return *servers_[name];
  }
  // A page whose record is in nobody's directory: so the server makes both sides equal again, two seconds after it did
  // so the last time.
  void ask_for_sync(Server& server) {
    const store::DirectoryChange page = store::DirectoryRow{.peer = TestNode(99).peer(),
                                                            .slot = 1,
                                                            .sequence = 1,
                                                            .source = 0,
                                                            .lifetime = 0s,
                                                            .kept = 0s,
                                                            .envelope = Bytes(40)};
    std::optional<bool> told;
    server.replica().write({&page, 1}, [&](bool is_replicated) { told = is_replicated; });
    EXPECT_TRUE(wait([&] { return told.has_value(); }));
    EXPECT_EQ(told, false);
  }
  void lose_server(const std::string& name) { servers_.erase(name); }
  void start_redis() {
    const auto data = folder() / "redis";
    std::filesystem::create_directories(data);
    redis_.emplace(port_, RedisServer::durable(data));
    EXPECT_TRUE(ask({"PING"}));  // it answers from here on
  }
  void restart_redis_empty() {
    redis_.reset();
    std::filesystem::remove_all(folder() / "redis");
    start_redis();
  }
  bool wait(const std::function<bool()>& done, Duration patience = k_patience) {
    return loop_.run_until(done, patience);
  }
  bool wait_up(Server& server) {
    return wait([&] { return server.is_up(); });
  }
  bool registers(Server& server, const TestNode& node, std::uint64_t sequence, StoreId store = store_of(1)) {
    const std::uint64_t request =
        server.register_node(node, {node.signed_record(sequence), node.signed_page(sequence, 0, {store})});
    EXPECT_TRUE(wait([&] { return server.replicated(request).has_value(); }));
    return server.replicated(request).value_or(false);
  }
  Result<RedisReply> ask(const std::vector<std::string>& words) {
    if (!client_) {
      client_.emplace(loop_, resolver_, rng_,
                      RedisClient::Config{.url = {.host = "127.0.0.1", .port = port_, .user = {}, .password = {}}},
                      [](const Result<void>&) {});
    }
    EXPECT_TRUE(wait([&] { return client_->is_up(); }));
    std::optional<Result<RedisReply>> answer;
    client_->command(words, [&](Result<RedisReply> told) { answer = std::move(told); });
    EXPECT_TRUE(wait([&] { return answer.has_value(); }));
    return answer.value_or(fail(Errc::internal));
  }
  static std::string key_of(const TestNode& node) { return "dignet:directory:row:" + node.peer().to_string(); }

  std::uint16_t port_ = testing::free_port();
  std::optional<RedisServer> redis_;
  Loop loop_;
  Resolver resolver_{loop_};
  crypto::SystemRng rng_;
  std::optional<RedisClient> client_;
  std::map<std::string, std::unique_ptr<Server>> servers_;
  TestNode alice_{1};
  TestNode bob_{2};
};

TEST_F(DirectoryReplicaTest, TwoServersHearOfEachOtherWithinASecond) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  EXPECT_TRUE(registers(one, alice_, wall_ms(), store_of(5)));
  EXPECT_TRUE(wait([&] { return two.holds(alice_, store_of(5)); }, 1s));
  EXPECT_TRUE(registers(two, bob_, wall_ms()));
  EXPECT_TRUE(wait([&] { return one.knows(bob_); }, 1s));
  EXPECT_EQ(one.record_of(bob_), two.record_of(bob_));
  const std::uint64_t gone = two.remove(alice_, alice_.removal(wall_ms() + 1));
  EXPECT_TRUE(wait([&] { return !one.knows(alice_); }, 1s));
  EXPECT_EQ(two.replicated(gone), true);
  EXPECT_EQ(one.states(), std::vector{true});
  EXPECT_EQ(one.warnings(), 0U);
}

TEST_F(DirectoryReplicaTest, NothingOlderReplacesANewerRow) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  const std::uint64_t now = wall_ms();
  EXPECT_TRUE(registers(one, alice_, now + 5));
  lose_server("one");  // which would put what it hears from the other back into Redis, at any time
  // Another server that has not heard of it yet: straight into its replica.
  Server& two = make_server("two");
  const auto row = [&](std::uint64_t sequence) {
    return store::DirectoryRow{.peer = alice_.peer(),
                               .slot = 0,
                               .sequence = sequence,
                               .source = 1,
                               .lifetime = 1h,
                               .kept = 2h,
                               .envelope = alice_.signed_record(sequence)};
  };
  ASSERT_TRUE(wait_up(two));
  const auto write = [&](const store::DirectoryChange& change) {
    std::optional<bool> told;
    two.replica().write({&change, 1}, [&](bool is_replicated) { told = is_replicated; });
    EXPECT_FALSE(told);
    EXPECT_TRUE(wait([&] { return told.has_value(); }));
    return told.value_or(false);
  };
  const auto kept = [&] {
    const auto value = ask({"HGET", key_of(alice_), "0"});
    const auto decoded = store::decode_shared_row(alice_.peer(), 0, as_bytes(*value->text()));
    EXPECT_TRUE(decoded);
    return decoded->sequence;
  };
  EXPECT_TRUE(write(row(now + 4))) << "something newer is there";
  EXPECT_EQ(kept(), now + 5);
  EXPECT_TRUE(write(store::EraseRows{alice_.peer(), 0, now + 4}));
  EXPECT_EQ(kept(), now + 5) << "forgotten elsewhere, but renewed since";
  EXPECT_EQ(ask({"HLEN", key_of(alice_)})->number(), 2) << "its page too";
  EXPECT_TRUE(write(row(now + 6)));
  EXPECT_EQ(kept(), now + 6);
  auto other = row(now + 6);
  NodeRecord record = alice_.record(now + 6);
  record.pages = 7;
  other.envelope = alice_.sign(record);
  EXPECT_FALSE(write(other)) << "two records with one sequence: the first stays, and the second is nowhere";
  EXPECT_TRUE(write(store::EraseRows{alice_.peer(), 0, now + 6}));
  EXPECT_EQ(ask({"EXISTS", key_of(alice_)})->number(), 0);
}

TEST_F(DirectoryReplicaTest, RowsExpireWithTheirRecordAndPagesGoWithTheirCount) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  const std::uint64_t now = wall_ms();
  NodeRecord record = alice_.record(now);
  record.pages = 3;
  const auto page = [&](std::uint32_t number) { return alice_.signed_page(now, number, {store_of(number)}); };
  one.register_node(alice_, {alice_.sign(record), page(0), page(1), page(2)});
  ASSERT_TRUE(wait([&] { return *ask({"HLEN", key_of(alice_)})->number() == 4; }));
  const std::int64_t left = *ask({"PTTL", key_of(alice_)})->number();
  EXPECT_GT(left, 7'100'000);
  EXPECT_LE(left, 7'202'000);
  record.sequence = now + 1;
  record.pages = 1;
  one.register_node(alice_, {alice_.sign(record)});
  EXPECT_TRUE(wait([&] { return *ask({"HLEN", key_of(alice_)})->number() == 2; }));
  ASSERT_TRUE(ask({"PEXPIRE", key_of(alice_), "1"}));
  EXPECT_TRUE(wait([&] { return *ask({"EXISTS", key_of(alice_)})->number() == 0; }));
}

TEST_F(DirectoryReplicaTest, AKilledRedisIsFilledAgainAndToldOnce) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  for (const bool is_emptied : {false, true}) {
    redis_->kill();
    ASSERT_TRUE(wait([&] { return !one.is_up() && !two.is_up(); }));
    const TestNode carol(is_emptied ? 10 : 11);
    const Instant before = monotonic_now();
    EXPECT_FALSE(registers(one, carol, wall_ms()));
    EXPECT_LT(monotonic_now() - before, 500ms) << "nobody waits for what is gone";
    EXPECT_TRUE(one.knows(carol) && one.knows(alice_));
    is_emptied ? restart_redis_empty() : redis_->start();
    EXPECT_TRUE(wait([&] { return one.is_up() && two.is_up() && two.knows(carol); }, k_heal));
    EXPECT_EQ(ask({"HLEN", key_of(carol)})->number(), 2);
    EXPECT_EQ(ask({"HLEN", key_of(alice_)})->number(), 2);
    // What was acknowledged as not replicated is by now, and so is all that is registered with it again.
    EXPECT_TRUE(registers(one, carol, wall_ms() + 10));
  }
  EXPECT_EQ(one.states(), (std::vector{true, false, true, false, true}));
}

TEST_F(DirectoryReplicaTest, WhatIsToldAndKnownIsNotReadAgain) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  const std::uint64_t now = wall_ms();
  ASSERT_TRUE(registers(two, alice_, now));
  ASSERT_TRUE(wait([&] { return one.knows(alice_); }));
  // As servers tell each other of all that they put into a Redis that was empty.
  const auto tell = [&](std::uint64_t record, std::uint64_t page) {
    const auto sequence = [](std::uint64_t number) {
      return std::string(as_text(store::encode_shared_sequence(number))).substr(1);
    };
    ASSERT_TRUE(ask({"XADD", "dignet:directory:changes", "0-*", "k", key_of(alice_), "s", "0,1", "o", "another", "q",
                     sequence(record) + sequence(page)}));
  };
  // A change behind it was heard, so it was too.
  const auto heard_until = [&](const TestNode& node) {
    EXPECT_TRUE(registers(two, node, now));
    EXPECT_TRUE(wait([&] { return one.holds(node, store_of(1)); }));
    return one.replica().snapshot().heard;
  };
  const std::uint64_t heard = heard_until(bob_);
  tell(now, now);
  tell(now - 1, now - 1);
  EXPECT_EQ(heard_until(TestNode(3)), heard + 2);
  tell(now + 1, now);
  EXPECT_EQ(heard_until(TestNode(4)), heard + 2 + 1 + 2) << "the record, for it may be newer";
  tell(now, now + 1);
  EXPECT_EQ(heard_until(TestNode(5)), heard + 2 + 1 + 2 + 2 + 2) << "the page, and its record with it";
}

TEST_F(DirectoryReplicaTest, ARedisThatHangsDelaysNoAnswerBeyondTheDeadline) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  redis_->signal(SIGSTOP);
  const Instant before = monotonic_now();
  EXPECT_FALSE(registers(one, alice_, wall_ms()));
  EXPECT_LT(monotonic_now() - before, 2s);
  EXPECT_TRUE(one.knows(alice_));
  ASSERT_TRUE(wait([&] { return !one.is_up(); }));
  const Instant later = monotonic_now();
  EXPECT_FALSE(registers(one, bob_, wall_ms()));
  EXPECT_LT(monotonic_now() - later, 500ms);
  redis_->signal(SIGCONT);
  EXPECT_TRUE(wait([&] { return one.is_up(); }, k_heal));
  EXPECT_EQ(ask({"HLEN", key_of(alice_)})->number(), 2);
  EXPECT_EQ(ask({"HLEN", key_of(bob_)})->number(), 2);
}

TEST_F(DirectoryReplicaTest, DataThatIsFlushedUnderAStandingConnectionIsPutBack) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  ASSERT_TRUE(wait([&] { return two.knows(alice_); }));
  lose_server("one");  // what it wrote is replayed by the other
  ASSERT_TRUE(ask({"FLUSHALL"}));
  EXPECT_TRUE(wait([&] { return *ask({"HLEN", key_of(alice_)})->number() == 2; }, k_heal));
  EXPECT_TRUE(wait_up(two));
  EXPECT_TRUE(registers(two, bob_, wall_ms()));
}

TEST_F(DirectoryReplicaTest, AServerThatComesBackHearsWhatItMissed) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  ASSERT_TRUE(wait([&] { return two.knows(alice_); }));
  lose_server("one");
  ASSERT_TRUE(registers(two, bob_, wall_ms()));
  std::ignore = two.remove(alice_, alice_.removal(wall_ms() + 1));
  Server& again = make_server("one");
  EXPECT_TRUE(again.knows(alice_)) << "as its own disk says";
  EXPECT_TRUE(wait([&] { return again.knows(bob_) && !again.knows(alice_); }, k_heal));
}

TEST_F(DirectoryReplicaTest, ARemovalThatRedisMissedReachesEverybody) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  ASSERT_TRUE(wait([&] { return two.knows(alice_); }));
  redis_->kill();
  ASSERT_TRUE(wait([&] { return !one.is_up() && !two.is_up(); }));
  std::ignore = one.remove(alice_, alice_.removal(wall_ms() + 1));
  redis_->start();
  EXPECT_TRUE(wait([&] { return !two.knows(alice_) && one.is_up() && two.is_up(); }, k_heal));
}

TEST_F(DirectoryReplicaTest, GarbageIsTakenOutAndBelievedByNobody) {
  start_redis();
  const TestNode carol(3);
  const TestNode dave(4);
  ASSERT_TRUE(ask({"SET", "dignet:directory:row:nobody", "x"}));
  ASSERT_TRUE(ask({"SET", key_of(carol), "not a hash"}));
  ASSERT_TRUE(ask({"HSET", "dignet:directory:row:12D3KooW", "0", "x"}));
  ASSERT_TRUE(ask({"HSET", key_of(dave), "0", "x", "x", "y", "2", std::string(100'000, 'z')}));
  ASSERT_TRUE(ask({"LPUSH", "dignet:directory:changes", "not a stream"}));
  ASSERT_TRUE(ask({"LPUSH", "dignet:directory:epoch", "not a word"}));
  // Rows in the right form with the highest sequence, which their peers never signed.
  for (const TestNode* node : {&alice_, &bob_}) {
    store::DirectoryRow forged{.peer = node->peer(),
                               .slot = 0,
                               .sequence = wall_ms() + 1'000'000,
                               .source = 1,
                               .lifetime = 1h,
                               .kept = 2h,
                               .envelope = node->signed_record(wall_ms() + 1'000'000)};
    forged.envelope.back() ^= std::byte{1};
    ASSERT_TRUE(ask({"DEL", key_of(*node)}));
    ASSERT_TRUE(ask({"HSET", key_of(*node), "0", std::string(as_text(store::encode_shared_row(forged)))}));
  }
  Server& one = make_server("one");
  Server& two = make_server("two");
  EXPECT_TRUE(wait([&] { return one.replica().snapshot().dropped + two.replica().snapshot().dropped >= 2; }));
  ASSERT_TRUE(wait([&] { return one.is_up() && two.is_up(); }));
  EXPECT_EQ(one.live() + two.live(), 0U);
  EXPECT_EQ(ask({"HEXISTS", key_of(alice_), "0"})->number(), 0);
  EXPECT_TRUE(registers(one, alice_, wall_ms()));
  EXPECT_TRUE(registers(two, bob_, wall_ms()));
  EXPECT_TRUE(registers(one, carol, wall_ms()) && registers(two, dave, wall_ms()));
  EXPECT_TRUE(wait([&] { return one.live() == 4 && two.live() == 4; }, 2s));
}

TEST_F(DirectoryReplicaTest, AStreamOfSomebodyElseIsReplacedAndEverybodyHearsOfIt) {
  start_redis();
  ASSERT_TRUE(ask({"XADD", "dignet:directory:changes", "*", "k", "x"}));
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  EXPECT_TRUE(wait([&] { return two.knows(alice_); }, 2s));
  ASSERT_TRUE(ask({"XADD", "dignet:directory:changes", "*", "k", "x"}));  // under those that read it
  one.register_node(bob_, {bob_.signed_record(wall_ms())});
  EXPECT_TRUE(wait([&] { return two.knows(bob_) && one.is_up() && two.is_up(); }, k_heal));
}

TEST_F(DirectoryReplicaTest, AReaderThatFellBehindReadsAllAnew) {
  start_redis();
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  const std::uint64_t before = one.replica().snapshot().syncs;
  const store::DirectoryRow row{.peer = alice_.peer(),
                                .slot = 0,
                                .sequence = wall_ms(),
                                .source = 1,
                                .lifetime = 1h,
                                .kept = 2h,
                                .envelope = alice_.signed_record(wall_ms())};
  // As if other entries had been there and were trimmed.
  ASSERT_TRUE(ask({"HSET", key_of(alice_), "0", std::string(as_text(store::encode_shared_row(row)))}));
  ASSERT_TRUE(ask({"XADD", "dignet:directory:changes", "0-900", "k", "x", "s", "0", "o", "x"}));
  EXPECT_TRUE(wait([&] { return one.knows(alice_); }, k_heal));
  EXPECT_GT(one.replica().snapshot().syncs, before);
  EXPECT_EQ(one.states(), std::vector{true}) << "nothing was lost";
}

TEST_F(DirectoryReplicaTest, ASyncThatBeginsWhileRowsWaitForTheOwnerTakesTheirPlace) {
  start_redis();
  Server& one = make_server("one", {}, 5s);  // what waits behind a read of changes waits long
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  one.set_busy(true);
  ASSERT_TRUE(registers(two, bob_, wall_ms()));
  ASSERT_TRUE(wait([&] { return one.put_off() > 0; }));
  ask_for_sync(one);
  // The sync begins, and waits, while what was read before it is still to be given to the owner.
  redis_->signal(SIGSTOP);
  ASSERT_TRUE(wait([&] { return one.replica().snapshot().syncs == 2; }));
  const std::size_t put_off = one.put_off();
  EXPECT_FALSE(wait([&] { return one.put_off() > put_off; }, 100ms)) << "it was read for nothing";
  redis_->signal(SIGCONT);
  ASSERT_TRUE(wait([&] { return one.put_off() > put_off; }, 3s)) << "read again, behind nothing";
  one.set_busy(false);
  EXPECT_TRUE(wait([&] { return one.is_up() && one.knows(bob_); }, 1s));
  ASSERT_TRUE(wait_up(two));  // which may have lost Redis meanwhile
  EXPECT_TRUE(registers(two, alice_, wall_ms()));
  EXPECT_TRUE(wait([&] { return one.knows(alice_); }, 1s)) << "it follows";
  EXPECT_EQ(one.states(), std::vector{true});
}

TEST_F(DirectoryReplicaTest, ASyncThatFindsTheDataLostTellsItFirst) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  ASSERT_TRUE(registers(one, alice_, wall_ms()));
  // Hears nothing of the epoch meanwhile.
  one.set_busy(true);
  ASSERT_TRUE(registers(two, bob_, wall_ms()));
  ASSERT_TRUE(wait([&] { return one.put_off() > 0; }));
  ask_for_sync(one);
  lose_server("two");
  ASSERT_TRUE(ask({"FLUSHALL"}));
  ASSERT_TRUE(wait([&] { return one.replica().snapshot().syncs == 2; }));
  one.set_busy(false);
  ASSERT_TRUE(wait([&] { return one.states().size() == 3; }));
  EXPECT_EQ(one.states(), (std::vector{true, false, true}));
  EXPECT_EQ(ask({"HLEN", key_of(alice_)})->number(), 2);
}

TEST_F(DirectoryReplicaTest, ASyncBehindAReadThatWaitsLongIsNoLostConnection) {
  start_redis();
  Server& one = make_server("one", {}, 3500ms);
  ASSERT_TRUE(wait_up(one));
  ask_for_sync(one);
  ASSERT_TRUE(wait([&] { return one.replica().snapshot().syncs == 2; }));
  ASSERT_TRUE(wait([&] { return one.is_up(); }));
  EXPECT_EQ(one.states(), std::vector{true});
  EXPECT_EQ(one.replica().snapshot().syncs, 2U);
}

TEST_F(DirectoryReplicaTest, WhatOneServerHasNoRoomForStaysReplicated) {
  start_redis();
  Server& one = make_server("one", {.max_records = 3});
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  const std::uint64_t now = wall_ms();
  const TestNode dave(3);
  const std::array<const TestNode*, 3> nodes{&alice_, &bob_, &dave};
  for (const TestNode* node : nodes) ASSERT_TRUE(registers(two, *node, now));
  ASSERT_TRUE(wait([&] { return one.live() == 3; }));
  const TestNode carol(4);
  const std::uint64_t request = one.register_node(carol, {carol.signed_record(now)}, 8);
  ASSERT_TRUE(wait([&] { return one.replicated(request).has_value(); }));
  EXPECT_EQ(one.live(), 3U) << "one has made room";
  for (const TestNode* node : nodes) {
    EXPECT_EQ(ask({"HLEN", key_of(*node)})->number(), 2);
    EXPECT_TRUE(registers(two, *node, now)) << "nothing has changed";
  }
  lose_server("two");
  lose_server("one");
  Server& late = make_server("late");
  EXPECT_TRUE(wait([&] { return late.live() == 4; }));
}

TEST_F(DirectoryReplicaTest, ARedisThatForgetsAtACrashIsToldOfToTheOperator) {
  redis_.emplace(port_, std::vector<std::string>{});
  Server& one = make_server("one");
  ASSERT_TRUE(wait_up(one));
  EXPECT_EQ(one.warnings(), 1U);
}

TEST_F(DirectoryReplicaTest, AFloodArrivesAsAWholeAndALateServerGetsItAll) {
  start_redis();
  Server& one = make_server("one");
  Server& two = make_server("two");
  ASSERT_TRUE(wait_up(one) && wait_up(two));
  constexpr std::size_t k_nodes = 320;  // 640 rows, which take many turns
  std::vector<TestNode> nodes;
  std::vector<std::uint64_t> requests;
  for (std::size_t i = 0; i < k_nodes; ++i) nodes.emplace_back(100 + i);
  for (const TestNode& node : nodes) {
    const AcceptLimiter::Prefix source = requests.size() / 100;  // no more of one address than it may have
    requests.push_back(one.register_node(
        node, {node.signed_record(wall_ms()), node.signed_page(wall_ms(), 0, {store_of(1)})}, source));
  }
  ASSERT_TRUE(wait([&] {
    return std::ranges::all_of(requests, [&](std::uint64_t request) { return one.replicated(request).has_value(); });
  }));
  for (const std::uint64_t request : requests) EXPECT_EQ(one.replicated(request), true);
  EXPECT_TRUE(wait([&] { return two.live() == k_nodes; }, k_heal));
  Server& late = make_server("late");
  EXPECT_TRUE(wait([&] { return late.is_up() && late.live() == k_nodes; }, k_heal));
  EXPECT_EQ(late.replica().snapshot().written, 0U) << "Redis has what came from there";
  for (const TestNode& node : nodes) EXPECT_TRUE(late.holds(node, store_of(1)) || late.knows(node));
}

}  // namespace
}  // namespace dig::net
