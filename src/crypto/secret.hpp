// SPDX-License-Identifier: Apache-2.0
// Key material: never copied, wiped when destroyed or moved from, compared in constant time, never printed.
#pragma once

#include <array>

#include "base/bytes.hpp"

namespace dig::crypto {

// Overwrites with zeros in a way that the compiler keeps.
void wipe(MutableBytes bytes) noexcept;

// Takes the same time wherever the inputs differ. Sizes are not secret: different sizes are unequal at once.
[[nodiscard]] bool secure_equal(BytesView a, BytesView b) noexcept;

template <std::size_t N>
class Secret {
 public:
  static constexpr std::size_t size = N;

  Secret() = default;  // zeros
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      wipe(other.bytes_);
    }
    return *this;
  }
  ~Secret() { wipe(bytes_); }

  [[nodiscard]] std::span<const std::byte, N> view() const noexcept { return bytes_; }
  [[nodiscard]] std::span<std::byte, N> mutable_view() noexcept { return bytes_; }

 private:
  std::array<std::byte, N> bytes_{};
};

}  // namespace dig::crypto
