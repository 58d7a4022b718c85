// SPDX-License-Identifier: Apache-2.0
// Connections, streams and the end of a node through the public API, on the loopback interface.
#include <algorithm>
#include <map>

#include "node_fixture.hpp"

namespace dignet::testing {
namespace {

// Sends back what comes until the end, then finishes. Keeps itself alive by its own completions.
class Echo : public std::enable_shared_from_this<Echo> {
 public:
  explicit Echo(Stream stream) : stream_(std::move(stream)) {}
  void go_on() {
    stream_.read(1 << 18, [self = shared_from_this()](Result<ReadData> data) {
      if (!data) return;
      if (data->is_end) return self->stream_.finish();
      self->stream_.write(std::move(data->bytes), [self](Result<void> written) {
        if (written) self->go_on();
      });
    });
  }

 private:
  Stream stream_;
};

class NodeTest : public ApiTest {
 protected:
  // Two nodes with a connection between them.
  void join() {
    listener = start("listener");
    listener->on_event([this](const NodeEvent& event) { heard.push_back(event); });
    dialer = start("dialer", false);
    const auto report = connect(dialer, {.addresses = listener->addresses()});
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->peer_id, listener->identity().peer_id);
    EXPECT_EQ(report->tier, 1);
    connection = report->connection;
  }
  void serve_echo() {
    listener->handle_protocol("/echo/1", [](Stream stream) { std::make_shared<Echo>(std::move(stream))->go_on(); });
  }
  // The stream that the listener gets for one that the dialer opens.
  std::pair<Stream, Stream> stream_pair() {
    const auto theirs = std::make_shared<std::optional<Stream>>();
    listener->handle_protocol("/pair/1", [theirs](Stream stream) { theirs->emplace(std::move(stream)); });
    auto mine = open(dialer, connection, "/pair/1");
    if (!mine || !run_until([&] { return theirs->has_value(); })) throw std::runtime_error("no stream");
    return {std::move(*mine), *std::exchange(*theirs, std::nullopt)};
  }
  template <class Event>
  bool has_heard() const {
    return std::ranges::any_of(heard, [](const NodeEvent& event) { return std::holds_alternative<Event>(event); });
  }

