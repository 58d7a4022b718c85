// SPDX-License-Identifier: Apache-2.0
// How many bytes the program has allocated and not freed, C libraries included: for tests that something does not grow.
#pragma once

#include <malloc.h>

#include <cstddef>

extern "C" [[gnu::weak]] std::size_t __sanitizer_get_current_allocated_bytes();

namespace dig::crypto::testing {

[[nodiscard]] inline std::size_t heap_in_use() {
  if (&__sanitizer_get_current_allocated_bytes != nullptr) return __sanitizer_get_current_allocated_bytes();
  return mallinfo2().uordblks;
}

}  // namespace dig::crypto::testing
