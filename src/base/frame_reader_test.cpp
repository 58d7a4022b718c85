// SPDX-License-Identifier: Apache-2.0
#include "base/frame_reader.hpp"

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

Errc error_of(FrameReader& reader, const Bytes& input) {
  const auto fed = reader.feed(input);
  EXPECT_FALSE(fed);
  return fed ? Errc::internal : fed.error().code();
}

TEST(FrameReader, LeavesWhatFollowsTheMessage) {
  Bytes input;
  append_frame(input, as_bytes("one"));
  append_frame(input, as_bytes("two"));
  FrameReader reader(16);
  EXPECT_TRUE(reader.is_idle());
  ASSERT_EQ(reader.feed(input).value_or(0), 4U);
  EXPECT_TRUE(reader.has_frame());
  EXPECT_EQ(reader.feed(input).value_or(9), 0U) << "a waiting message blocks the next";
  EXPECT_EQ(as_text(reader.take_frame().value()), "one");
  EXPECT_TRUE(reader.is_idle());
  EXPECT_FALSE(reader.take_frame());
  ASSERT_EQ(reader.feed(BytesView(input).subspan(4)).value_or(0), 4U);
  EXPECT_EQ(as_text(reader.take_frame().value()), "two");
}

TEST(FrameReader, AcceptsSingleBytes) {
  Bytes input;
  append_frame(input, Bytes(300, std::byte{7}));
  FrameReader reader(300);
  for (std::size_t i = 0; i < input.size(); ++i) {
    EXPECT_FALSE(reader.has_frame());
    ASSERT_EQ(reader.feed(BytesView(input).subspan(i, 1)).value_or(0), 1U);
    EXPECT_FALSE(reader.is_idle());
  }
  EXPECT_EQ(reader.take_frame().value(), Bytes(300, std::byte{7}));
}

TEST(FrameReader, YieldsEmptyMessages) {
  FrameReader reader(0);
  ASSERT_EQ(reader.feed(bytes_of({0, 9})).value_or(0), 1U);
  EXPECT_TRUE(reader.take_frame().value().empty());
}

TEST(FrameReader, AcceptsTheLargestMessageAndRefusesOneMore) {
  Bytes largest;
  append_frame(largest, Bytes(200));
  FrameReader fits(200);
  EXPECT_EQ(fits.feed(largest).value_or(0), largest.size());
  EXPECT_TRUE(fits.has_frame());
  FrameReader small(199);
  EXPECT_EQ(error_of(small, largest), Errc::oversized);
}

TEST(FrameReader, RefusesAnOversizedLengthBeforeItsBytesArrive) {
  for (const std::uint64_t length :
       {std::uint64_t{1025}, std::uint64_t{1} << 31, (std::uint64_t{1} << 32) + 5, k_max_uvarint}) {
    Bytes prefix;
    write_uvarint(prefix, length);
    FrameReader reader(1024);
    EXPECT_EQ(error_of(reader, prefix), Errc::oversized) << length;
    EXPECT_LE(reader.buffered(), k_max_uvarint_size);
  }
}

TEST(FrameReader, RefusesBadPrefixesForGood) {
  FrameReader reader(1024);
  EXPECT_EQ(error_of(reader, bytes_of({0x81, 0x00})), Errc::malformed);
  EXPECT_EQ(error_of(reader, bytes_of({0x01, 0x00})), Errc::malformed) << "the stream cannot be trusted any more";
  FrameReader endless(1024);
  EXPECT_EQ(error_of(endless, Bytes(16, std::byte{0x80})), Errc::malformed);
}

TEST(FrameReader, HoldsNoMoreThanItReceived) {
  FrameReader reader(1 << 20);
  Bytes prefix;
  write_uvarint(prefix, 1 << 20);
  prefix.push_back(std::byte{1});
  ASSERT_TRUE(reader.feed(prefix));
  EXPECT_EQ(reader.buffered(), prefix.size());
}

TEST(FrameReader, GivesTheSameMessagesHoweverTheStreamIsCut) {
  SeededRng rng(7);
  for (int round = 0; round < 200; ++round) {
    Bytes stream;
    std::vector<Bytes> sent(rng.below(6));
    for (Bytes& message : sent) {
      message.resize(rng.below(400));
      rng.fill(message);
      append_frame(stream, message);
    }
    FrameReader reader(400);
    std::vector<Bytes> received;
    BytesView rest(stream);
    while (!rest.empty()) {
      const auto taken = reader.feed(rest.first(1 + rng.below(rest.size())));
      ASSERT_TRUE(taken);
      rest = rest.subspan(*taken);
      if (auto frame = reader.take_frame()) received.push_back(*std::move(frame));
    }
    EXPECT_EQ(received, sent);
    EXPECT_TRUE(reader.is_idle());
  }
}

}  // namespace
}  // namespace dig
