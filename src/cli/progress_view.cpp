// SPDX-License-Identifier: Apache-2.0
#include "cli/progress_view.hpp"

#include <utility>

#include "cli/format.hpp"
#include "cli/report.hpp"

namespace dig::cli {
namespace {

constexpr std::chrono::milliseconds k_redraw_interval{100};
constexpr std::chrono::milliseconds k_plain_interval{5000};

}  // namespace

ProgressView::ProgressView(Console& console, service::EventLoop& loop, std::string waiting)
    : console_(console),
      loop_(loop),
      is_terminal_(Console::is_terminal()),
      meter_(service::EventLoop::now(), std::move(waiting)) {
  // With --json a program reads along: no plain lines then. A terminal is a person either way.
  is_shown_ = !console.is_quiet() && (is_terminal_ || !console.is_json());
  if (!is_shown_) return;
  if (is_terminal_) draw();
  schedule();
}

ProgressView::~ProgressView() {
  if (timer_ != 0) loop_.cancel(timer_);
  if (is_terminal_) console_.status("");
}

void ProgressView::handle(const service::json::object& event) {
  const std::string name = text_of(event, "event");
  if (name == "path") {
    meter_.set_path(printable(text_of(event, "tier_name") + " " + text_of(event, "method")));
  } else if (name == "progress") {
    // What was here before makes no rate; an add has nothing of that kind.
    const std::uint64_t bytes = number_of(event, "bytes");
    const std::uint64_t fetched = event.contains("fetched_bytes") ? number_of(event, "fetched_bytes") : bytes;
    meter_.update(service::EventLoop::now(), bytes, number_of(event, "total"), fetched);
    // The first one at once: a short transfer is over before the next redraw.
    if (is_shown_ && is_terminal_ && !std::exchange(has_progress_, true)) draw();
  }
}

void ProgressView::schedule() {
  timer_ = loop_.call_after(is_terminal_ ? k_redraw_interval : k_plain_interval, [this] {
    draw();
    schedule();
  });
}

void ProgressView::draw() {
  const Instant now = service::EventLoop::now();
  if (is_terminal_) {
    console_.status(meter_.bar(now, Console::width() - 1));  // the last column would wrap on some terminals
  } else {
    console_.note(meter_.plain(now));
  }
}

}  // namespace dig::cli