  Node* listener = nullptr;
  Node* dialer = nullptr;
  std::uint64_t connection = 0;
  std::vector<NodeEvent> heard;
};

TEST_F(NodeTest, a_peer_is_connected_pinged_identified_and_disconnected) {
  join();
  const auto ping = wait<PingReport>([&](auto done) { dialer->ping(connection, std::move(done)); });
  ASSERT_TRUE(ping) << ping.error().message();
  EXPECT_GT(ping->rtt_ms, 0);
  EXPECT_TRUE(run_until([&] { return has_heard<PeerConnected>() && has_heard<PeerIdentified>(); }));
  dialer->disconnect(connection);
  EXPECT_TRUE(run_until([&] { return has_heard<PeerDisconnected>(); }));
  EXPECT_EQ(code_of(wait<PingReport>([&](auto done) { dialer->ping(connection, std::move(done)); })),
            Errc::connection_closed);
  EXPECT_EQ(code_of(open(dialer, connection, "/echo/1")), Errc::connection_closed);
}

TEST_F(NodeTest, sixteen_mebibytes_are_echoed) {
  join();
  serve_echo();
  auto stream = open(dialer, connection, "/echo/1");
  ASSERT_TRUE(stream) << stream.error().message();
  EXPECT_EQ(stream->protocol(), "/echo/1");
  EXPECT_EQ(stream->peer_id(), listener->identity().peer_id);
  const std::string text = random_text(16 << 20, 4);
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  bool is_written = false;
  stream->write({begin, begin + text.size()}, [&](Result<void> written) {
    EXPECT_TRUE(written);
    is_written = true;
    stream->finish();
  });
  EXPECT_TRUE(read_to_end(*stream) == text);
  EXPECT_TRUE(is_written);
}

TEST_F(NodeTest, a_protocol_that_nobody_handles_is_refused) {
  join();
  EXPECT_EQ(code_of(open(dialer, connection, "/nobody/1")), Errc::protocol_not_supported);
}

TEST_F(NodeTest, one_read_and_one_write_of_a_stream_wait_at_a_time) {
  join();
  auto [mine, theirs] = stream_pair();
  std::optional<Result<ReadData>> first;
  mine.read(10, [&](Result<ReadData> data) { first.emplace(std::move(data)); });
  EXPECT_EQ(code_of(read(mine)), Errc::invalid_argument);
  EXPECT_FALSE(first);
  EXPECT_TRUE(write(theirs, "hello"));
  ASSERT_TRUE(run_until([&] { return first.has_value(); }));
  ASSERT_TRUE(*first);
  EXPECT_EQ((*first)->bytes.size(), 5U);
  EXPECT_EQ(code_of(read(mine, 0)), Errc::invalid_argument);

  // More than the windows hold: the first write waits until the peer reads.
  bool is_written = false;
  mine.write(std::vector<std::byte>(40 << 20), [&](Result<void> result) {
    EXPECT_FALSE(result);
    is_written = true;
  });
  EXPECT_EQ(code_of(write(mine, "x")), Errc::invalid_argument);
  EXPECT_FALSE(is_written);
  theirs.reset();
  EXPECT_TRUE(run_until([&] { return is_written; }));
}

TEST_F(NodeTest, the_end_and_the_reset_of_a_stream_reach_the_peer) {
  join();
  auto [mine, theirs] = stream_pair();
  EXPECT_TRUE(write(mine, "last words"));
  mine.finish();
  EXPECT_EQ(code_of(write(mine, "more")), Errc::stream_closed);
  EXPECT_EQ(read_to_end(theirs), "last words");
  EXPECT_TRUE(write(theirs, "answer"));
  theirs.finish();
  EXPECT_EQ(read_to_end(mine), "answer");
  EXPECT_FALSE(read(mine));

  auto [dropped, left] = stream_pair();
  {
    const Stream gone = std::move(dropped);
  }
  EXPECT_EQ(code_of(read(left)), Errc::stream_reset);
  EXPECT_FALSE(write(left, "x"));
}

TEST_F(NodeTest, streams_that_were_dropped_after_their_end_take_no_place) {
  join();
  int accepted = 0;
  listener->handle_protocol("/short/1", [&](Stream stream) {
    ++accepted;
    stream.finish();  // dropped without reading what the peer says
  });
  // More than one peer may have open at a time.
  for (int i = 0; i < 300; ++i) {
    auto stream = open(dialer, connection, "/short/1");
    ASSERT_TRUE(stream) << i << ": " << stream.error().message();
    EXPECT_EQ(read_to_end(*stream), "");
    stream->finish();
  }
  EXPECT_EQ(accepted, 300);
}

TEST_F(NodeTest, a_read_that_waits_is_answered_when_its_reader_stops) {
  join();
  auto [mine, theirs] = stream_pair();
  std::optional<Errc> ended;
  mine.read(10, [&](Result<ReadData> data) { ended = code_of(data); });
  mine.stop_sending();
  EXPECT_TRUE(run_until([&] { return ended.has_value(); }));
  EXPECT_EQ(ended, Errc::stream_closed);
  EXPECT_EQ(code_of(read(mine)), Errc::stream_closed);
  EXPECT_TRUE(write(mine, "the other half lives on"));
  mine.finish();
  EXPECT_EQ(read_to_end(theirs), "the other half lives on");
}

TEST_F(NodeTest, a_handler_may_replace_itself) {
  join();
  std::string said;
  listener->handle_protocol("/once/1", [&](Stream) {
    listener->handle_protocol("/once/1", [&](Stream) { said += "second "; });
    said += "first ";
  });
  auto one = open(dialer, connection, "/once/1");
  EXPECT_TRUE(run_until([&] { return said == "first "; }));
  auto two = open(dialer, connection, "/once/1");
  EXPECT_TRUE(run_until([&] { return said == "first second "; }));
}

TEST_F(NodeTest, a_peer_hears_that_a_node_is_gone) {
  join();
  auto [mine, theirs] = stream_pair();
  std::optional<Errc> ended;
  theirs.read(10, [&](Result<ReadData> data) { ended = code_of(data); });
  stop(dialer);
  EXPECT_TRUE(run_until([&] { return ended && has_heard<PeerDisconnected>(); }));
  EXPECT_FALSE(read(theirs));
  // A stream may outlive its node.
  std::optional<Errc> after;
  mine.read(10, [&](Result<ReadData> data) { after = code_of(data); });
  EXPECT_EQ(after, Errc::cancelled);
  mine.write({}, nullptr);
  mine.finish();
}

TEST_F(NodeTest, an_unreachable_peer_and_a_wrong_one_are_told_apart) {
  join();
  const DeafPort refusing(false);
  const std::string id = listener->identity().peer_id;
  std::vector<Attempt> seen;
  const auto refused = wait<ConnectReport>([&](auto done) {
    dialer->connect(
        {.addresses = {refusing.address(id)}},
        [&](const OperationEvent& event) {
          if (const auto* attempt = std::get_if<AttemptEvent>(&event)) seen.push_back(attempt->attempt);
        },
        std::move(done));
  });
  EXPECT_EQ(code_of(refused), Errc::all_tiers_failed);
  const auto failed = std::ranges::find_if(seen, [](const Attempt& a) { return a.outcome == Outcome::failed; });
  ASSERT_NE(failed, seen.end());
  ASSERT_TRUE(failed->error);
  EXPECT_EQ(failed->error->code(), Errc::connection_refused);

  std::string other = listener->addresses().front();
  other.replace(other.rfind('/') + 1, std::string::npos, start("third")->identity().peer_id);
  EXPECT_EQ(code_of(connect(dialer, {.addresses = {other}})), Errc::peer_id_mismatch);
  EXPECT_EQ(code_of(connect(listener, {.addresses = listener->addresses()})), Errc::dialled_self);
  EXPECT_EQ(code_of(connect(dialer, {.addresses = {}})), Errc::invalid_argument);
}

TEST_F(NodeTest, a_silent_peer_uses_up_the_time_of_a_connect_and_a_cancel_ends_it) {
  join();
  const DeafPort silent(true);
  const std::string address = silent.address(listener->identity().peer_id);
  EXPECT_EQ(code_of(connect(dialer, {.addresses = {address}, .timeout = 200ms})), Errc::timed_out);
  int completions = 0;
  std::optional<Errc> ended;
  const OperationId operation = dialer->connect({.addresses = {address}}, nullptr, [&](Result<ConnectReport> result) {
    ++completions;
    ended = code_of(result);
  });
  dialer->cancel(operation);
  EXPECT_TRUE(run_until([&] { return ended.has_value(); }));
  dialer->cancel(operation);
  ASSERT_TRUE(list(dialer));
  EXPECT_EQ(ended, Errc::cancelled);
  EXPECT_EQ(completions, 1);
}

TEST_F(NodeTest, the_end_of_a_node_completes_everything_that_waits_exactly_once) {
  join();
  auto [mine, theirs] = stream_pair();
  const DeafPort silent(true);
  const std::string address = silent.address(start("third")->identity().peer_id);
  const std::string urn = "urn:dig:chia:" + std::string(64, 'a');
  std::map<std::string, std::vector<Errc>> completed;
  const auto note = [&](const std::string& name) {
    return [&completed, name](const auto& result) {
      completed[name].push_back(result ? Errc::internal : result.error().code());
    };
  };
  dialer->connect({.addresses = {address}}, nullptr, note("connect"));
  dialer->fetch({.urn = urn, .peers = {address}, .timeout = 1h}, nullptr, note("fetch"));
  mine.read(10, note("read"));
  mine.write(std::vector<std::byte>(40 << 20), note("write"));
  dialer->verify_stores(std::nullopt, note("verify"));
  dialer->ping(connection, note("ping"));
  dialer->open_stream(connection, "/pair/1", note("open"));
  dialer->add_store(folder / "listener", {}, note("add"));
  stop(dialer);
  for (const char* const name : {"connect", "fetch", "read", "write", "verify", "ping", "open", "add"}) {
    EXPECT_EQ(completed[name].size(), 1U) << name;
  }
  // What waits for a peer that never answers can only be cancelled; the rest may have been faster than the end.
  for (const char* const name : {"connect", "fetch", "read", "write"}) {
    EXPECT_EQ(completed[name], std::vector{Errc::cancelled}) << name;
  }
}

TEST_F(NodeTest, what_a_node_wrote_before_it_went_arrives_whole) {
  join();
  auto [mine, theirs] = stream_pair();
  const std::string text = random_text(3 << 20, 9);
  ASSERT_TRUE(write(mine, text.substr(0, 100'000)));
  mine.finish();
  stop(dialer);
  EXPECT_EQ(read_to_end(theirs), text.substr(0, 100'000));
}

TEST_F(NodeTest, events_that_peers_cause_are_bounded_while_nobody_processes_them) {
  join();
  Node* const second = start("second", false);
  const auto also = connect(second, {.addresses = listener->addresses()});
  ASSERT_TRUE(also);
  // Each says again and again who it is. The listener works, but its application sleeps.
  for (const auto& [node, to_listener] : {std::pair(dialer, connection), std::pair(second, also->connection)}) {
    for (int i = 0; i < 700; ++i) {
      node->open_stream(to_listener, "/ipfs/id/push/1.0.0", [](Result<Stream> push) {
        if (!push) return;
        push->write({std::byte{0}}, [](const Result<void>& /*written*/) {});  // an empty message
        push->finish();
      });
      if (i % 50 != 49) continue;
      std::optional<bool> is_answered;  // then what came before is handled too
      node->ping(to_listener, [&](const Result<PingReport>& report) { is_answered = report.has_value(); });
      for (pollfd handle{node->event_handle(), POLLIN, 0}; !is_answered && ::poll(&handle, 1, 30'000) == 1;) {
        node->process();
      }
      ASSERT_EQ(is_answered, true);
    }
  }
  std::size_t identified = 0;
  std::vector<Errc> warnings;
  listener->on_event([&](const NodeEvent& event) {
    if (std::holds_alternative<PeerIdentified>(event)) ++identified;
    if (const auto* warning = std::get_if<Warning>(&event)) warnings.push_back(warning->error.code());
  });
  EXPECT_LE(listener->process(), 1100U);
  listener->on_event(nullptr);
  EXPECT_GT(identified, 900U);
  EXPECT_EQ(warnings, std::vector{Errc::limit_reached});
}

TEST_F(NodeTest, completions_may_begin_new_operations_while_the_node_ends) {
  join();
  serve_echo();
  auto opened = open(dialer, connection, "/echo/1");
  ASSERT_TRUE(opened);
  Stream stream = std::move(*opened);
  int late = 0;
  const auto count = [&](const auto& result) {
    ++late;
    EXPECT_FALSE(result);
  };
  Node* const node = dialer;
  stream.read(10, [&](Result<ReadData>) {
    stream.write({}, count);
    node->list_stores(count);
    node->connect({.addresses = {"nonsense"}}, nullptr, count);
    node->fetch({.urn = "urn:dig:chia:" + std::string(64, 'a')}, nullptr, count);
    node->ping(connection, count);
    stream.finish();
  });
  stop(dialer);
  EXPECT_EQ(late, 5);
}

TEST_F(NodeTest, a_home_has_one_node_that_listens) {
  Node* const first = start("home");
  auto second = Node::create({.home = folder / "home", .listen_addresses = {"/ip4/127.0.0.1/tcp/0"}});
  EXPECT_EQ(code_of(second), Errc::home_in_use);
  const auto visitor = Node::create({.home = folder / "home", .listen = false});
  ASSERT_TRUE(visitor);
  EXPECT_EQ((*visitor)->identity().peer_id, first->identity().peer_id);
  EXPECT_TRUE((*visitor)->addresses().empty());
  EXPECT_EQ(first->addresses().size(), 2U);  // plain, and in a WebSocket
  EXPECT_EQ(first->ports().size(), 1U);
}

}  // namespace
}  // namespace dignet::testing
