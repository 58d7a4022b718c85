// SPDX-License-Identifier: Apache-2.0
#include "wire/stun_framer.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "wire/stun_message.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::stun {
namespace {

Bytes bytes_of(std::string_view hex) { return from_hex(hex).value(); }
const std::string k_binding = "000100002112a442000102030405060708090a0b";

// The frames of `stream`, handed in by pieces of `step` bytes; an error ends the list as "error NAME".
std::vector<std::string> frames(BytesView stream, std::size_t step, std::size_t max_size = Framer::max_frame) {
  Framer framer(max_size);
  std::vector<std::string> found;
  while (!stream.empty()) {
    const std::size_t size = std::min(step, stream.size());
    const Bytes copy = to_bytes(stream.first(size));  // so that a view into an earlier piece would be found
    BytesView piece = copy;
    stream = stream.subspan(size);
    for (;;) {
      const auto frame = framer.next(piece);
      if (!frame) {
        found.push_back("error " + std::string(frame.error().info().name));
        return found;
      }
      if (!*frame) break;
      found.push_back(to_hex(**frame));
    }
    EXPECT_TRUE(piece.empty());
  }
  if (!framer.is_idle()) found.push_back("partial");
  return found;
}
using Frames = std::vector<std::string>;

TEST(StunFramer, FindsTheSameFramesInAnySegmentation) {
  const std::string data5 = "400000056162636465";
  const Bytes stream = bytes_of(k_binding + data5 + "000000" + k_binding + "4fff0000" + "4001000461626364");
  const Frames expected{k_binding, data5, k_binding, "4fff0000", "4001000461626364"};
  for (std::size_t step = 1; step <= stream.size(); ++step) EXPECT_EQ(frames(stream, step), expected) << step;
}

TEST(StunFramer, HoldsWhatIsNotWholeYet) {
  const Bytes stream = bytes_of(k_binding);
  for (std::size_t size = 1; size < stream.size(); ++size) {
    EXPECT_EQ(frames(BytesView(stream).first(size), size), Frames{"partial"}) << size;
  }
  const Bytes unpadded = bytes_of("400000056162636465");
  EXPECT_EQ(frames(unpadded, 3), Frames{"partial"});
}

TEST(StunFramer, TakesTheLargestChannelDataWithoutOverflow) {
  // A length of 65535 and its header do not fit in 16 bits: a server once read the rest as messages of their own.
  Bytes stream = bytes_of("4000ffff");
  stream.resize(4 + 65536, std::byte{0x11});
  append(stream, bytes_of(k_binding));
  for (const std::size_t step : {std::size_t{1400}, std::size_t{65536}, stream.size()}) {
    const Frames found = frames(stream, step);
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].size(), 2 * (4 + 65535u));
    EXPECT_EQ(found[1], k_binding);
  }
}

TEST(StunFramer, WhatIsNeitherIsRefusedAtItsFourthByte) {
  for (const std::string_view bad : {"80000000", "c0000000", "00010001", "00010002"}) {
    EXPECT_EQ(frames(bytes_of(bad), 4), Frames{"error malformed"}) << bad;
    EXPECT_EQ(frames(bytes_of(bad), 1), Frames{"error malformed"}) << bad;
  }
  EXPECT_EQ(frames(as_bytes("\x16\x03\x01\x02"), 64), Frames{"error malformed"});
}

TEST(StunFramer, LargerThanAllowedIsRefusedBeforeItIsCollected) {
  EXPECT_EQ(frames(bytes_of("40000400"), 4, 1024), Frames{"error oversized"});
  EXPECT_EQ(frames(bytes_of("00010400"), 4, 1024), Frames{"error oversized"});
  EXPECT_EQ(frames(bytes_of("400003fc"), 4, 1024), Frames{"partial"});
}

TEST(TurnChannelData, EveryBoundOfADatagram) {
  using turn::decode_channel_data;
  const Bytes datagram = bytes_of("4001000361626300");
  const auto plain = decode_channel_data(datagram);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->channel, 0x4001);
  EXPECT_EQ(as_text(plain->data), "abc");
  EXPECT_TRUE(decode_channel_data(bytes_of("40010003616263")));
  EXPECT_TRUE(decode_channel_data(bytes_of("40010000")));
  EXPECT_TRUE(decode_channel_data(bytes_of("40010003616263000000")));     // three bytes behind the data
  EXPECT_FALSE(decode_channel_data(bytes_of("4001000361626300000000")));  // four
  for (const std::string_view bad : {"", "40", "4001", "400100", "400100046162", "3fff0000", "80000000", "ffff0000"}) {
    EXPECT_FALSE(decode_channel_data(bytes_of(bad))) << bad;
  }
  std::array<std::byte, 4> header{};
  turn::encode_channel_header(0x4FFF, 65535, header);
  EXPECT_EQ(to_hex(header), "4fffffff");
  for (std::size_t size = 0; size < 9; ++size) EXPECT_EQ((size + turn::channel_padding(size)) % 4, 0u);
}

}  // namespace
}  // namespace dig::stun
