// SPDX-License-Identifier: Apache-2.0
#include "base/sip_hash.hpp"

#include <bit>

namespace dig {
namespace {

// The paper's numbers: two rounds for each word, four at the end.
constexpr int k_rounds_per_word = 2;
constexpr int k_last_rounds = 4;

struct State {
  std::uint64_t v0, v1, v2, v3;

  void mix(int rounds) noexcept {
    for (int i = 0; i < rounds; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
  void add(std::uint64_t word) noexcept {
    v3 ^= word;
    mix(k_rounds_per_word);
    v0 ^= word;
  }
};

std::uint64_t little_endian(BytesView bytes) noexcept {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) word |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return word;
}

}  // namespace

std::uint64_t sip_hash(const SipKey& key, BytesView input) noexcept {
  State state{key.low ^ 0x736f6d6570736575U, key.high ^ 0x646f72616e646f6dU, key.low ^ 0x6c7967656e657261U,
              key.high ^ 0x7465646279746573U};
  const std::uint64_t size = input.size();
  for (; input.size() >= 8; input = input.subspan(8)) state.add(little_endian(input.first(8)));
  state.add(size << 56U | little_endian(input));
  state.v2 ^= 0xff;
  state.mix(k_last_rounds);
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace dig
