// SPDX-License-Identifier: Apache-2.0
#include "base/sip_hash.hpp"

#include <gtest/gtest.h>

namespace dig {
namespace {

constexpr SipKey k_paper_key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

Bytes rising(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i);
  return out;
}

// The example of the paper (appendix A) and the first vectors of its reference implementation.
TEST(SipHash, GivesTheValuesOfThePaper) {
  EXPECT_EQ(sip_hash(k_paper_key, rising(15)), 0xa129ca6149be45e5U);
  EXPECT_EQ(sip_hash(k_paper_key, {}), 0x726fdb47dd0e0e31U);
  EXPECT_EQ(sip_hash(k_paper_key, rising(1)), 0x74f839c593dc67fdU);
  EXPECT_EQ(sip_hash(k_paper_key, rising(8)), 0x93f5f5799a932462U);
}

TEST(SipHash, DependsOnBothHalvesOfTheKey) {
  const Bytes input = rising(32);
  EXPECT_NE(sip_hash({1, 2}, input), sip_hash({1, 3}, input));
  EXPECT_NE(sip_hash({1, 2}, input), sip_hash({0, 2}, input));
}

}  // namespace
}  // namespace dig
