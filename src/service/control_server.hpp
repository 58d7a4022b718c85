// SPDX-License-Identifier: Apache-2.0
// Serves a Backend on the control socket of a home: one JSON object a line.
//   request  {"id":1,"method":"get","params":{…}}
//   event    {"id":1,"event":{…}}
//   end      {"id":1,"result":{…}} or {"id":1,"error":{"code","detail","hint",…}}
// {"id":2,"method":"cancel","params":{"id":1}} ends a call. When a client goes away, its calls are cancelled.
//
// Thread-safety: the thread of its EventLoop.
#pragma once

#include <filesystem>
#include <map>
#include <memory>

#include "base/result.hpp"
#include "service/backend.hpp"
#include "service/event_loop.hpp"
#include "service/line_channel.hpp"

namespace dig::service {

class ControlServer {
 public:
  struct Limits {
    std::size_t max_clients = 32;
    std::size_t max_calls_per_client = 16;
    std::size_t max_queued_progress = 64 * 1024;  // progress is left out while a client lags by more
    LineChannel::Limits channel;
  };

  // Call it while this process owns the home. Errors: permission_denied, io_failed.
  [[nodiscard]] static Result<std::unique_ptr<ControlServer>> create(EventLoop& loop, Backend& backend,
                                                                     const std::filesystem::path& home, Limits limits);
  [[nodiscard]] static Result<std::unique_ptr<ControlServer>> create(EventLoop& loop, Backend& backend,
                                                                     const std::filesystem::path& home) {
    return create(loop, backend, home, Limits{});
  }
  ~ControlServer();  // cancels what runs and removes the socket file
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Client;

  ControlServer(EventLoop& loop, Backend& backend, std::filesystem::path home, Limits limits, net::UniqueFd listener);
  void accept_clients();
  void handle_line(const std::shared_ptr<Client>& client, std::string_view line);
  void start_call(const std::shared_ptr<Client>& client, std::int64_t id, const std::string& method,
                  const json::object& params);
  void forget(int client);

  EventLoop& loop_;
  Backend& backend_;
  std::filesystem::path home_;
  Limits limits_;
  net::UniqueFd listener_;
  std::map<int, std::shared_ptr<Client>> clients_;
};

}  // namespace dig::service
