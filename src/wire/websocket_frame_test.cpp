// SPDX-License-Identifier: Apache-2.0
#include "wire/websocket_frame.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "base/rng.hpp"

namespace dig {
namespace {

Bytes unhex(std::string_view hex) { return from_hex(hex).value(); }
WebsocketHeader::Decoded decoded(std::string_view hex) {
  const auto header = WebsocketHeader::decode(unhex(hex));
  EXPECT_TRUE(header && *header) << hex;
  return header && *header ? **header : WebsocketHeader::Decoded{};
}
std::string encoded(const WebsocketHeader& header) {
  std::array<std::byte, WebsocketHeader::max_size> out{};
  return to_hex(BytesView(out).first(header.encode(out)));
}

// The examples of RFC 6455 §5.7.
TEST(WebsocketFrame, ReadsAndWritesTheExamplesOfTheRfc) {
  struct Example {
    const char* header;
    WebsocketHeader meaning;
  };
  const Example examples[] = {
      {"8105", {.opcode = WebsocketOpcode::text, .payload_size = 5}},
      {"818537fa213d",
       {.opcode = WebsocketOpcode::text,
        .payload_size = 5,
        .mask = WebsocketMask{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}}}},
      {"0103", {.is_final = false, .opcode = WebsocketOpcode::text, .payload_size = 3}},
      {"8002", {.opcode = WebsocketOpcode::continuation, .payload_size = 2}},
      {"8905", {.opcode = WebsocketOpcode::ping, .payload_size = 5}},
      {"8a8537fa213d",
       {.opcode = WebsocketOpcode::pong,
        .payload_size = 5,
        .mask = WebsocketMask{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}}}},
      {"827e0100", {.opcode = WebsocketOpcode::binary, .payload_size = 256}},
      {"827f0000000000010000", {.opcode = WebsocketOpcode::binary, .payload_size = 65536}},
  };
  for (const Example& example : examples) {
    const auto read = decoded(example.header);
    EXPECT_EQ(read.header, example.meaning) << example.header;
    EXPECT_EQ(read.size, std::string_view(example.header).size() / 2);
    EXPECT_EQ(encoded(example.meaning), example.header);
  }
}

TEST(WebsocketFrame, MasksTheExampleOfTheRfc) {
  const WebsocketMask mask = decoded("818537fa213d").header.mask.value();
  Bytes text(5);
  apply_mask(mask, 0, unhex("7f9f4d5158"), text);
  EXPECT_EQ(as_text(text), "Hello");
}

TEST(WebsocketFrame, AMaskIsTakenOffInPiecesOfAnySize) {
  SeededRng rng(3);
  const auto mask = rng.array<4>();
  Bytes plain(1000);
  rng.fill(plain);
  Bytes masked(plain.size());
  for (std::size_t i = 0; i < plain.size(); ++i) masked[i] = plain[i] ^ mask[i % 4];
  for (int round = 0; round < 50; ++round) {
    Bytes out(plain.size());
    std::size_t at = 0;
    while (at < plain.size()) {
      const std::size_t size = std::min<std::size_t>(rng.below(40), plain.size() - at);
      apply_mask(mask, at, BytesView(masked).subspan(at, size), MutableBytes(out).subspan(at, size));
      at += size;
    }
    EXPECT_EQ(out, plain);
  }
}

TEST(WebsocketFrame, WaitsForTheWholeHeader) {
  for (const char* hex : {"8105", "818537fa213d", "82fe010037fa213d", "82ff000000000001000037fa213d"}) {
    const Bytes whole = unhex(hex);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto header = WebsocketHeader::decode(BytesView(whole).first(size));
      ASSERT_TRUE(header) << hex;
      EXPECT_FALSE(*header) << hex << " cut to " << size;
    }
    Bytes more = whole;
    more.resize(more.size() + 20);
    EXPECT_EQ(WebsocketHeader::decode(more).value().value().size, whole.size()) << "the payload is not looked at";
  }
}

TEST(WebsocketFrame, EveryLengthHasOneForm) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{125}, std::uint64_t{126}, std::uint64_t{0xFFFF},
                                   std::uint64_t{0x10000}, ~std::uint64_t{0} >> 1U}) {
    EXPECT_EQ(decoded(encoded({.payload_size = size})).header.payload_size, size);
  }
  for (const char* hex : {"827e0000", "827e007d", "827f000000000000ffff", "827f0000000000000005",
                          "827f8000000000000000", "827fffffffffffffffff"}) {
    EXPECT_FALSE(WebsocketHeader::decode(unhex(hex))) << hex;
  }
}

TEST(WebsocketFrame, RefusesWhatWasNotAgreedOn) {
  for (unsigned first = 0; first < 256; ++first) {
    const Bytes bytes{static_cast<std::byte>(first), std::byte{1}};
    const unsigned opcode = first & 0x0FU;
    const bool is_data = opcode <= 2;
    const bool is_control_frame = opcode >= 8 && opcode <= 10;
    const bool is_final = (first & 0x80U) != 0;
    const bool is_good = (first & 0x70U) == 0 && (is_data || (is_control_frame && is_final));
    EXPECT_EQ(WebsocketHeader::decode(bytes).has_value(), is_good) << first;
  }
}

TEST(WebsocketFrame, ControlFramesAreShort) {
  EXPECT_TRUE(WebsocketHeader::decode(unhex("897d")));
  EXPECT_FALSE(WebsocketHeader::decode(unhex("897e"))) << "refused before the length is there";
  EXPECT_FALSE(WebsocketHeader::decode(unhex("887f")));
  EXPECT_FALSE(WebsocketHeader::decode(unhex("8afe")));
}

}  // namespace
}  // namespace dig
