// SPDX-License-Identifier: Apache-2.0
// The control socket from end to end: RemoteBackend, the socket, ControlServer, and a double in place of the node.
#include "service/control_server.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/json/array.hpp>
#include <cstdlib>
#include <fstream>

#include "service/control_socket.hpp"
#include "service/json_forms.hpp"
#include "service/json_text.hpp"
#include "service/local_backend.hpp"
#include "service/remote_backend.hpp"

namespace dig::service {
namespace {

// Answers "echo" at once, keeps "hang" until it is cancelled, sends `events` events for "stream".
class FakeBackend final : public Backend {
 public:
  CallId start(const std::string& method, const json::object& params, EventSink on_event, ReplySink done) override {
    const CallId id = next_++;
    if (method == "hang") {
      hanging_.emplace(id, std::move(done));
    } else if (method == "stream") {
      for (int i = 0; i < 3; ++i) on_event({{"event", "progress"}, {"bytes", i}});
      done({.ok = true, .body = {{"bytes", 3}}});
    } else if (method == "echo") {
      done({.ok = true, .body = params});
    } else {
      done(error_reply(Error(Errc::unsupported, "no such method: " + method)));
    }
    return id;
  }
  void cancel(CallId call) override {
    const auto found = hanging_.find(call);
    if (found == hanging_.end()) return;
    ReplySink done = std::move(found->second);
    hanging_.erase(found);
    ++cancelled;
    done(error_reply(Error(Errc::cancelled)));
  }
  [[nodiscard]] std::size_t hanging() const { return hanging_.size(); }

  int cancelled = 0;

 private:
  CallId next_ = 100;
  std::map<CallId, ReplySink> hanging_;
};

class ControlTest : public ::testing::Test {
 protected:
  ControlTest() {
    std::string name = (std::filesystem::temp_directory_path() / "dignet-control-XXXXXX").native();
    home_ = ::mkdtemp(name.data());
  }
  ~ControlTest() override { std::filesystem::remove_all(home_); }

  std::unique_ptr<ControlServer> serve(ControlServer::Limits limits = {}) {
    auto server = ControlServer::create(loop_, backend_, home_, limits);
    EXPECT_TRUE(server) << server.error().message();
    return std::move(*server);
  }
  // Runs the loop until the condition holds; a test that never gets there is ended by its time limit.
  void wait(const std::function<bool()>& condition) { loop_.run_until(condition); }
  Reply call(Backend& backend, const std::string& method, const json::object& params = {}) {
    std::optional<Reply> reply;
    backend.start(
        method, params, [this](const json::object& event) { events_.push_back(event); },
        [&](Reply given) { reply = std::move(given); });
    wait([&] { return reply.has_value(); });
    return std::move(*reply);
  }

