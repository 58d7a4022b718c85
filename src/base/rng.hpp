// SPDX-License-Identifier: Apache-2.0
// Randomness as an argument. The shell passes crypto::SystemRng, tests and the simulator a SeededRng.
#pragma once

#include <array>

#include "base/bytes.hpp"

namespace dig {

class Rng {
 public:
  virtual ~Rng() = default;
  virtual void fill(MutableBytes out) = 0;

  [[nodiscard]] std::uint64_t u64();
  // Uniform in [0, bound); bound must not be 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
  template <std::size_t N>
  [[nodiscard]] std::array<std::byte, N> array() {
    std::array<std::byte, N> out;
    fill(out);
    return out;
  }
};

// Repeatable and NOT secret: for tests, the simulator and benchmarks only (xoshiro256**, seeded by splitmix64).
class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed) noexcept;
  void fill(MutableBytes out) override;

 private:
  std::uint64_t next() noexcept;
  std::array<std::uint64_t, 4> state_;
};

}  // namespace dig
