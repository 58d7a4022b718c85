// SPDX-License-Identifier: Apache-2.0
// The node of another process, over the control socket of the home that it owns.
#pragma once

#include <filesystem>
#include <map>
#include <memory>

#include "base/result.hpp"
#include "service/backend.hpp"
#include "service/event_loop.hpp"
#include "service/line_channel.hpp"

namespace dig::service {

class RemoteBackend final : public Backend {
 public:
  // Errors: not_running (also: a stale socket), permission_denied, control_failed.
  [[nodiscard]] static Result<std::unique_ptr<RemoteBackend>> connect(EventLoop& loop,
                                                                      const std::filesystem::path& home);

  CallId start(const std::string& method, const json::object& params, EventSink on_event, ReplySink done) override;
  void cancel(CallId call) override;

 private:
  struct Call {
    EventSink on_event;
    ReplySink done;
  };

  RemoteBackend(EventLoop& loop, net::UniqueFd socket);
  void handle_line(std::string_view line);
  void fail_all();

  std::map<CallId, std::shared_ptr<Call>> calls_;
  CallId next_call_ = 1;
  bool is_closed_ = false;
  std::unique_ptr<LineChannel> channel_;
};

}  // namespace dig::service
