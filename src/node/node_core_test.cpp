// SPDX-License-Identifier: Apache-2.0
// Two cores with a wire between them and a disk that answers when the test says so.
#include "node/node_core.hpp"

#include <gtest/gtest.h>

#include <array>

#include "store/merkle.hpp"

namespace dig::node {
namespace {

struct End {
  End(Identity with, std::uint64_t seed) : identity(std::move(with)), rng(seed) {}

  template <class Output>
  std::vector<Output*> all() {
    std::vector<Output*> found;
    for (NodeOutput& fact : facts) {
      if (auto* output = std::get_if<Output>(&fact)) found.push_back(output);
    }
    return found;
  }

  Identity identity;
  SeededRng rng;
  std::optional<NodeCore> core{std::in_place, identity, rng, NodeCore::Config{"test", {}}};
  std::vector<NodeOutput> facts;  // all that the wire does not carry out
};

struct NodeCoreTest : ::testing::Test {
  // Carries out what the cores ask for, until nothing moves.
  void settle() {
    while (drain(getter) | drain(holder) | (is_connected && carry())) {
    }
  }
  bool drain(End& end) {
    bool has_moved = false;
    while (auto output = end.core->poll_output()) {
      has_moved = true;
      if (const auto* dial = std::get_if<DialTcp>(&*output)) {
        ++dials;
        if (refuses) {
          end.core->handle_dial_failed(now, dial->dial, Error(Errc::connection_refused));
        } else {
          connection = ConnectionId{connection.value + 1};
          is_connected = true;
          end.core->handle_dialled(now, dial->dial, connection, Endpoint(), dial->remote);
          holder.core->handle_accepted(now, connection, Endpoint(), Endpoint());
          if (breaks_in_handshake) cut();
        }
      } else {
        end.facts.push_back(std::move(*output));
      }
    }
    return has_moved;
  }
  bool carry() {
    std::array<std::byte, 65536> out;
    const std::size_t forth = getter.core->poll_bytes(now, connection, out);
    holder.core->handle_bytes(now, connection, std::span(out).first(forth));
    const std::size_t back = holder.core->poll_bytes(now, connection, out);
    getter.core->handle_bytes(now, connection, std::span(out).first(back));
    getter.core->settle(now);
    holder.core->settle(now);
    return forth + back > 0;
  }
  void cut() {
    is_connected = false;
    getter.core->handle_transport_error(now, connection, Error(Errc::connection_reset));
    holder.core->handle_transport_error(now, connection, Error(Errc::connection_reset));
    settle();
  }
  // Lets the time come for which the getter waits.
  void wait() {
    const auto deadline = getter.core->next_timeout();
    ASSERT_TRUE(deadline);
    now = std::max(now, *deadline);
    getter.core->handle_timeout(now);
    settle();
  }
  ConnectionId connect() {
    getter.core->connect(now, {.peer = holder.identity.peer_id(), .addresses = {address}});
    settle();
    const auto ended = getter.all<ConnectEnded>();
    EXPECT_EQ(ended.size(), 1U);
    return ended.empty() || !ended.front()->result ? ConnectionId{} : ended.front()->result->connection;
  }
  OperationId fetch() {
    const OperationId id = getter.core->fetch(
        now, {.target = {.store = store, .root = root, .accept_unpinned = false, .only_wanted = false},
              .holders = {{holder.identity.peer_id(), {address}}}});
    settle();
    return id;
  }
  // The holder has the store, and says so without an owner's signature.
  void answer_holder() {
    while (!holder.all<DiskRequest>().empty()) {
      const auto facts = std::exchange(holder.facts, {});
      for (const NodeOutput& fact : facts) {
        if (const auto* request = std::get_if<DiskRequest>(&fact)) {
          holder.core->handle_disk(now, request->id, answer_to(*request));
        }
      }
      settle();
    }
  }
  DiskAnswer answer_to(const DiskRequest& request) const {
    if (std::holds_alternative<ReadChunk>(request.request)) return ChunkRead{to_bytes("hello"), {}};
    const Manifest manifest{.store_id = store, .root = root, .size = 5, .owner_key = {}, .salt = {}};
    return FoundStore{root, 5, {manifest.encode(), {}}};
  }

