// SPDX-License-Identifier: Apache-2.0
#include "wire/yamux_frame.hpp"

#include <gtest/gtest.h>

#include <array>

namespace dig {
namespace {

std::array<std::byte, YamuxHeader::size> raw(const std::array<int, YamuxHeader::size>& values) {
  std::array<std::byte, YamuxHeader::size> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(values[i]);
  return out;
}

TEST(YamuxFrame, EncodesFieldsBigEndian) {
  const YamuxHeader header{
      .type = YamuxType::window_update, .flags = k_yamux_syn | k_yamux_rst, .stream = 0x01020304, .length = 0xA0B0C0D0};
  std::array<std::byte, YamuxHeader::size> out{};
  header.encode(out);
  EXPECT_EQ(out, raw({0, 1, 0, 9, 1, 2, 3, 4, 0xA0, 0xB0, 0xC0, 0xD0}));
}

TEST(YamuxFrame, EveryTypeAndFlagRoundTrips) {
  for (std::uint8_t type = 0; type <= 3; ++type) {
    for (std::uint16_t flags = 0; flags < 16; ++flags) {
      const YamuxHeader header{
          .type = static_cast<YamuxType>(type), .flags = flags, .stream = 0xFFFFFFFF, .length = 0xFFFFFFFF};
      std::array<std::byte, YamuxHeader::size> out{};
      header.encode(out);
      const auto decoded = YamuxHeader::decode(out);
      ASSERT_TRUE(decoded);
      EXPECT_EQ(*decoded, header);
    }
  }
}

TEST(YamuxFrame, RefusesEveryPrefixAndTrailingBytes) {
  const Bytes bytes(YamuxHeader::size + 1);
  for (std::size_t size = 0; size < YamuxHeader::size; ++size) {
    EXPECT_EQ(YamuxHeader::decode(BytesView(bytes).first(size)).error().code(), Errc::truncated) << size;
  }
  EXPECT_TRUE(YamuxHeader::decode(BytesView(bytes).first(YamuxHeader::size)));
  EXPECT_EQ(YamuxHeader::decode(bytes).error().code(), Errc::malformed);
}

TEST(YamuxFrame, RefusesOtherVersionsTypesAndFlags) {
  for (int value = 1; value < 256; ++value) {
    EXPECT_FALSE(YamuxHeader::decode(raw({value, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}))) << "version " << value;
    EXPECT_FALSE(YamuxHeader::decode(raw({0, 0, value, 0, 0, 0, 0, 1, 0, 0, 0, 0}))) << "high flags " << value;
    if (value > 3) {
      EXPECT_FALSE(YamuxHeader::decode(raw({0, value, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}))) << "type " << value;
    }
    if (value > 15) {
      EXPECT_FALSE(YamuxHeader::decode(raw({0, 0, 0, value, 0, 0, 0, 1, 0, 0, 0, 0}))) << "flags " << value;
    }
  }
}

}  // namespace
}  // namespace dig
