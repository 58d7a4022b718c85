// SPDX-License-Identifier: Apache-2.0
// What the targets share that read their input as a list of operations.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace dig::fuzz {

// A broken promise is a crash, whatever the build.
inline void require(bool holds) {
  if (!holds) __builtin_trap();
}

// Hands out the input from its beginning; zeros and nothing once it is used up.
struct Input {
  const std::uint8_t* data;
  std::size_t size;

  std::uint8_t byte() {
    if (size == 0) return 0;
    --size;
    return *data++;
  }
  BytesView take(std::size_t count) {
    const BytesView taken(reinterpret_cast<const std::byte*>(data), std::min(count, size));
    data += taken.size();
    size -= taken.size();
    return taken;
  }
};

}  // namespace dig::fuzz
