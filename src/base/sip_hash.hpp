// SPDX-License-Identifier: Apache-2.0
// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"): for tables and orders whose keys peers
// choose and whose hashes they may get to see. Without the key nobody can choose a place.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/rng.hpp"

namespace dig {

struct SipKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  [[nodiscard]] static SipKey random(Rng& rng) { return {rng.u64(), rng.u64()}; }
};

[[nodiscard]] std::uint64_t sip_hash(const SipKey& key, BytesView input) noexcept;

}  // namespace dig
