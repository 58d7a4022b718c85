// SPDX-License-Identifier: Apache-2.0
// Unsigned varints as multiformats define them: little-endian groups of seven bits, at most 9 bytes (63 bits), and only
// the shortest encoding of a value is valid.
#pragma once

#include <optional>

#include "base/byte_reader.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

inline constexpr std::size_t k_max_uvarint_size = 9;
inline constexpr std::uint64_t k_max_uvarint = (std::uint64_t{1} << 63) - 1;

// A varint found at the start of a buffer, and how many bytes it takes there.
struct Uvarint {
  std::uint64_t value = 0;
  std::size_t size = 0;
  friend bool operator==(const Uvarint&, const Uvarint&) = default;
};

// For streams: nothing while more bytes are needed; an error as soon as no continuation can make the bytes valid.
[[nodiscard]] Result<std::optional<Uvarint>> peek_uvarint(BytesView input);

// For whole messages: a varint that is cut short is an error.
[[nodiscard]] Result<std::uint64_t> read_uvarint(ByteReader& reader);

// `value` must not exceed k_max_uvarint.
void write_uvarint(Bytes& out, std::uint64_t value);

// The number of bytes write_uvarint appends.
[[nodiscard]] constexpr std::size_t uvarint_size(std::uint64_t value) noexcept {
  std::size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

}  // namespace dig
