// SPDX-License-Identifier: Apache-2.0
// What a node does with the lines of a client, but for carrying it out: the input is cut at the ends of its lines. A
// line that begins with 0x01 to 0x04 is what the node does meanwhile: it succeeds or fails in one of the running calls
// (the next byte says which), tells of its progress, or finds the client slow.
#include <map>
#include <string>
#include <string_view>

#include "input.hpp"
#include "service/command.hpp"
#include "service/control_session.hpp"
#include "service/json_forms.hpp"
#include "service/json_text.hpp"

namespace {

using namespace dig;
using namespace dig::service;
using dig::fuzz::require;

void check(const GetCommand& get) {
  require(!get.request.urn.empty() && get.request.peers.size() <= 64);
  require(get.request.timeout.count() >= 0 && get.request.timeout.count() <= 1'000'000'000);
}
void check(const ConnectCommand& connect) {
  require(connect.request.addresses.size() <= 64 && connect.pings <= 1'000'000);
  require(connect.request.timeout.count() > 0 && connect.request.timeout.count() <= 1'000'000'000);
}
void check(const AddCommand& add) { require(!add.path.empty()); }
void check(const RemoveCommand& remove) { require(!remove.urn.empty()); }
void check(const auto&) {}

// Begins what can be read, as a node does, and ends it when the input says so.
class Node final : public Backend {
 public:
  CallId start(const std::string& method, const json::object& params, EventSink on_event, ReplySink done) override {
    const CallId id = next_++;
    const auto command = read_command(method, params);
    if (!command) {
      require(command.error().code() == Errc::unsupported || command.error().code() == Errc::invalid_argument);
      done(error_reply(command.error()));
      return id;
    }
    std::visit([](const auto& given) { check(given); }, *command);
    running_.emplace(id, Call{std::move(on_event), std::move(done)});
    return id;
  }
  void cancel(CallId id) override {
    if (const auto found = running_.find(id); found != running_.end()) end(found, error_reply(Error(Errc::cancelled)));
  }

  [[nodiscard]] std::size_t running() const { return running_.size(); }
  void end_one(std::size_t which, bool succeeds) {
    if (const auto found = pick(which); found != running_.end()) {
      end(found, succeeds ? Reply{.ok = true, .body = {{"bytes", 1}}} : error_reply(Error(Errc::io_failed)));
    }
  }
  void tell_progress(std::size_t which) {
    if (const auto found = pick(which); found != running_.end()) found->second.on_event({{"event", "progress"}});
  }

 private:
  struct Call {
    EventSink on_event;
    ReplySink done;
  };
  using Calls = std::map<CallId, Call>;

  Calls::iterator pick(std::size_t which) {
    return running_.empty() ? running_.end()
                            : std::next(running_.begin(), static_cast<std::ptrdiff_t>(which % running_.size()));
  }
  void end(Calls::iterator found, Reply reply) {
    ReplySink done = std::move(found->second.done);
    running_.erase(found);
    done(std::move(reply));
  }

  Calls running_;
  CallId next_ = 1;
};

struct Client {
  std::size_t replies = 0;
  bool is_slow = false;

  void read(std::string_view line) {
    require(line.find('\n') == std::string_view::npos);
    const auto message = parse_line(line);
    require(message && message->size() == 2 && message->contains("id"));
    if (message->contains("event")) {
      require(!is_slow);
    } else {
      require(message->contains("result") || message->contains("error"));
      ++replies;
    }
  }
};

void act(Node& node, Client& client, std::string_view line) {
  const std::size_t which = line.size() > 1 ? static_cast<unsigned char>(line[1]) : 0;
  if (line[0] == 1) node.end_one(which, true);
  if (line[0] == 2) node.end_one(which, false);
  if (line[0] == 3) node.tell_progress(which);
  if (line[0] == 4) client.is_slow = !client.is_slow;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr ControlSession::Limits k_limits{.max_calls = 4, .max_queued_progress = 10};
  std::string_view input(reinterpret_cast<const char*>(data), size);
  Node node;
  Client client;
  std::size_t requests = 0;
  {
    ControlSession session(node, k_limits,
                           {.send = [&](std::string_view line) { client.read(line); },
                            .queued = [&] { return client.is_slow ? k_limits.max_queued_progress + 1 : 0; }});
    while (!input.empty()) {
      const std::string_view line = input.substr(0, input.find('\n'));
      input.remove_prefix(std::min(line.size() + 1, input.size()));
      if (!line.empty() && line[0] >= 1 && line[0] <= 4) {
        act(node, client, line);
      } else {
        session.handle_line(line);
        ++requests;
      }
      require(node.running() == session.running_calls() && node.running() <= k_limits.max_calls);
      require(client.replies + node.running() == requests);
    }
  }
  require(node.running() == 0);         // the end of the session cancels its calls
  require(client.replies <= requests);  // and is silent about it
  return 0;
}
