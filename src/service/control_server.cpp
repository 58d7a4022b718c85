// SPDX-License-Identifier: Apache-2.0
#include "service/control_server.hpp"

#include <sys/socket.h>

#include <vector>

#include "service/control_socket.hpp"
#include "service/json_forms.hpp"
#include "service/json_text.hpp"

namespace dig::service {

struct ControlServer::Client {
  std::unique_ptr<LineChannel> channel;  // null once the client is gone
  std::map<std::int64_t, CallId> calls;  // request id -> running call; 0 while it is being started

  void send(std::int64_t id, const char* key, json::value value) {
    if (!channel) return;
    json::object line{{"id", id}};
    line.emplace(key, std::move(value));
    channel->send(to_line(line));
  }
  void send_reply(std::int64_t id, Reply reply) { send(id, reply.ok ? "result" : "error", std::move(reply.body)); }
};

Result<std::unique_ptr<ControlServer>> ControlServer::create(EventLoop& loop, Backend& backend,
                                                             const std::filesystem::path& home, Limits limits) {
  DIG_TRY(net::UniqueFd listener, listen_control_socket(home));
  return std::unique_ptr<ControlServer>(new ControlServer(loop, backend, home, limits, std::move(listener)));
}

ControlServer::ControlServer(EventLoop& loop, Backend& backend, std::filesystem::path home, Limits limits,
                             net::UniqueFd listener)
    : loop_(loop), backend_(backend), home_(std::move(home)), limits_(limits), listener_(std::move(listener)) {
  loop_.watch(listener_.value(), POLLIN, [this](short) { accept_clients(); });
}

ControlServer::~ControlServer() {
  loop_.unwatch(listener_.value());
  remove_control_socket(home_);
  while (!clients_.empty()) forget(clients_.begin()->first);
}

void ControlServer::accept_clients() {
  net::UniqueFd fd(::accept4(listener_.value(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd || !is_trusted_peer(fd.value()) || clients_.size() >= limits_.max_clients) return;
  const int key = fd.value();
  auto client = std::make_shared<Client>();
  const std::weak_ptr<Client> weak = client;
  client->channel = std::make_unique<LineChannel>(loop_, std::move(fd), limits_.channel,
                                                  LineChannel::Callbacks{
                                                      .on_line =
                                                          [this, weak](std::string_view line) {
                                                            if (const auto strong = weak.lock())
                                                              handle_line(strong, line);
                                                          },
                                                      .on_closed = [this, key] { forget(key); },
                                                  });
  clients_.emplace(key, std::move(client));
}

// The client's channel dies here, also when it is what calls; the calls' sinks hold the client weakly.
void ControlServer::forget(int client) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  const std::shared_ptr<Client> gone = std::move(found->second);
  clients_.erase(found);
  gone->channel.reset();
  const std::map<std::int64_t, CallId> calls = std::move(gone->calls);
  gone->calls.clear();
  for (const auto& [id, call] : calls) backend_.cancel(call);
}

void ControlServer::handle_line(const std::shared_ptr<Client>& client, std::string_view line) {
  const Result<json::object> request = parse_line(line);
  if (!request) return client->send_reply(0, error_reply(request.error()));
  const json::value* id = request->if_contains("id");
  const json::value* method = request->if_contains("method");
  if (id == nullptr || !id->is_int64() || method == nullptr || !method->is_string()) {
    return client->send_reply(0, error_reply(Error(Errc::malformed, "a request needs an id and a method")));
  }
  const json::value* params = request->if_contains("params");
  const json::object none;
  const json::object& given = params != nullptr && params->is_object() ? params->get_object() : none;
  start_call(client, id->get_int64(), std::string(method->get_string()), given);
}

void ControlServer::start_call(const std::shared_ptr<Client>& client, std::int64_t id, const std::string& method,
                               const json::object& params) {
  if (method == "cancel") {
    const json::value* target = params.if_contains("id");
    if (target == nullptr || !target->is_int64()) {
      return client->send_reply(id, error_reply(Error(Errc::invalid_argument, "cancel needs the id of a call")));
    }
    const auto found = client->calls.find(target->get_int64());
    if (found != client->calls.end()) backend_.cancel(found->second);
    return client->send_reply(id, {.ok = true, .body = {}});
  }
  if (client->calls.size() >= limits_.max_calls_per_client) {
    return client->send_reply(id, error_reply(Error(Errc::limit_reached, "too many calls at once")));
  }
  if (!client->calls.emplace(id, 0).second) {
    return client->send_reply(id, error_reply(Error(Errc::invalid_argument, "a call with this id is running")));
  }
  const std::weak_ptr<Client> weak = client;
  auto on_event = [weak, id, limit = limits_.max_queued_progress](const json::object& event) {
    const auto strong = weak.lock();
    if (!strong || !strong->channel) return;
    const json::value* name = event.if_contains("event");
    if (name != nullptr && *name == json::value("progress") && strong->channel->queued() > limit) return;
    strong->send(id, "event", event);
  };
  auto done = [weak, id](Reply reply) {
    const auto strong = weak.lock();
    if (!strong) return;
    strong->calls.erase(id);
    strong->send_reply(id, std::move(reply));
  };
  const CallId call = backend_.start(method, params, std::move(on_event), std::move(done));
  if (const auto found = client->calls.find(id); found != client->calls.end()) found->second = call;
}

}  // namespace dig::service
