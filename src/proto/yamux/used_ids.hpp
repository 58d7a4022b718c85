// SPDX-License-Identifier: Apache-2.0
// Remembers in 128 bytes which stream ids the peer has used: the highest one and a window below it, because some peers
// send the first frames of concurrent opens out of order. Anything below the window counts as used.
#pragma once

#include <bitset>
#include <cstdint>

namespace dig::yamux {

class UsedIds {
 public:
  static constexpr std::uint32_t k_window = 1024;

  // `ordinal` is the stream id without its parity bit. False when it was used before (or is too old to know).
  [[nodiscard]] bool insert(std::uint32_t ordinal) noexcept {
    if (!any_ || ordinal > highest_) {
      const std::uint32_t step = any_ ? ordinal - highest_ : k_window;
      recent_ = step >= k_window ? std::bitset<k_window>{} : recent_ << step;
      recent_.set(0);
      highest_ = ordinal;
      any_ = true;
      return true;
    }
    const std::uint32_t age = highest_ - ordinal;
    if (age >= k_window || recent_.test(age)) return false;
    recent_.set(age);
    return true;
  }

 private:
  std::bitset<k_window> recent_;  // bit n: ordinal highest_ - n
  std::uint32_t highest_ = 0;
  bool any_ = false;
};

}  // namespace dig::yamux
