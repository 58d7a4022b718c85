// SPDX-License-Identifier: Apache-2.0
// Test-only: directories that share a redis-server, which is killed, stopped and emptied.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "crypto/system_rng.hpp"
#include "net/clock.hpp"
#include "net/directory_replica.hpp"
#include "net/redis_client.hpp"
#include "net/testing/redis_server.hpp"
#include "proto/directory/server.hpp"
#include "proto/directory/testing/signed_nodes.hpp"
#include "store/disk/directory_database.hpp"
#include "store/testing/disk_fixture.hpp"

namespace dig::net::testing {

using directory::testing::store_of;
using directory::testing::TestNode;

inline constexpr Duration k_patience = 20s;
inline constexpr Duration k_heal = 10s;  // the promise

inline std::uint64_t wall_ms() { return static_cast<std::uint64_t>(wall_now().seconds) * 1000; }

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
  [[nodiscard]] std::size_t losses() const { return losses_; }
  [[nodiscard]] std::size_t warnings() const { return warnings_; }
  // Takes no row of another server until it is free again.
  void set_busy(bool is_busy) { is_busy_ = is_busy; }
  [[nodiscard]] std::size_t put_off() const { return put_off_; }
  // Answers no reading of its disk until it is fast again.
  void set_disk_slow(bool is_slow) {
    is_disk_slow_ = is_slow;
    if (is_slow) return;
    for (OnRows& done : std::exchange(reads_, {})) done(database_->read_some(wall_now(), {}, 20'000));
  }
  [[nodiscard]] bool is_disk_read() const { return !reads_.empty(); }

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
    if (is_disk_slow_) {
      reads_.push_back(std::move(done));
    } else {
      done(database_->read_some(wall_now(), after, 20'000));
    }
  }
  void handle_replicated(std::span<const store::RowName> rows) override { machine_.handle_replicated(rows); }
  void handle_replica_state(const Result<void>& state) override { states_.push_back(state.has_value()); }
  void handle_replica_loss() override {
    ++losses_;
    machine_.forget_replicas();
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
  bool is_disk_slow_ = false;
  std::vector<OnRows> reads_;  // of the whole disk, that wait
  std::size_t losses_ = 0;
};

class ReplicaServersTest : public store::testing::DiskTest {
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
  // Ends the connection whose last command is `command`.
  void end_connection(const std::string& command) {
    std::string id;
    ASSERT_TRUE(wait([&] {
      const std::string list = *ask({"CLIENT", "LIST"})->text();
      const std::size_t at = list.find(" cmd=" + command);
      if (at == std::string::npos) return false;
      const std::size_t start = list.find("id=", list.rfind('\n', at) + 1) + 3;
      id = list.substr(start, list.find(' ', start) - start);
      return true;
    }));
    ASSERT_TRUE(ask({"CLIENT", "KILL", "ID", id}));
  }
  // Redis, which is paused, answers what is written once the connection whose last command is `reading` has ended.
  void lose_before_the_answer(const Server& server, const std::string& reading) {
    const std::size_t losses = server.losses();
    end_connection(reading);
    ASSERT_TRUE(wait([&] { return server.losses() > losses; }));
    ASSERT_TRUE(ask({"CLIENT", "UNPAUSE"}));
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
    client_.reset();  // which may not have heard of it yet
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

  std::uint16_t port_ = free_port();
  std::optional<RedisServer> redis_;
  Loop loop_;
  Resolver resolver_{loop_};
  crypto::SystemRng rng_;
  std::optional<RedisClient> client_;
  std::map<std::string, std::unique_ptr<Server>> servers_;
  TestNode alice_{1};
  TestNode bob_{2};
};

}  // namespace dig::net::testing
