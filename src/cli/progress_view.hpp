// SPDX-License-Identifier: Apache-2.0
// Shows the progress of a call: a line that is redrawn on a terminal, a plain line now and then elsewhere.
#pragma once

#include "cli/console.hpp"
#include "cli/progress.hpp"
#include "service/backend.hpp"
#include "service/event_loop.hpp"

namespace dig::cli {

class ProgressView {
 public:
  // `waiting`: what is shown before there is any progress.
  ProgressView(Console& console, service::EventLoop& loop, std::string waiting = "connecting");
  ~ProgressView();  // removes the line
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  // Takes what it needs from the events of get and add.
  void handle(const service::json::object& event);

 private:
  void schedule();
  void draw();

  Console& console_;
  service::EventLoop& loop_;
  bool is_shown_ = false;
  bool is_terminal_ = false;
  bool has_progress_ = false;
  ProgressMeter meter_;
  service::EventLoop::TimerId timer_ = 0;
};

}  // namespace dig::cli
