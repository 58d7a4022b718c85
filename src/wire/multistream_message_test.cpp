// SPDX-License-Identifier: Apache-2.0
#include "wire/multistream_message.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/base_encoding.hpp"
#include "base/frame_reader.hpp"

namespace dig {
namespace {

Errc error_of(std::string_view frame) {
  const auto line = decode_multistream_line(as_bytes(frame));
  EXPECT_FALSE(line);
  return line ? Errc::internal : line.error().code();
}

TEST(MultistreamMessage, HasTheBytesOfTheSpecification) {
  Bytes out;
  append_multistream_line(out, k_multistream_na);
  EXPECT_EQ(to_hex(out), "036e610a");
  out.clear();
  append_multistream_line(out, k_multistream_header);
  EXPECT_EQ(as_text(out), "\x13/multistream/1.0.0\n");
}

TEST(MultistreamMessage, ReadsBackThroughAFrameReader) {
  Bytes stream;
  append_multistream_line(stream, "/noise");
  append_multistream_line(stream, std::string(k_max_multistream_message - 1, 'x'));
  FrameReader reader(k_max_multistream_message);
  const std::size_t first = reader.feed(stream).value();
  EXPECT_EQ(decode_multistream_line(reader.take_frame().value()).value(), "/noise");
  EXPECT_EQ(first + reader.feed(BytesView(stream).subspan(first)).value(), stream.size());
  EXPECT_EQ(decode_multistream_line(reader.take_frame().value()).value(),
            std::string(k_max_multistream_message - 1, 'x'));
}

TEST(MultistreamMessage, RefusesWhatIsNotOneLine) {
  for (const std::string_view frame : {"", "\n", "/noise", "/noise\n\n", "/noise\r\n", "\n/noise\n", "a\nb\n",
                                       "/no\x1b[2Jise\n", "/n\xC0\xAFoise\n", "/\xE2\x80\xAEnoise\n"}) {
    EXPECT_EQ(error_of(frame), Errc::malformed) << frame;
  }
  EXPECT_EQ(error_of(std::string_view("/no\0ise\n", 8)), Errc::malformed);
  EXPECT_EQ(error_of(std::string(k_max_multistream_message, 'x') + "\n"), Errc::oversized);
}

TEST(MultistreamMessage, ListsProtocolsAsLinesWithinOneMessage) {
  Bytes out;
  append_multistream_list(out, std::vector<std::string>{"/a", "/bc"});
  EXPECT_EQ(as_text(out), "\x0A\x03/a\n\x04/bc\n\n");
  out.clear();
  append_multistream_list(out, {});
  EXPECT_EQ(as_text(out), "\x01\n");
}

}  // namespace
}  // namespace dig