  EventLoop loop_;
  FakeBackend backend_;
  std::filesystem::path home_;
  std::vector<json::object> events_;
};

TEST_F(ControlTest, ACallReachesTheNodeAndItsResultComesBack) {
  const auto server = serve();
  const auto remote = RemoteBackend::connect(loop_, home_);
  ASSERT_TRUE(remote);
  const json::object params{{"urn", "x"}, {"peers", json::array{"a", "b"}}};
  const Reply reply = call(**remote, "echo", params);
  EXPECT_TRUE(reply.ok);
  EXPECT_EQ(reply.body, params);
}

TEST_F(ControlTest, EventsComeInOrderBeforeTheResult) {
  const auto server = serve();
  const auto remote = RemoteBackend::connect(loop_, home_);
  ASSERT_TRUE(remote);
  EXPECT_TRUE(call(**remote, "stream").ok);
  ASSERT_EQ(events_.size(), 3U);
  EXPECT_EQ(events_[2].at("bytes").as_int64(), 2);
}

TEST_F(ControlTest, AnErrorKeepsItsCode) {
  const auto server = serve();
  const auto remote = RemoteBackend::connect(loop_, home_);
  ASSERT_TRUE(remote);
  const Reply reply = call(**remote, "nonsense");
  EXPECT_FALSE(reply.ok);
  EXPECT_EQ(reply.body.at("code").as_string(), "DN-GEN-008");
}

TEST_F(ControlTest, ACallCanBeCancelled) {
  const auto server = serve();
  const auto remote = RemoteBackend::connect(loop_, home_);
  ASSERT_TRUE(remote);
  std::optional<Reply> reply;
  const CallId id =
      (*remote)->start("hang", {}, [](const json::object&) {}, [&](Reply given) { reply = std::move(given); });
  wait([&] { return backend_.hanging() == 1; });
  (*remote)->cancel(id);
  wait([&] { return reply.has_value(); });
  EXPECT_EQ(exit_code(reply->body), 130);
  EXPECT_EQ(backend_.cancelled, 1);
}

TEST_F(ControlTest, WhenTheClientGoesAwayItsCallsAreCancelled) {
  const auto server = serve();
  auto remote = RemoteBackend::connect(loop_, home_);
  ASSERT_TRUE(remote);
  (*remote)->start("hang", {}, [](const json::object&) {}, [](const Reply&) {});
  wait([&] { return backend_.hanging() == 1; });
  remote->reset();
  wait([&] { return backend_.cancelled == 1; });
  EXPECT_EQ(backend_.hanging(), 0U);
}

TEST_F(ControlTest, AnAddWhoseClientGoesAwayEndsAndLeavesNothing) {
  LocalBackend node(loop_, {.home = home_, .listen = false});
  ASSERT_TRUE(node.node());
  const auto server = ControlServer::create(loop_, node, home_);
  ASSERT_TRUE(server);
  auto remote = RemoteBackend::connect(loop_, home_);
  const auto other = RemoteBackend::connect(loop_, home_);
  ASSERT_TRUE(remote && other);
  std::ofstream(home_ / "first.txt") << std::string(1'000'000, 'a');
  std::ofstream(home_ / "second.txt") << "b";
  {
    // As another process that changes the home: no store can be added before this ends.
    const net::UniqueFd stores(::open((home_ / "stores").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(::flock(stores.value(), LOCK_EX), 0);
    bool has_begun = false;
    (*remote)->start(
        "add", {{"path", (home_ / "first.txt").native()}}, [&](const json::object&) { has_begun = true; },
        [](const Reply&) {});
    wait([&] { return has_begun; });
    remote->reset();
    EXPECT_TRUE(call(**other, "ls").ok);  // comes to the node after the end of the first client
  }
  // The node's long jobs run one after another.
  const Reply added = call(**other, "add", {{"path", (home_ / "second.txt").native()}});
  ASSERT_TRUE(added.ok);
  const Reply listed = call(**other, "ls");
  ASSERT_EQ(listed.body.at("stores").as_array().size(), 1U);
  EXPECT_EQ(listed.body.at("stores").as_array()[0].as_object().at("urn"), added.body.at("urn"));
  EXPECT_TRUE(std::filesystem::is_empty(home_ / "tmp"));
}

TEST_F(ControlTest, WhenTheNodeGoesAwayTheCallFails) {
  auto server = serve();
  const auto remote = RemoteBackend::connect(loop_, home_);
  ASSERT_TRUE(remote);
  std::optional<Reply> reply;
  (*remote)->start("hang", {}, [](const json::object&) {}, [&](Reply given) { reply = std::move(given); });
  wait([&] { return backend_.hanging() == 1; });
  server.reset();
  EXPECT_EQ(backend_.hanging(), 0U);
  wait([&] { return reply.has_value(); });
  EXPECT_EQ(reply->body.at("code").as_string(), "DN-CTL-001");
  const Reply later = call(**remote, "echo");
  EXPECT_EQ(later.body.at("code").as_string(), "DN-CTL-001");
}

TEST_F(ControlTest, TheSocketIsForItsOwnerAndRemovedAtTheEnd) {
  auto server = serve();
  struct stat info{};
  ASSERT_EQ(::stat((home_ / "control.sock").c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(home_ / "control.sock"));
}

TEST_F(ControlTest, WithoutASocketOrWithAStaleOneNoNodeIsRunning) {
  EXPECT_EQ(RemoteBackend::connect(loop_, home_).error().code(), Errc::not_running);
  EXPECT_EQ(RemoteBackend::connect(loop_, home_ / "absent").error().code(), Errc::not_running);
  {
    auto abandoned = listen_control_socket(home_);  // closed, but its file stays: what kill -9 leaves
    ASSERT_TRUE(abandoned);
  }
  ASSERT_TRUE(std::filesystem::exists(home_ / "control.sock"));
  EXPECT_EQ(RemoteBackend::connect(loop_, home_).error().code(), Errc::not_running);
  const auto server = serve();  // the next owner replaces it
  EXPECT_TRUE(RemoteBackend::connect(loop_, home_));
}

TEST_F(ControlTest, AFileInPlaceOfTheSocketIsNoNode) {
  std::ofstream(home_ / "control.sock") << "x";
  EXPECT_EQ(RemoteBackend::connect(loop_, home_).error().code(), Errc::not_running);
}

TEST_F(ControlTest, AHomeWithALongPathWorks) {
  home_ /= std::string(120, 'h');
  ASSERT_TRUE(std::filesystem::create_directory(home_));
  EXPECT_EQ(RemoteBackend::connect(loop_, home_).error().code(), Errc::not_running);
  const auto server = serve();
  const auto remote = RemoteBackend::connect(loop_, home_);
  ASSERT_TRUE(remote);
  EXPECT_TRUE(call(**remote, "echo").ok);
  const auto parent = home_.parent_path();
  std::filesystem::remove_all(home_);
  home_ = parent;
}

// What a client that is not ours could send.
class RawClient {
 public:
  RawClient(EventLoop& loop, const std::filesystem::path& home) {
    auto socket = connect_control_socket(home);
    if (!socket) return;
    channel_ = std::make_unique<LineChannel>(
        loop, std::move(*socket), LineChannel::Limits{},
        LineChannel::Callbacks{.on_line = [this](std::string_view line) { lines.emplace_back(line); },
                               .on_closed = [this] { is_closed = true; }});
  }
  void send(std::string_view line) { channel_->send(line); }

  std::vector<std::string> lines;
  bool is_closed = false;

 private:
  std::unique_ptr<LineChannel> channel_;
};

TEST_F(ControlTest, MalformedRequestsGetACodedErrorAndTheServerGoesOn) {
  const auto server = serve();
  RawClient raw(loop_, home_);
  for (const char* line : {"", "x", "{}", "[]", "{\"id\":\"a\",\"method\":\"echo\"}", "{\"id\":1}",
                           "{\"id\":1,\"method\":5}", "{\"id\":1,\"method\":\"cancel\"}"}) {
    raw.lines.clear();
    raw.send(line);
    wait([&] { return !raw.lines.empty(); });
    const auto answer = parse_line(raw.lines.front());
    ASSERT_TRUE(answer) << raw.lines.front();
    EXPECT_TRUE(answer->contains("error")) << line;
  }
  raw.lines.clear();
  raw.send(R"({"id":7,"method":"echo"})");
  wait([&] { return !raw.lines.empty(); });
  EXPECT_EQ(raw.lines.front(), R"({"id":7,"result":{}})");
}

TEST_F(ControlTest, ALineOfTheLargestSizeIsAcceptedAndOneByteMoreEndsTheClient) {
  const auto server = serve({.channel = {.max_line = 100, .max_queued = 1000}});
  const std::string start = R"({"id":1,"method":"echo","x":")";
  RawClient fits(loop_, home_);
  fits.send(start + std::string(100 - start.size() - 2, 'a') + "\"}");
  wait([&] { return !fits.lines.empty() || fits.is_closed; });
  EXPECT_FALSE(fits.is_closed);
  RawClient larger(loop_, home_);
  larger.send(start + std::string(101 - start.size() - 2, 'a') + "\"}");
  wait([&] { return !larger.lines.empty() || larger.is_closed; });
  EXPECT_TRUE(larger.is_closed);
}

TEST_F(ControlTest, ALineWithoutAnEndIsCutOffAtTheLimit) {
  const auto server = serve({.channel = {.max_line = 100, .max_queued = 1000}});
  auto socket = connect_control_socket(home_);
  ASSERT_TRUE(socket);
  const std::string endless(5000, 'a');
  ASSERT_EQ(::send(socket->value(), endless.data(), endless.size(), MSG_NOSIGNAL), 5000);
  bool is_closed = false;
  loop_.watch(socket->value(), POLLIN, [&](short) {
    char byte = 0;
    is_closed = ::recv(socket->value(), &byte, 1, 0) <= 0;
  });
  wait([&] { return is_closed; });
  loop_.unwatch(socket->value());
}

TEST_F(ControlTest, AClientHasALimitedNumberOfCalls) {
  const auto server = serve({.session = {.max_calls = 2}});
  RawClient raw(loop_, home_);
  raw.send(R"({"id":1,"method":"hang"})");
  raw.send(R"({"id":2,"method":"hang"})");
  raw.send(R"({"id":3,"method":"hang"})");
  wait([&] { return !raw.lines.empty(); });
  EXPECT_NE(raw.lines.front().find("DN-GEN-004"), std::string::npos) << raw.lines.front();
  EXPECT_EQ(backend_.hanging(), 2U);
}

TEST_F(ControlTest, AnIdThatIsInUseIsRefused) {
  const auto server = serve();
  RawClient raw(loop_, home_);
  raw.send(R"({"id":1,"method":"hang"})");
  raw.send(R"({"id":1,"method":"hang"})");
  wait([&] { return !raw.lines.empty(); });
  EXPECT_NE(raw.lines.front().find("DN-GEN-002"), std::string::npos) << raw.lines.front();
  EXPECT_EQ(backend_.hanging(), 1U);
}

TEST_F(ControlTest, MoreClientsThanTheLimitAreTurnedAway) {
  const auto server = serve({.max_clients = 1});
  RawClient first(loop_, home_);
  first.send(R"({"id":1,"method":"echo"})");
  wait([&] { return !first.lines.empty(); });
  RawClient second(loop_, home_);
  wait([&] { return second.is_closed; });
  EXPECT_FALSE(first.is_closed);
}

}  // namespace
}  // namespace dig::service
