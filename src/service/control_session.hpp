// SPDX-License-Identifier: Apache-2.0
// One client of the control socket without the socket: its lines come in, lines for it go out.
//   request  {"id":1,"method":"get","params":{…}}
//   event    {"id":1,"event":{…}}
//   end      {"id":1,"result":{…}} or {"id":1,"error":{"code","detail","hint",…}}
// {"id":2,"method":"cancel","params":{"id":1}} ends a call. With the session its calls are cancelled.
//
// Thread-safety: the thread of its Backend.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "service/backend.hpp"

namespace dig::service {

class ControlSession {
 public:
  struct Limits {
    std::size_t max_calls = 16;
    std::size_t max_queued_progress = 64 * 1024;  // progress is left out while the client lags by more
  };
  // Neither may end the session.
  struct Output {
    std::move_only_function<void(std::string_view line)> send;
    std::move_only_function<std::size_t()> queued;  // bytes that wait for the client
  };

  ControlSession(Backend& backend, Limits limits, Output output);
  ~ControlSession();  // cancels what runs; nothing is sent any more
  ControlSession(const ControlSession&) = delete;
  ControlSession& operator=(const ControlSession&) = delete;

  void handle_line(std::string_view line);
  [[nodiscard]] std::size_t running_calls() const noexcept;

 private:
  struct Client;

  void handle_call(std::int64_t id, const std::string& method, const json::object& params);
  void cancel_call(std::int64_t id, const json::object& params);
  void start_call(std::int64_t id, const std::string& method, const json::object& params);

  Backend& backend_;
  Limits limits_;
  std::shared_ptr<Client> client_;  // the sinks of calls hold it weakly: they may outlive the session
};

}  // namespace dig::service
