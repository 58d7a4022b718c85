// SPDX-License-Identifier: Apache-2.0
// The one checked reader that every parser uses. A read past the end is an error value, never undefined behaviour.
#pragma once

#include <bit>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

template <std::endian order>
class BasicByteReader {
 public:
  explicit BasicByteReader(BytesView input) noexcept : rest_(input) {}

  [[nodiscard]] std::size_t remaining() const noexcept { return rest_.size(); }
  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
  [[nodiscard]] BytesView rest() const noexcept { return rest_; }

  [[nodiscard]] Result<std::uint8_t> u8() { return read_integer<std::uint8_t>(); }
  [[nodiscard]] Result<std::uint16_t> u16() { return read_integer<std::uint16_t>(); }
  [[nodiscard]] Result<std::uint32_t> u32() { return read_integer<std::uint32_t>(); }
  [[nodiscard]] Result<std::uint64_t> u64() { return read_integer<std::uint64_t>(); }

  // A view into the input; valid as long as the input is.
  [[nodiscard]] Result<BytesView> bytes(std::size_t size) {
    if (size > rest_.size()) return fail(Errc::truncated);
    const BytesView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  [[nodiscard]] Result<void> skip(std::size_t size) {
    DIG_CHECK(bytes(size));
    return {};
  }
  // An error unless everything was read: trailing bytes are never ignored silently.
  [[nodiscard]] Result<void> expect_end() const {
    if (!rest_.empty()) return fail(Errc::malformed, "trailing bytes");
    return {};
  }

 private:
  template <class Integer>
  Result<Integer> read_integer() {
    DIG_TRY(const BytesView raw, bytes(sizeof(Integer)));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const std::byte next = order == std::endian::big ? raw[i] : raw[raw.size() - 1 - i];
      value = (value << 8) | std::to_integer<std::uint64_t>(next);
    }
    return static_cast<Integer>(value);
  }

  BytesView rest_;
};

using ByteReader = BasicByteReader<std::endian::big>;  // network byte order
using ByteReaderLittle = BasicByteReader<std::endian::little>;

}  // namespace dig
