// SPDX-License-Identifier: Apache-2.0
// What the program has allocated, C libraries included: for tests that something does not grow or does not allocate.
#pragma once

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

extern "C" [[gnu::weak]] std::size_t __sanitizer_get_current_allocated_bytes();
extern "C" [[gnu::weak]] int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                                         std::size_t),
                                                                       void (*on_free)(const volatile void*));

namespace dig::crypto::testing {

// Bytes allocated and not freed.
[[nodiscard]] inline std::size_t heap_in_use() {
  if (&__sanitizer_get_current_allocated_bytes != nullptr) return __sanitizer_get_current_allocated_bytes();
  return mallinfo2().uordblks;
}

[[nodiscard]] inline bool can_count_allocations() { return &__sanitizer_install_malloc_and_free_hooks != nullptr; }

// Allocations since the first call.
[[nodiscard]] inline std::uint64_t allocations() {
  static std::atomic<std::uint64_t> count{0};
  static const int installed = __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, std::size_t) { count.fetch_add(1, std::memory_order_relaxed); },
      [](const volatile void*) {});
  return installed != 0 ? count.load(std::memory_order_relaxed) : 0;
}

}  // namespace dig::crypto::testing
