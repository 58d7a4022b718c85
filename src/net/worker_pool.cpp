// SPDX-License-Identifier: Apache-2.0
#include "net/worker_pool.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace dig::net {

struct WorkerPool::Impl {
  Impl(Loop& loop, Limits with_limits) : limits(with_limits), poster(loop.poster()) {}

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [&] { return is_stopping || !jobs.empty(); });
      if (is_stopping) return;
      Job job = std::move(jobs.front());
      jobs.pop_front();
      ++running;
      lock.unlock();
      finish(job());
      job = nullptr;  // what it holds is destroyed outside the lock
      lock.lock();
      --running;
    }
  }

  // The result is handed over only while the pool lives: its owner may be gone after that.
  void finish(Task done) {
    poster.post([weak = std::weak_ptr(alive), done = std::move(done)]() mutable {
      if (!weak.expired()) done();
    });
  }

  const Limits limits;
  const Poster poster;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> jobs;
  std::size_t running = 0;
  bool is_stopping = false;
  std::shared_ptr<int> alive = std::make_shared<int>();  // reset and asked on the thread of the loop only
  std::vector<std::thread> threads;
};

WorkerPool::WorkerPool(Loop& loop, Limits limits) : impl_(std::make_unique<Impl>(loop, limits)) {
  for (std::size_t i = 0; i < limits.threads; ++i) impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
}

WorkerPool::~WorkerPool() {
  std::deque<Job> dropped;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->is_stopping = true;
    dropped.swap(impl_->jobs);
  }
  impl_->wake.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

bool WorkerPool::submit(Job job) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->jobs.size() >= impl_->limits.max_queued) return false;
    impl_->jobs.push_back(std::move(job));
  }
  impl_->wake.notify_one();
  return true;
}

WorkerPool::Status WorkerPool::snapshot() const {
  const std::lock_guard lock(impl_->mutex);
  return {.queued = impl_->jobs.size(), .running = impl_->running};
}

}  // namespace dig::net
