// SPDX-License-Identifier: Apache-2.0
#include "base/byte_reader.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "base/byte_writer.hpp"

namespace dig {
namespace {

TEST(ByteReader, ReadsBackWhatAByteWriterWrote) {
  Bytes out;
  ByteWriter writer(out);
  writer.u8(0xFE);
  writer.u16(0xFEDC);
  writer.u32(0xFEDCBA98);
  writer.u64(0xFEDCBA9876543210);
  writer.text("abc");
  writer.bytes(Bytes(2, std::byte{1}));
  EXPECT_EQ(to_hex(out),
            "fe"
            "fedc"
            "fedcba98"
            "fedcba9876543210"
            "616263"
            "0101");  // network byte order

  ByteReader reader(out);
  EXPECT_EQ(reader.u8().value(), 0xFE);
  EXPECT_EQ(reader.u16().value(), 0xFEDC);
  EXPECT_EQ(reader.u32().value(), 0xFEDCBA98);
  EXPECT_EQ(reader.u64().value(), 0xFEDCBA9876543210);
  EXPECT_EQ(as_text(reader.bytes(3).value()), "abc");
  EXPECT_FALSE(reader.expect_end());
  EXPECT_TRUE(reader.skip(2));
  EXPECT_TRUE(reader.expect_end());
}

TEST(ByteReader, LittleEndianNumbersStartWithTheirLastByte) {
  const auto bytes = from_hex("fedcfe98badcfe1032547698badcfe").value();
  ByteReaderLittle reader(bytes);
  EXPECT_EQ(reader.u8().value(), 0xFE);
  EXPECT_EQ(reader.u16().value(), 0xFEDC);
  EXPECT_EQ(reader.u32().value(), 0xFEDCBA98);
  EXPECT_EQ(reader.u64().value(), 0xFEDCBA9876543210);
  EXPECT_FALSE(reader.u8());
}

TEST(ByteReader, NeverReadsPastTheEnd) {
  const Bytes input(7);
  for (std::size_t size = 0; size <= input.size(); ++size) {
    ByteReader reader(BytesView(input).first(size));
    EXPECT_EQ(reader.u64().error().code(), Errc::truncated);
    EXPECT_EQ(reader.remaining(), size) << "a failed read takes nothing";
    EXPECT_EQ(reader.bytes(size + 1).error().code(), Errc::truncated);
    EXPECT_EQ(reader.skip(~std::size_t{0}).error().code(), Errc::truncated);
    EXPECT_EQ(reader.u32().has_value(), size >= 4);
  }
}

TEST(ByteReader, TakesEmptySlicesAtTheEnd) {
  ByteReader reader(BytesView{});
  EXPECT_TRUE(reader.empty());
  EXPECT_TRUE(reader.bytes(0).value().empty());
  EXPECT_TRUE(reader.expect_end());
}

TEST(Bytes, ComparesByContentAndTakesEmptyViews) {
  EXPECT_TRUE(equal({}, {}));
  EXPECT_TRUE(equal(as_bytes("ab"), as_bytes("ab")));
  EXPECT_FALSE(equal(as_bytes("ab"), as_bytes("abc")));
  EXPECT_FALSE(equal(as_bytes("ab"), as_bytes("ac")));
}

}  // namespace
}  // namespace dig
