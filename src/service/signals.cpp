// SPDX-License-Identifier: Apache-2.0
#include "service/signals.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>

#include "dignet/error.hpp"

namespace dig::service {
namespace {

// A signal handler can reach nothing but globals; these two are all it uses.
std::atomic<int> signal_fd{-1};
std::atomic<int> signal_count{0};
static_assert(std::atomic<int>::is_always_lock_free, "used inside a signal handler");

extern "C" void handle_stop_signal(int) {
  if (signal_count.fetch_add(1) > 0) ::_exit(static_cast<int>(ErrorKind::interrupted));
  const std::uint64_t one = 1;
  // An eventfd write of 1 cannot block or fail here; there is nothing to do about it in a handler either.
  [[maybe_unused]] const auto written = ::write(signal_fd.load(), &one, sizeof one);
}

}  // namespace

void Signals::install() {
  if (signal_fd.load() >= 0) return;
  signal_fd.store(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  struct sigaction action{};
  action.sa_handler = handle_stop_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int Signals::fd() { return signal_fd.load(); }
bool Signals::stop_requested() { return signal_count.load() > 0; }

}  // namespace dig::service
