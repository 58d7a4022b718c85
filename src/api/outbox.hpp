// SPDX-License-Identifier: Apache-2.0
// The way from the node's threads to the application's: calls put in here run inside Node::process().
//
// Thread-safety: put() and waiting() from any thread; run() and handle() from the application's.
#pragma once

#include <deque>
#include <functional>
#include <mutex>

#include "net/unique_fd.hpp"

namespace dignet {

class Outbox {
 public:
  using Call = std::move_only_function<void()>;

  Outbox();

  // A descriptor that is readable while calls wait.
  [[nodiscard]] int handle() const noexcept { return wake_.value(); }
  void put(Call call);
  // How many calls wait; from any thread.
  [[nodiscard]] std::size_t waiting() const;
  // Runs the calls that wait now, not those they bring about; returns how many.
  std::size_t run();

 private:
  dig::net::UniqueFd wake_;
  mutable std::mutex mutex_;
  std::deque<Call> calls_;
};

}  // namespace dignet
