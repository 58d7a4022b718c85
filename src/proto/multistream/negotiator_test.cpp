// SPDX-License-Identifier: Apache-2.0
#include "proto/multistream/negotiator.hpp"

#include <gtest/gtest.h>

#include "wire/multistream_message.hpp"

namespace dig::multistream {
namespace {

Bytes poll_all(Negotiator& negotiator) {
  Bytes out(8192);
  out.resize(negotiator.poll_bytes(out));
  return out;
}

Bytes lines(std::initializer_list<std::string_view> texts) {
  Bytes out;
  for (const auto text : texts) append_multistream_line(out, text);
  return out;
}

void pump(Negotiator& dialler, Negotiator& listener) {
  for (int round = 0; round < 20; ++round) {
    const Bytes forth = poll_all(dialler);
    EXPECT_EQ(listener.handle_bytes(forth), forth.size());
    const Bytes back = poll_all(listener);
    EXPECT_EQ(dialler.handle_bytes(back), back.size());
  }
}

std::string agreed(const Negotiator& negotiator) {
  if (!negotiator.result()) return "(not over)";
  return *negotiator.result() ? **negotiator.result() : std::string(negotiator.result()->error().info().name);
}

Negotiator greeted_listener(std::vector<std::string> protocols, const Limits& limits = {}) {
  Negotiator listener = Negotiator::listen(std::move(protocols), limits);
  (void)listener.handle_bytes(lines({k_multistream_header}));
  (void)poll_all(listener);
  return listener;
}

TEST(Multistream, TheFirstProposalThatTheListenerSupportsIsAgreed) {
  Negotiator dialler = Negotiator::dial({"/a", "/b", "/c"});
  Negotiator listener = Negotiator::listen({"/c", "/b"});
  pump(dialler, listener);
  EXPECT_EQ(agreed(dialler), "/b");
  EXPECT_EQ(agreed(listener), "/b");
}

TEST(Multistream, BytesOnTheWireAreThoseOfTheSpecification) {
  Negotiator dialler = Negotiator::dial({"/noise"});
  EXPECT_EQ(as_text(poll_all(dialler)), "\x13/multistream/1.0.0\n\x07/noise\n");
  Negotiator listener = Negotiator::listen({"/noise"});
  EXPECT_TRUE(poll_all(listener).empty()) << "a listener says nothing before the dialler did";
  (void)listener.handle_bytes(as_bytes("\x13/multistream/1.0.0\n\x06/nope\n\x07/noise\n"));
  EXPECT_EQ(as_text(poll_all(listener)), "\x13/multistream/1.0.0\n\x03na\n\x07/noise\n");
}

TEST(Multistream, NothingInCommonFails) {
  Negotiator dialler = Negotiator::dial({"/a", "/b"});
  Negotiator listener = Negotiator::listen({"/c"});
  pump(dialler, listener);
  EXPECT_EQ(agreed(dialler), "protocol_not_supported");
  EXPECT_EQ(agreed(listener), "(not over)");
  listener.handle_eof();
  EXPECT_EQ(agreed(listener), "connection_closed");
}

TEST(Multistream, AnySegmentationWorks) {
  Negotiator dialler = Negotiator::dial({"/a", "/b"});
  Negotiator listener = Negotiator::listen({"/b"});
  std::byte one;
  for (bool is_moving = true; is_moving;) {
    is_moving = false;
    while (dialler.poll_bytes({&one, 1}) == 1) EXPECT_EQ((is_moving = true, listener.handle_bytes({&one, 1})), 1u);
    while (listener.poll_bytes({&one, 1}) == 1) EXPECT_EQ((is_moving = true, dialler.handle_bytes({&one, 1})), 1u);
  }
  EXPECT_EQ(agreed(dialler), "/b");
  EXPECT_EQ(agreed(listener), "/b");
}

TEST(Multistream, NothingBehindTheNegotiationIsConsumed) {
  Negotiator listener = Negotiator::listen({"/a"});
  Bytes input = lines({k_multistream_header, "/a"});
  const std::size_t size = input.size();
  append(input, as_bytes("lazy data"));
  EXPECT_EQ(listener.handle_bytes(input), size);
  EXPECT_EQ(listener.handle_bytes(as_bytes("more")), 0u);
  Negotiator dialler = Negotiator::dial({"/a"});
  EXPECT_EQ(dialler.handle_bytes(input), size);
}

TEST(Multistream, ListIsAnsweredAndTheNegotiationGoesOn) {
  Negotiator listener = greeted_listener({"/a", "/b"});
  (void)listener.handle_bytes(lines({"ls"}));
  EXPECT_EQ(as_text(poll_all(listener)), "\x09\x03/a\n\x03/b\n\n");
  (void)listener.handle_bytes(lines({"/b"}));
  EXPECT_EQ(agreed(listener), "/b");
}

TEST(Multistream, OtherHeadersAreRefused) {
  for (const auto header : {"/multistream/2.0.0", "/multistream/1.0.0 ", "na", "ls", "/noise", "GET / HTTP/1.1"}) {
    Negotiator listener = Negotiator::listen({"/noise"});
    (void)listener.handle_bytes(lines({header}));
    EXPECT_EQ(agreed(listener), "protocol_violation") << header;
    EXPECT_TRUE(poll_all(listener).empty());
    Negotiator dialler = Negotiator::dial({"/noise"});
    (void)dialler.handle_bytes(lines({header}));
    EXPECT_EQ(agreed(dialler), "protocol_violation") << header;
  }
}

TEST(Multistream, AnEchoOfSomethingElseIsRefused) {
  for (const auto answer : {"/plaintext/2.0.0", "/noise ", "/NOISE", "ls"}) {
    Negotiator dialler = Negotiator::dial({"/noise"});
    (void)dialler.handle_bytes(lines({k_multistream_header, answer}));
    EXPECT_EQ(agreed(dialler), "protocol_violation") << answer;
  }
}

TEST(Multistream, AnAnswerToALaterProposalIsRefused) {
  Negotiator dialler = Negotiator::dial({"/a", "/b"});
  (void)dialler.handle_bytes(lines({k_multistream_header, "/b"}));
  EXPECT_EQ(agreed(dialler), "protocol_violation");
}

TEST(Multistream, MalformedLinesAreRefused) {
  const std::string_view inputs[] = {
      std::string_view("\0", 1),
      "\x13/multistream/1.0.0 ",  // no newline
      "\x01\n",                   // nothing before the newline
      "\x81\x08",                 // 1025 bytes
      "\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
      std::string_view("\x80\0", 2),  // not the shortest varint
      "\x13/multistream/1.0.0\n\x05/a\nb\n",
      "\x13/multistream/1.0.0\n\x04/\x01"
      "a\n",
  };
  for (const auto input : inputs) {
    Negotiator listener = Negotiator::listen({"/a"});
    (void)listener.handle_bytes(as_bytes(input));
    EXPECT_EQ(agreed(listener), "protocol_violation") << input;
  }
}

TEST(Multistream, EveryPrefixIsWaitedOutAndThenClosed) {
  const Bytes whole = lines({k_multistream_header, "/a"});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Negotiator listener = Negotiator::listen({"/a"});
    EXPECT_EQ(listener.handle_bytes(BytesView(whole).first(size)), size);
    EXPECT_EQ(agreed(listener), "(not over)");
    listener.handle_eof();
    EXPECT_EQ(agreed(listener), "connection_closed");
  }
}

TEST(Multistream, LineOfMaximumSizeIsTakenAndOneMoreIsNot) {
  const std::string longest(k_max_multistream_message - 1, 'x');
  Negotiator listener = greeted_listener({longest});
  (void)listener.handle_bytes(lines({longest}));
  EXPECT_EQ(agreed(listener), longest);
  Negotiator other = greeted_listener({"/a"});
  EXPECT_LE(other.handle_bytes(as_bytes("\x81\x08" + std::string(1024, 'x') + "\n")), 2u);
  EXPECT_EQ(agreed(other), "protocol_violation");
}

TEST(Multistream, MoreThan16ProposalsAreAFlood) {
  Negotiator listener = greeted_listener({"/a"});
  for (int i = 0; i < 15; ++i) (void)listener.handle_bytes(lines({"/wrong"}));
  EXPECT_EQ(agreed(listener), "(not over)");
  Negotiator patient = greeted_listener({"/a"});
  for (int i = 0; i < 15; ++i) (void)patient.handle_bytes(lines({i % 2 == 0 ? "ls" : "/wrong"}));
  (void)patient.handle_bytes(lines({"/a"}));
  EXPECT_EQ(agreed(patient), "/a") << "the 16th";
  for (int i = 0; i < 2; ++i) (void)listener.handle_bytes(lines({"ls"}));
  EXPECT_EQ(agreed(listener), "flood") << "the 17th";
  const std::size_t buffered = listener.snapshot().buffered_bytes;
  (void)listener.handle_bytes(lines({"/wrong", "/wrong"}));
  EXPECT_EQ(listener.snapshot().buffered_bytes, buffered) << "nothing is answered any more";
}

TEST(Multistream, RefusalsEndWhenTheProposalsDo) {
  Negotiator dialler = Negotiator::dial({"/a"});
  (void)dialler.handle_bytes(lines({k_multistream_header, "na", "na", "na"}));
  EXPECT_EQ(agreed(dialler), "protocol_not_supported");
}

TEST(Multistream, DiallingWithoutProtocolsFailsAtOnce) {
  EXPECT_EQ(agreed(Negotiator::dial({})), "protocol_not_supported");
}

TEST(Multistream, TwoDiallersDoNotAgree) {
  Negotiator one = Negotiator::dial({"/a", "/b"});
  Negotiator other = Negotiator::dial({"/b", "/a"});
  (void)one.handle_bytes(poll_all(other));
  EXPECT_EQ(agreed(one), "protocol_violation");
}

}  // namespace
}  // namespace dig::multistream
