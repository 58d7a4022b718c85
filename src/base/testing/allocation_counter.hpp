// SPDX-License-Identifier: Apache-2.0
// Counts what a thread allocates, for promises like "no allocation per packet". It counts nothing unless one .cpp file
// of the program includes allocation_counter_operators.hpp.
#pragma once

#include <cstdint>

namespace dig::testing {

// Counts while it lives, on its own thread; one at a time.
class AllocationCounter {
 public:
  AllocationCounter() noexcept { current_ = this; }
  ~AllocationCounter() { current_ = nullptr; }
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

  static void note_allocation() noexcept {
    if (current_ != nullptr) ++current_->count_;
  }

 private:
  static inline thread_local AllocationCounter* current_ = nullptr;
  std::uint64_t count_ = 0;
};

}  // namespace dig::testing
