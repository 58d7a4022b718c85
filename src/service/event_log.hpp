// SPDX-License-Identifier: Apache-2.0
// The log of a run: one line per event, `time level event key=value …`, to a function that writes it for people
// (stderr). Peers are named by their id; their network addresses appear from level debug on.
//
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "dignet/events.hpp"

namespace spdlog {
class logger;
}

namespace dig::service {

class EventLog {
 public:
  // `level` is one of k_log_levels.
  EventLog(std::string_view level, std::function<void(std::string_view line)> write);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void node_event(const dignet::NodeEvent& event);

 private:
  std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace dig::service
