// SPDX-License-Identifier: Apache-2.0
#include "proto/one_port/plain_stream.hpp"

#include <gtest/gtest.h>

namespace dig::one_port {
namespace {

constexpr Instant k_now{1000s};
constexpr PlainStream::Limits k_limits{.max_input = 10, .max_input_excess = 5, .max_output = 10};

template <class Wanted>
bool tells(PlainStream& stream) {
  const auto event = stream.poll_event();
  return event && std::holds_alternative<Wanted>(*event);
}
std::string read(PlainStream& stream, std::size_t size) {
  Bytes buffer(size);
  const auto got = stream.read(buffer);
  return got ? std::string(as_text(BytesView(buffer).first(got->size))) + (got->is_end ? "<end>" : "") : "<error>";
}

TEST(PlainStream, BoundsWhatIsNotRead) {
  PlainStream stream(k_limits);
  stream.handle_bytes(k_now, as_bytes("123456789"));
  EXPECT_TRUE(stream.wants_bytes());
  stream.handle_bytes(k_now, as_bytes("0"));
  EXPECT_FALSE(stream.wants_bytes());
  stream.handle_bytes(k_now, as_bytes("abcde"));
  EXPECT_TRUE(tells<Readable>(stream));
  EXPECT_FALSE(stream.poll_event());
  EXPECT_EQ(read(stream, 6), "123456");
  EXPECT_TRUE(stream.wants_bytes());
  stream.handle_bytes(k_now, as_bytes("fghijk"));
  stream.handle_bytes(k_now, as_bytes("l"));
  EXPECT_TRUE(tells<Closed>(stream));
  EXPECT_EQ(read(stream, 100), "7890abcdefghijk") << "what came before";
  EXPECT_EQ(read(stream, 100), "<error>");
}

TEST(PlainStream, SaysReadableAgainOnceEverythingWasRead) {
  PlainStream stream(k_limits);
  stream.handle_bytes(k_now, as_bytes("12"));
  EXPECT_TRUE(tells<Readable>(stream));
  EXPECT_EQ(read(stream, 2), "12");
  stream.handle_bytes(k_now, as_bytes("3"));
  EXPECT_FALSE(stream.poll_event()) << "read() has not come to the end";
  EXPECT_EQ(read(stream, 2), "3");
  stream.handle_bytes(k_now, as_bytes("4"));
  EXPECT_TRUE(tells<Readable>(stream));
}

TEST(PlainStream, BoundsWhatIsNotSent) {
  PlainStream stream(k_limits);
  EXPECT_EQ(stream.write(as_bytes("123456")).value(), 6u);
  EXPECT_EQ(stream.write(as_bytes("789012")).value(), 4u);
  Bytes out(4);
  EXPECT_EQ(stream.poll_bytes(k_now, out), 4u);
  EXPECT_EQ(as_text(out), "1234");
  EXPECT_FALSE(stream.poll_event());
  EXPECT_EQ(stream.poll_bytes(k_now, MutableBytes(out).first(1)), 1u);
  EXPECT_TRUE(tells<Writable>(stream));
  EXPECT_EQ(stream.buffered_bytes(), 5u);
}

TEST(PlainStream, TheEndOfThePeerComesBehindItsBytes) {
  PlainStream stream(k_limits);
  stream.handle_bytes(k_now, as_bytes("12"));
  stream.handle_eof(k_now);
  EXPECT_FALSE(stream.wants_bytes());
  EXPECT_TRUE(tells<Readable>(stream));
  EXPECT_FALSE(stream.poll_event());
  EXPECT_EQ(read(stream, 1), "1");
  EXPECT_EQ(read(stream, 2), "2<end>");
  EXPECT_TRUE(tells<Closed>(stream));
  EXPECT_EQ(read(stream, 2), "<end>");
  EXPECT_FALSE(stream.poll_event());
}

TEST(PlainStream, WhoHasSaidAllStillGetsHisAnswer) {
  PlainStream stream(k_limits);
  stream.handle_bytes(k_now, as_bytes("ask"));
  stream.handle_eof(k_now);
  EXPECT_EQ(read(stream, 4), "ask<end>");
  EXPECT_TRUE(tells<Closed>(stream) || tells<Closed>(stream)) << "behind Readable";
  EXPECT_EQ(stream.write(as_bytes("an answer of more")).value(), 10u) << "as bounded as before";
  Bytes out(10);
  EXPECT_EQ(stream.poll_bytes(k_now, out), 10u);
  EXPECT_EQ(stream.write(as_bytes(" than it holds")).value(), 10u);
  stream.close();
  EXPECT_FALSE(stream.write(as_bytes("x")));
  EXPECT_EQ(stream.poll_bytes(k_now, out), 10u);
}

TEST(PlainStream, CloseSendsWhatWasWrittenAndForgetsTheRest) {
  PlainStream stream(k_limits);
  stream.handle_bytes(k_now, as_bytes("unread"));
  EXPECT_TRUE(stream.write(as_bytes("bye")));
  stream.close();
  EXPECT_TRUE(tells<Closed>(stream));
  stream.handle_bytes(k_now, as_bytes("more"));
  stream.handle_eof(k_now);
  EXPECT_EQ(read(stream, 10), "<error>");
  EXPECT_FALSE(stream.poll_event());
  Bytes out(10);
  EXPECT_EQ(stream.poll_bytes(k_now, out), 3u);

  PlainStream ended(k_limits);  // and unread, when it is closed here
  ended.handle_bytes(k_now, as_bytes("unread"));
  ended.handle_eof(k_now);
  ended.close();
  EXPECT_TRUE(tells<Closed>(ended));
  EXPECT_EQ(read(ended, 10), "<error>");
}

}  // namespace
}  // namespace dig::one_port