  SeededRng rng{5};
  Instant now{100s};
  End getter{Identity::generate(rng), 6};
  End holder{Identity::generate(rng), 7};
  Multiaddr address = Multiaddr::tcp(*Endpoint::parse("192.0.2.1:4001"));
  StoreId store;
  // Of an archive of the five bytes "hello".
  RootHash root = [] {
    store::TopBuilder leaves;
    leaves.add(store::leaf_hash(as_bytes("hello")));
    return store::root_hash(5, leaves.top());
  }();
  ConnectionId connection;
  bool is_connected = false;
  bool refuses = false;
  bool breaks_in_handshake = false;
  int dials = 0;
};

TEST_F(NodeCoreTest, goes_away_with_streams_of_applications_open) {
  holder.core->accept_app_protocol(now, "/app/1");
  const ConnectionId id = connect();
  getter.core->open_app_stream(now, id, "/app/1");
  settle();
  ASSERT_EQ(getter.all<AppStreamOpened>().size(), 1U);
  ASSERT_EQ(holder.all<AppStreamAccepted>().size(), 1U);
  getter.core.reset();
  holder.core.reset();
}

TEST_F(NodeCoreTest, what_arrived_before_a_connection_broke_can_still_be_read) {
  holder.core->accept_app_protocol(now, "/app/1");
  const ConnectionId id = connect();
  getter.core->open_app_stream(now, id, "/app/1");
  getter.core->open_app_stream(now, id, "/app/1");
  settle();
  const StreamId finished = *getter.all<AppStreamOpened>()[0]->result;
  const StreamId unfinished = *getter.all<AppStreamOpened>()[1]->result;
  const Bytes text(100'000, std::byte{'x'});
  getter.core->write_app_stream(now, id, finished, text);
  getter.core->finish_app_stream(now, id, finished);
  getter.core->write_app_stream(now, id, unfinished, text);
  settle();
  cut();
  const auto read = [&](StreamId stream) {
    holder.facts.clear();
    holder.core->read_app_stream(now, id, stream, 70'000);
    settle();
    return *holder.all<AppRead>().at(0);
  };
  for (const StreamId stream : {finished, unfinished}) {
    EXPECT_EQ(read(stream).bytes.size(), 70'000U);
    EXPECT_EQ(read(stream).bytes.size(), 30'000U);
    const AppRead last = read(stream);
    EXPECT_TRUE(last.bytes.empty());
    EXPECT_EQ(last.is_end, stream == finished);  // never a false end
    if (stream == unfinished) {
      EXPECT_EQ(last.result, fail(Errc::connection_reset));
    }
    holder.core->reset_app_stream(now, id, stream, 0);  // the application lets go of it
    EXPECT_EQ(read(stream).result, fail(Errc::stream_closed));
  }
}

TEST_F(NodeCoreTest, unread_bytes_of_ended_streams_are_bounded) {
  NodeCore::Limits limits;
  limits.max_rest_bytes = 150'000;
  holder.core.emplace(holder.identity, holder.rng, NodeCore::Config{"test", limits});
  holder.core->accept_app_protocol(now, "/app/1");
  const ConnectionId id = connect();
  for (int i = 0; i < 2; ++i) getter.core->open_app_stream(now, id, "/app/1");
  settle();
  for (const AppStreamOpened* opened : getter.all<AppStreamOpened>()) {
    getter.core->write_app_stream(now, id, *opened->result, Bytes(100'000));
  }
  settle();
  cut();
  std::size_t read = 0;
  for (const AppStreamAccepted* accepted : holder.all<AppStreamAccepted>()) {
    holder.core->read_app_stream(now, id, accepted->stream, 1'000'000);
  }
  settle();
  ASSERT_EQ(holder.all<AppRead>().size(), 2U);
  for (const AppRead* answer : holder.all<AppRead>()) {
    read += answer->bytes.size();
    if (answer->bytes.empty()) {
      EXPECT_EQ(answer->result, fail(Errc::connection_reset));
    }
  }
  EXPECT_EQ(read, 100'000U);
}

TEST_F(NodeCoreTest, closing_all_cancels_what_waits) {
  holder.core->accept_app_protocol(now, "/app/1");
  const ConnectionId id = connect();
  getter.core->open_app_stream(now, id, "/app/1");
  settle();
  const StreamId stream = *getter.all<AppStreamOpened>().front()->result;
  fetch();
  getter.core->read_app_stream(now, id, stream, 10);
  getter.core->ping(now, id);
  getter.facts.clear();
  getter.core->close_all(now);
  settle();
  ASSERT_EQ(getter.all<FetchEnded>().size(), 1U);
  EXPECT_EQ(getter.all<FetchEnded>().front()->result.error().code(), Errc::cancelled);
  ASSERT_EQ(getter.all<AppRead>().size(), 1U);
  EXPECT_EQ(getter.all<AppRead>().front()->result, fail(Errc::cancelled, "this node stops"));
  ASSERT_EQ(getter.all<PingEnded>().size(), 1U);
  EXPECT_EQ(getter.core->snapshot().operations, 0U);
  EXPECT_EQ(getter.core->snapshot().connections, 0U);
}

TEST_F(NodeCoreTest, a_cancelled_fetch_ends_with_the_partial_store_that_was_being_opened) {
  const OperationId id = fetch();
  answer_holder();
  std::optional<DiskRequestId> opening;
  for (DiskRequest* const request : getter.all<DiskRequest>()) {
    if (std::holds_alternative<OpenPartial>(request->request)) opening = request->id;
  }
  ASSERT_TRUE(opening);
  getter.core->cancel(now, id);
  settle();
  EXPECT_TRUE(getter.all<FetchEnded>().empty());
  getter.core->handle_disk(now, *opening, PartialOpened{PartialId{4}, store::ChunkSet(1)});
  settle();
  ASSERT_EQ(getter.all<FetchEnded>().size(), 1U);
  EXPECT_EQ(getter.all<FetchEnded>().front()->result.error().code(), Errc::cancelled);
  EXPECT_EQ(getter.all<FetchEnded>().front()->partial, PartialId{4});  // for the shell to close
}

TEST_F(NodeCoreTest, a_holder_that_was_lost_is_dialled_again_a_few_times) {
  fetch();
  EXPECT_EQ(dials, 1);
  refuses = true;
  cut();
  EXPECT_TRUE(getter.all<FetchEnded>().empty());
  for (int redial = 1; redial <= 3; ++redial) {
    const Instant before = now;
    wait();
    EXPECT_EQ(now - before, 250ms * (1U << static_cast<unsigned>(redial)));
    EXPECT_EQ(dials, 1 + redial);
  }
  ASSERT_EQ(getter.all<FetchEnded>().size(), 1U);
  EXPECT_FALSE(getter.all<FetchEnded>().front()->result);
}

TEST_F(NodeCoreTest, a_holder_that_comes_back_is_asked_again) {
  fetch();
  cut();
  holder.facts.clear();
  wait();
  EXPECT_EQ(dials, 2);
  EXPECT_FALSE(holder.all<DiskRequest>().empty());
  EXPECT_TRUE(getter.all<FetchEnded>().empty());
}

TEST_F(NodeCoreTest, a_connection_that_breaks_in_its_handshake_is_tried_again) {
  breaks_in_handshake = true;
  fetch();
  EXPECT_EQ(dials, 1);
  EXPECT_TRUE(getter.all<FetchEnded>().empty());
  breaks_in_handshake = false;
  wait();
  EXPECT_EQ(dials, 2);
  EXPECT_FALSE(holder.all<DiskRequest>().empty());
}

TEST_F(NodeCoreTest, a_connection_on_which_a_holder_was_silent_is_not_used_for_the_next_try) {
  const ConnectionId first = connect();
  is_connected = false;  // nothing gets through, and nobody says so
  fetch();
  EXPECT_EQ(dials, 1);  // on the connection that stands
  while (dials == 1 && getter.all<FetchEnded>().empty()) wait();
  EXPECT_EQ(dials, 2);
  EXPECT_NE(connection, first);
  settle();
  EXPECT_FALSE(holder.all<DiskRequest>().empty());
}

TEST_F(NodeCoreTest, one_path_is_told_of_a_fetch_until_its_holder_is_lost) {
  fetch();
  ASSERT_EQ(getter.all<PathChosen>().size(), 1U);
  EXPECT_EQ(getter.all<PathChosen>().front()->path.from, "");
  EXPECT_EQ(getter.all<PathChosen>().front()->path.to, address.to_string());
  cut();
  wait();  // dials the same address again
  EXPECT_EQ(getter.all<PathChosen>().size(), 1U);
}

TEST_F(NodeCoreTest, a_fetch_without_a_tier_ends_and_is_forgotten) {
  getter.core->fetch(now, {.target = {.store = store, .root = root, .accept_unpinned = false, .only_wanted = false},
                           .holders = {{holder.identity.peer_id(), {address}}},
                           .tiers = *ladder::TierSet::parse("public-turn")});
  settle();
  ASSERT_EQ(getter.all<FetchEnded>().size(), 1U);
  EXPECT_EQ(getter.all<FetchEnded>().front()->result.error().code(), Errc::all_tiers_failed);
  EXPECT_EQ(getter.core->snapshot().operations, 0U);
  EXPECT_EQ(dials, 0);
}

TEST_F(NodeCoreTest, the_longest_idle_inbound_connection_gives_its_place_when_the_table_is_full) {
  NodeCore::Limits limits;
  limits.max_connections = 2;
  holder.core.emplace(holder.identity, holder.rng, NodeCore::Config{"test", limits});
  holder.core->accept_app_protocol(now, "/app/1");
  const Endpoint other{IpAddress::v4({198, 51, 100, 8}), 1};
  const ConnectionId idle = connect();
  holder.core->handle_accepted(now, ConnectionId{77}, Endpoint(), other);  // still in its handshake
  now = now + 1s;
  ASSERT_TRUE(holder.core->admits(now, other));
  holder.core->handle_not_accepted(other);  // it never said that it speaks libp2p
  EXPECT_EQ(holder.core->snapshot().connections, 2U);
  ASSERT_TRUE(holder.core->admits(now, other));
  holder.core->handle_accepted(now, ConnectionId{78}, Endpoint(), other);
  settle();
  const auto closes = holder.all<CloseConnection>();
  ASSERT_EQ(closes.size(), 1U);
  EXPECT_EQ(closes.front()->connection, idle);
  EXPECT_TRUE(closes.front()->is_graceful);
  EXPECT_EQ(holder.core->snapshot().connections, 2U);
}

TEST_F(NodeCoreTest, a_connection_in_use_keeps_its_place) {
  NodeCore::Limits limits;
  limits.max_connections = 1;
  holder.core.emplace(holder.identity, holder.rng, NodeCore::Config{"test", limits});
  holder.core->accept_app_protocol(now, "/app/1");
  getter.core->open_app_stream(now, connect(), "/app/1");
  settle();
  const Endpoint other{IpAddress::v4({198, 51, 100, 8}), 1};
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(holder.core->admits(now + i * 1s, other));
  EXPECT_EQ(holder.core->snapshot().connections, 1U);
  EXPECT_EQ(holder.core->snapshot().accepts.half_open, 0U);
}

TEST_F(NodeCoreTest, the_store_stream_that_idles_longest_gives_its_place) {
  NodeCore::Limits limits;
  limits.stores = {.max_streams = 1, .max_streams_per_peer = 2, .max_streams_per_source = 2};
  holder.core.emplace(holder.identity, holder.rng, NodeCore::Config{"test", limits});
  const ConnectionId id = connect();
  getter.core->open_app_stream(now, id, std::string(k_store_protocol));
  settle();
  getter.core->open_app_stream(now, id, std::string(k_store_protocol));
  settle();
  ASSERT_EQ(getter.all<AppStreamOpened>().size(), 2U);
  EXPECT_TRUE(getter.all<AppStreamOpened>()[1]->result);
  EXPECT_EQ(holder.core->snapshot().store_streams, 1U);
  getter.core->read_app_stream(now, id, *getter.all<AppStreamOpened>()[0]->result, 1);
  EXPECT_EQ(getter.all<AppRead>().size(), 0U);
  settle();
  ASSERT_EQ(getter.all<AppRead>().size(), 1U);
  EXPECT_EQ(getter.all<AppRead>().front()->result, fail(Errc::stream_reset));
}

TEST(NodeCoreAdmission, OneSourceCannotTakeEveryPlace) {
  SeededRng rng(11);
  const Identity identity = Identity::generate(rng);
  NodeCore::Config config{"test", {}};
  config.limits.max_inbound_per_source = 3;
  NodeCore core(identity, rng, std::move(config));
  const Instant now{1s};
  const Endpoint local{IpAddress::v4({192, 0, 2, 1}), 4001};
  const Endpoint greedy{IpAddress::v4({198, 51, 100, 7}), 1};
  for (std::uint64_t id = 1; id <= 3; ++id) {
    ASSERT_TRUE(core.admits(now, greedy));
    core.handle_accepted(now, ConnectionId{id}, local, greedy);
  }
  EXPECT_FALSE(core.admits(now, greedy));
  EXPECT_TRUE(core.admits(now, {IpAddress::v4({198, 51, 100, 8}), 1}));
  core.handle_transport_error(now, ConnectionId{2}, Error(Errc::connection_reset));
  EXPECT_TRUE(core.admits(now, greedy));
}

}  // namespace
}  // namespace dig::node
