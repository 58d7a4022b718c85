// SPDX-License-Identifier: Apache-2.0
#include "service/control_session.hpp"

#include <map>
#include <utility>

#include "service/json_forms.hpp"
#include "service/json_text.hpp"

namespace dig::service {

struct ControlSession::Client {
  Output output;
  std::map<std::int64_t, CallId> calls;  // request id -> running call; 0 while it is being started

  void send(std::int64_t id, const char* key, json::value value) {
    json::object line{{"id", id}};
    line.emplace(key, std::move(value));
    output.send(to_line(line));
  }
  void send_reply(std::int64_t id, Reply reply) { send(id, reply.ok ? "result" : "error", std::move(reply.body)); }
  void refuse(std::int64_t id, Errc code, std::string_view why) { send_reply(id, error_reply(Error(code, why))); }
};

ControlSession::ControlSession(Backend& backend, Limits limits, Output output)
    : backend_(backend), limits_(limits), client_(std::make_shared<Client>(std::move(output))) {}

ControlSession::~ControlSession() {
  const std::map<std::int64_t, CallId> calls = std::move(client_->calls);
  client_.reset();
  for (const auto& [id, call] : calls) backend_.cancel(call);
}

std::size_t ControlSession::running_calls() const noexcept { return client_->calls.size(); }

void ControlSession::handle_line(std::string_view line) {
  const Result<json::object> request = parse_line(line);
  if (!request) return client_->send_reply(0, error_reply(request.error()));
  const json::value* id = request->if_contains("id");
  const json::value* method = request->if_contains("method");
  if (id == nullptr || !id->is_int64() || method == nullptr || !method->is_string()) {
    return client_->refuse(0, Errc::malformed, "a request needs an id and a method");
  }
  const json::value* params = request->if_contains("params");
  const json::object none;
  const json::object& given = params != nullptr && params->is_object() ? params->get_object() : none;
  handle_call(id->get_int64(), std::string(method->get_string()), given);
}

void ControlSession::handle_call(std::int64_t id, const std::string& method, const json::object& params) {
  if (method == "cancel") return cancel_call(id, params);
  if (client_->calls.size() >= limits_.max_calls) {
    return client_->refuse(id, Errc::limit_reached, "too many calls at once");
  }
  if (!client_->calls.emplace(id, 0).second) {
    return client_->refuse(id, Errc::invalid_argument, "a call with this id is running");
  }
  start_call(id, method, params);
}

void ControlSession::cancel_call(std::int64_t id, const json::object& params) {
  const json::value* target = params.if_contains("id");
  if (target == nullptr || !target->is_int64()) {
    return client_->refuse(id, Errc::invalid_argument, "cancel needs the id of a call");
  }
  const auto found = client_->calls.find(target->get_int64());
  if (found != client_->calls.end()) backend_.cancel(found->second);
  client_->send_reply(id, {.ok = true, .body = {}});
}

void ControlSession::start_call(std::int64_t id, const std::string& method, const json::object& params) {
  const std::weak_ptr<Client> weak = client_;
  auto on_event = [weak, id, limit = limits_.max_queued_progress](const json::object& event) {
    const auto client = weak.lock();
    if (!client) return;
    const json::value* name = event.if_contains("event");
    if (name != nullptr && *name == json::value("progress") && client->output.queued() > limit) return;
    client->send(id, "event", event);
  };
  auto done = [weak, id](Reply reply) {
    const auto client = weak.lock();
    if (!client) return;
    client->calls.erase(id);
    client->send_reply(id, std::move(reply));
  };
  const CallId call = backend_.start(method, params, std::move(on_event), std::move(done));
  if (const auto found = client_->calls.find(id); found != client_->calls.end()) found->second = call;
}

}  // namespace dig::service
