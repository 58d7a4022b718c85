// SPDX-License-Identifier: Apache-2.0
// Serves a Backend on the control socket of a home: a ControlSession for each client, one JSON object a line. When a
// client goes away, its calls are cancelled.
//
// Thread-safety: the thread of its EventLoop.
#pragma once

#include <filesystem>
#include <map>
#include <memory>

#include "base/result.hpp"
#include "service/backend.hpp"
#include "service/control_session.hpp"
#include "service/event_loop.hpp"
#include "service/line_channel.hpp"

namespace dig::service {

class ControlServer {
 public:
  struct Limits {
    std::size_t max_clients = 32;
    ControlSession::Limits session;
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

  EventLoop& loop_;
  Backend& backend_;
  std::filesystem::path home_;
  Limits limits_;
  net::UniqueFd listener_;
  std::map<int, std::shared_ptr<Client>> clients_;
};

}  // namespace dig::service
