// SPDX-License-Identifier: Apache-2.0
#include "api/outbox.hpp"

#include <sys/eventfd.h>

#include <cstdint>
#include <utility>

namespace dignet {

Outbox::Outbox() : wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

void Outbox::put(Call call) {
  const std::lock_guard lock(mutex_);
  calls_.push_back(std::move(call));
  const std::uint64_t one = 1;
  if (calls_.size() == 1) (void)!::write(wake_.value(), &one, sizeof one);
}

std::size_t Outbox::waiting() const {
  const std::lock_guard lock(mutex_);
  return calls_.size();
}

std::size_t Outbox::run() {
  std::deque<Call> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(calls_);
    std::uint64_t count = 0;
    (void)!::read(wake_.value(), &count, sizeof count);
  }
  for (Call& call : calls) call();
  return calls.size();
}

}  // namespace dignet
