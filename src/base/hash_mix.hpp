// SPDX-License-Identifier: Apache-2.0
// Seeded hashes of addresses, for tables whose keys peers choose. Not cryptographic: the seed is what an attacker does
// not know, and a collision costs a shared budget or a longer chain, never safety.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/endpoint.hpp"

namespace dig {

// The finalizer of splitmix64: every bit of the input moves every bit of the output.
[[nodiscard]] constexpr std::uint64_t hash_mix(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

[[nodiscard]] inline std::uint64_t hash_of(const IpAddress& address, std::uint64_t seed) noexcept {
  std::uint64_t words[2];
  std::memcpy(words, address.octets().data(), sizeof words);
  const std::uint64_t rest = static_cast<std::uint64_t>(address.family()) << 32U | address.scope();
  return hash_mix(hash_mix(hash_mix(seed ^ words[0]) ^ words[1]) ^ rest);
}

[[nodiscard]] inline std::uint64_t hash_of(const Endpoint& endpoint, std::uint64_t seed) noexcept {
  return hash_mix(hash_of(endpoint.address, seed) ^ endpoint.port);
}

}  // namespace dig
