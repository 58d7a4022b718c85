// SPDX-License-Identifier: Apache-2.0
#include "service/remote_backend.hpp"

#include "service/control_socket.hpp"
#include "service/json_forms.hpp"
#include "service/json_text.hpp"

namespace dig::service {
namespace {

// Replies of a node can be long (a list of all stores); requests to it are short.
constexpr LineChannel::Limits k_limits{.max_line = 64 * 1024 * 1024, .max_queued = 1024 * 1024};
constexpr std::size_t k_max_request = 64 * 1024;

Error lost() { return Error(Errc::control_failed, "the connection to the running node was lost"); }

}  // namespace

Result<std::unique_ptr<RemoteBackend>> RemoteBackend::connect(EventLoop& loop, const std::filesystem::path& home) {
  DIG_TRY(net::UniqueFd socket, connect_control_socket(home));
  if (!is_trusted_peer(socket.value()))
    return fail(Errc::permission_denied, "the running node belongs to another user");
  return std::unique_ptr<RemoteBackend>(new RemoteBackend(loop, std::move(socket)));
}

RemoteBackend::RemoteBackend(EventLoop& loop, net::UniqueFd socket)
    : channel_(std::make_unique<LineChannel>(
          loop, std::move(socket), k_limits,
          LineChannel::Callbacks{.on_line = [this](std::string_view line) { handle_line(line); },
                                 .on_closed = [this] { fail_all(); }})) {}

CallId RemoteBackend::start(const std::string& method, const json::object& params, EventSink on_event, ReplySink done) {
  const CallId id = next_call_++;
  const std::string line = to_line(json::object{{"id", id}, {"method", method}, {"params", params}});
  if (is_closed_) {
    done(error_reply(lost()));
  } else if (line.size() > k_max_request) {
    done(error_reply(Error(Errc::invalid_argument, "the arguments are too long")));
  } else {
    calls_.emplace(id, std::make_shared<Call>(Call{.on_event = std::move(on_event), .done = std::move(done)}));
    channel_->send(line);
  }
  return id;
}

void RemoteBackend::cancel(CallId call) {
  if (!calls_.contains(call)) return;
  const CallId id = next_call_++;
  channel_->send(to_line(json::object{{"id", id}, {"method", "cancel"}, {"params", json::object{{"id", call}}}}));
}

void RemoteBackend::handle_line(std::string_view line) {
  Result<json::object> message = parse_line(line);
  if (!message) return fail_all();
  const json::value* id = message->if_contains("id");
  if (id == nullptr || !id->is_int64()) return fail_all();
  const auto found = calls_.find(static_cast<CallId>(id->get_int64()));
  if (found == calls_.end()) return;  // the answer to a cancel
  const std::shared_ptr<Call> call = found->second;
  if (const json::value* event = message->if_contains("event"); event != nullptr && event->is_object()) {
    return call->on_event(event->get_object());
  }
  calls_.erase(found);
  json::value* result = message->if_contains("result");
  json::value* error = message->if_contains("error");
  if (result != nullptr && result->is_object()) {
    call->done({.ok = true, .body = std::move(result->get_object())});
  } else if (error != nullptr && error->is_object()) {
    call->done({.ok = false, .body = std::move(error->get_object())});
  } else {
    call->done(error_reply(Error(Errc::control_failed, "an answer without a result")));
  }
}

void RemoteBackend::fail_all() {
  is_closed_ = true;
  const auto calls = std::move(calls_);
  calls_.clear();
  for (const auto& [id, call] : calls) call->done(error_reply(lost()));
}

}  // namespace dig::service
