// SPDX-License-Identifier: Apache-2.0
// The sequence numbers of what a node signs about itself: Unix milliseconds at signing. The limit keeps arithmetic on
// them far from an overflow, also in the signed integers of databases.
#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace dig {

inline constexpr std::uint64_t k_max_sequence = std::uint64_t{1} << 53;

[[nodiscard]] inline Result<std::uint64_t> checked_sequence(std::uint64_t sequence) {
  if (sequence == 0 || sequence > k_max_sequence) return fail(Errc::malformed, "an impossible sequence number");
  return sequence;
}

}  // namespace dig
