// SPDX-License-Identifier: Apache-2.0
#include "base/cidr.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace dig {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

TEST(Cidr, ContainsItsBlockAndNothingElse) {
  const struct {
    std::string_view block;
    std::string_view first, last, below, above;
  } blocks[] = {
      {"10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
      {"192.0.2.128/25", "192.0.2.128", "192.0.2.255", "192.0.2.127", "192.0.3.0"},
      {"192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.6", "192.0.2.8"},
      {"fd00::/8", "fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fcff::1", "fe00::"},
      {"2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff::", "2001:db7:ffff::", "2001:db8:8000::"},
  };
  for (const auto& block : blocks) {
    const auto parsed = Cidr::parse(block.block);
    ASSERT_TRUE(parsed) << block.block;
    EXPECT_TRUE(parsed->contains(ip(block.first)));
    EXPECT_TRUE(parsed->contains(ip(block.last)));
    EXPECT_FALSE(parsed->contains(ip(block.below)));
    EXPECT_FALSE(parsed->contains(ip(block.above)));
    EXPECT_EQ(Cidr::parse(parsed->to_string()), *parsed);
  }
  EXPECT_TRUE(Cidr::parse("0.0.0.0/0")->contains(ip("203.0.113.9")));
  EXPECT_FALSE(Cidr::parse("0.0.0.0/0")->contains(ip("::1")));
  EXPECT_FALSE(Cidr::parse("::/0")->contains(ip("127.0.0.1")));
}

TEST(Cidr, AgreesWithNumbersOnRandomBlocks) {
  SeededRng rng(7);
  for (int i = 0; i < 100'000; ++i) {
    const auto bits = static_cast<unsigned>(rng.below(33));
    const auto mask = bits == 0 ? 0U : ~0U << (32 - bits);
    const auto value = static_cast<std::uint32_t>(rng.u64());
    const std::uint32_t other = rng.below(2) == 0 ? static_cast<std::uint32_t>(rng.u64())
                                                  : value ^ (1U << static_cast<unsigned>(rng.below(32)));
    const auto address = [](std::uint32_t v) {
      return IpAddress::v4({static_cast<std::uint8_t>(v >> 24U), static_cast<std::uint8_t>(v >> 16U),
                            static_cast<std::uint8_t>(v >> 8U), static_cast<std::uint8_t>(v)});
    };
    const auto block = Cidr::parse(address(value & mask).to_string() + '/' + std::to_string(bits));
    ASSERT_TRUE(block);
    ASSERT_EQ(block->contains(address(other)), (other & mask) == (value & mask));
  }
}

TEST(Cidr, EverythingElseIsRefused) {
  for (const std::string_view bad : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.1/8",
                                     "10.0.0.0/8/8", "10/8", "::/129", "fd00::1/8", "host/8", "10.0.0.0 /8"}) {
    const auto block = Cidr::parse(bad);
    ASSERT_FALSE(block) << bad;
    EXPECT_EQ(block.error().code(), Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace dig
