// SPDX-License-Identifier: Apache-2.0
// The one checked reader that every parser uses. A read past the end is an error value, never undefined behaviour.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

class ByteReader {
 public:
  explicit ByteReader(BytesView input) noexcept : rest_(input) {}

  [[nodiscard]] std::size_t remaining() const noexcept { return rest_.size(); }
  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
  [[nodiscard]] BytesView rest() const noexcept { return rest_; }

  // Big-endian unsigned integers (network byte order).
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
    Integer value = 0;
    for (const std::byte b : raw) value = static_cast<Integer>((value << 8) | std::to_integer<Integer>(b));
    return value;
  }

  BytesView rest_;
};

}  // namespace dig
