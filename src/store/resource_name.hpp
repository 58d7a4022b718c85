// SPDX-License-Identifier: Apache-2.0
// The rules for names inside a store. They are the same for a URN's resource key and for an archive's entry, and they
// are strict enough that a store made on one system can be read on every other.
//
// A name is valid UTF-8 of at most 4096 bytes: segments of 1 to 255 bytes joined by '/', at most 256 of them. Refused:
// "." and "..", a leading '/', '\\' and ':', control, bidirectional and invisible characters, a segment that ends in
// '.' or ' ', the device names of Windows (CON, NUL, COM1, … with any extension) and ".git".
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace dig::store {

struct ResourceNameLimits {
  static constexpr std::size_t name_bytes = 4096;
  static constexpr std::size_t segment_bytes = 255;
  static constexpr std::size_t segments = 256;
};

// An error (malformed or oversized) whose detail says which rule the name breaks.
[[nodiscard]] Result<void> check_resource_name(std::string_view name);

// Two names with the same key cannot live in one folder on every system: they differ only in case or in Unicode
// normalisation form.
[[nodiscard]] std::string collision_key(std::string_view name);

}  // namespace dig::store
