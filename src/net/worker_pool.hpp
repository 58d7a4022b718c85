// SPDX-License-Identifier: Apache-2.0
// A fixed number of threads for what would hold up the loop: disk and hashing. Results come back on the loop.
//
// Thread-safety: run() and the destructor belong to the thread of the loop. The destructor drops what waits and joins
// what runs; results that have not come yet never come.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "net/loop.hpp"

namespace dig::net {

class WorkerPool {
 public:
  struct Limits {
    std::size_t threads = 2;
    std::size_t max_queued = 256;
  };
  struct Status {
    std::size_t queued = 0;
    std::size_t running = 0;
  };

  WorkerPool(Loop& loop, Limits limits);
  explicit WorkerPool(Loop& loop) : WorkerPool(loop, Limits()) {}
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Calls work() on a thread of the pool and then done(its result) on the loop. Jobs start in the order they were
  // given. False, and nothing is called, when max_queued jobs wait.
  template <class Work, class Done>
  [[nodiscard]] bool run(Work work, Done done) {
    return submit([work = std::move(work), done = std::move(done)]() mutable -> Task {
      if constexpr (std::is_void_v<std::invoke_result_t<Work&>>) {
        work();
        return std::move(done);
      } else {
        return [result = work(), done = std::move(done)]() mutable { done(std::move(result)); };
      }
    });
  }

  [[nodiscard]] Status snapshot() const;

 private:
  using Job = std::move_only_function<Task()>;
  [[nodiscard]] bool submit(Job job);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
