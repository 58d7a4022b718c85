// SPDX-License-Identifier: Apache-2.0
#include "base/uvarint.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

#include "base/rng.hpp"

namespace dig {
namespace {

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

Errc error_of(const Bytes& input) {
  ByteReader reader(input);
  const auto read = read_uvarint(reader);
  EXPECT_FALSE(read);
  EXPECT_EQ(reader.remaining(), input.size()) << "a failed read must not consume";
  return read ? Errc::internal : read.error().code();
}

TEST(Uvarint, EncodesTheExamplesOfTheSpecification) {
  const struct {
    std::uint64_t value;
    Bytes encoded;
  } cases[] = {{0, bytes_of({0})},
               {1, bytes_of({1})},
               {127, bytes_of({0x7F})},
               {128, bytes_of({0x80, 0x01})},
               {255, bytes_of({0xFF, 0x01})},
               {300, bytes_of({0xAC, 0x02})},
               {16384, bytes_of({0x80, 0x80, 0x01})}};
  for (const auto& [value, encoded] : cases) {
    Bytes out;
    write_uvarint(out, value);
    EXPECT_EQ(out, encoded) << value;
    ByteReader reader(encoded);
    EXPECT_EQ(read_uvarint(reader).value_or(~0U), value);
  }
}

TEST(Uvarint, RoundTripsAroundEveryPowerOfTwo) {
  for (int bit = 0; bit < 63; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    for (const std::uint64_t value : {power - 1, power, power + 1}) {
      Bytes out;
      write_uvarint(out, value);
      EXPECT_EQ(out.size(), uvarint_size(value));
      out.push_back(std::byte{0x55});  // what follows is left alone
      ByteReader reader(out);
      EXPECT_EQ(read_uvarint(reader).value_or(~0ULL), value);
      EXPECT_EQ(reader.remaining(), 1U);
    }
  }
}

TEST(Uvarint, TakesNineBytesAndNotTen) {
  Bytes nine(8, std::byte{0xFF});
  nine.push_back(std::byte{0x7F});
  ByteReader reader(nine);
  EXPECT_EQ(read_uvarint(reader).value_or(0), k_max_uvarint);

  Bytes ten(9, std::byte{0x80});  // 2^63
  ten.push_back(std::byte{0x01});
  EXPECT_EQ(error_of(ten), Errc::malformed);
  EXPECT_EQ(error_of(Bytes(10, std::byte{0xFF})), Errc::malformed);
}

TEST(Uvarint, RefusesEncodingsThatAreNotTheShortest) {
  EXPECT_EQ(error_of(bytes_of({0x80, 0x00})), Errc::malformed);
  EXPECT_EQ(error_of(bytes_of({0x81, 0x00})), Errc::malformed);
  EXPECT_EQ(error_of(bytes_of({0xFF, 0x80, 0x00})), Errc::malformed);
}

TEST(Uvarint, EveryPrefixIsTruncatedForReadersAndUndecidedForStreams) {
  Bytes encoded;
  write_uvarint(encoded, k_max_uvarint);
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    const Bytes prefix(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(error_of(prefix), Errc::truncated);
    const auto peeked = peek_uvarint(prefix);
    ASSERT_TRUE(peeked);
    EXPECT_FALSE(peeked->has_value());
  }
  EXPECT_EQ(peek_uvarint(encoded)->value(), (Uvarint{k_max_uvarint, 9}));
}

TEST(Uvarint, RandomBytesNeverReadAsTwoDifferentValues) {
  SeededRng rng(1);
  for (int i = 0; i < 20000; ++i) {
    Bytes input(rng.below(12));
    rng.fill(input);
    ByteReader reader(input);
    const auto value = read_uvarint(reader);
    if (!value) continue;
    Bytes again;
    write_uvarint(again, *value);
    EXPECT_TRUE(equal(again, BytesView(input).first(again.size())));
  }
}

}  // namespace
}  // namespace dig
