// SPDX-License-Identifier: Apache-2.0
#include "net/loop.hpp"

#include <mutex>

#include "net/asio.hpp"
#include "net/clock.hpp"

namespace dig::net {
namespace asio = boost::asio;

struct Poster::Gate {
  std::mutex mutex;
  asio::io_context* context = nullptr;  // null once the loop is gone
};

bool Poster::post(Task task) const {
  const std::lock_guard lock(gate_->mutex);
  if (gate_->context == nullptr) return false;
  asio::post(*gate_->context, std::move(task));
  return true;
}

struct Loop::Impl {
  // One thread runs the loop: the hint lets Asio skip some locking, but other threads may still post.
  asio::io_context context{1};
  // run() must not end because nothing waits just now: another thread may be about to post.
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
  std::shared_ptr<Poster::Gate> gate = std::make_shared<Poster::Gate>();
};

Loop::Loop() : impl_(std::make_unique<Impl>()) { impl_->gate->context = &impl_->context; }

Loop::~Loop() {
  const std::lock_guard lock(impl_->gate->mutex);
  impl_->gate->context = nullptr;
}

asio::io_context& Loop::context() noexcept { return impl_->context; }

void Loop::run() {
  impl_->context.restart();
  impl_->context.run();
}

void Loop::run_for(Duration limit) {
  impl_->context.restart();
  impl_->context.run_for(limit);
}

bool Loop::poll() {
  impl_->context.restart();
  return impl_->context.poll() > 0;
}

bool Loop::run_until(const std::function<bool()>& done, Duration limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  impl_->context.restart();
  while (!done()) {
    if (impl_->context.run_one_until(deadline) == 0) return done();
  }
  return true;
}

void Loop::stop() { impl_->context.stop(); }

void Loop::post(Task task) { asio::post(impl_->context, std::move(task)); }

Poster Loop::poster() const { return Poster(impl_->gate); }

struct Timer::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& context, Handler handler) : timer(context), on_expiry(std::move(handler)) {}

  void wait(Instant until) {
    deadline = until;
    timer.expires_at(std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(until.since_origin)));
    timer.async_wait([self = shared_from_this(), until](const boost::system::error_code& error) {
      if (error || self->deadline != until) return;
      self->deadline.reset();
      self->on_expiry(monotonic_now());
    });
  }

  asio::steady_timer timer;
  Handler on_expiry;
  std::optional<Instant> deadline;
};

Timer::Timer(Loop& loop, Handler on_expiry) : impl_(std::make_shared<Impl>(loop.context(), std::move(on_expiry))) {}

Timer::~Timer() { set(std::nullopt); }

void Timer::set(std::optional<Instant> deadline) {
  if (deadline == impl_->deadline) return;
  if (deadline) {
    impl_->wait(*deadline);
  } else {
    impl_->deadline.reset();
    impl_->timer.cancel();
  }
}

struct ReadableWatch::Impl {
  Impl(boost::asio::io_context& context, int fd, Task task) : waiter(context, fd), on_readable(std::move(task)) {}
  boost::asio::posix::stream_descriptor waiter;
  Task on_readable;
  bool is_cancelled = false;
};

ReadableWatch::ReadableWatch(Loop& loop, int fd, Task on_readable)
    : impl_(std::make_shared<Impl>(loop.context(), fd, std::move(on_readable))) {
  impl_->waiter.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                           [impl = impl_](const boost::system::error_code& error) {
                             if (!error && !impl->is_cancelled) impl->on_readable();
                           });
}
ReadableWatch::~ReadableWatch() {
  impl_->is_cancelled = true;
  impl_->waiter.release();  // the descriptor is the owner's
}

}  // namespace dig::net
