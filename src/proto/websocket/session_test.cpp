// SPDX-License-Identifier: Apache-2.0
#include "proto/websocket/session.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "proto/websocket/testing/frames.hpp"

namespace dig::websocket {
namespace {

using namespace testing;
using enum WebsocketOpcode;

// A server that is open and has said what it has to say so far.
Session open_server(const Limits& limits = {}) {
  Session session = server(limits);
  (void)sent(session);
  EXPECT_TRUE(std::holds_alternative<Established>(session.poll_event().value()));
  return session;
}
struct OpenClient : Client {
  OpenClient() {
    session.handle_bytes(k_start, answer);
    EXPECT_TRUE(std::holds_alternative<Established>(session.poll_event().value()));
  }
};
std::string read_all(Session& session) {
  std::string text;
  Bytes buffer(7);
  for (;;) {
    const auto got = session.read(buffer);
    if (!got || got->size == 0) return text;
    text += as_text(BytesView(buffer).first(got->size));
  }
}
std::optional<Closed> next_closed(Session& session) {
  while (const auto event = session.poll_event()) {
    if (const auto* closed = std::get_if<Closed>(&*event)) return *closed;
  }
  return std::nullopt;
}
template <class Wanted>
bool tells(Session& session) {
  const auto event = session.poll_event();
  return event && std::holds_alternative<Wanted>(*event);
}
Bytes unhex(std::string_view hex) { return from_hex(hex).value(); }

// --- both ends ------------------------------------------------------------------------------------------------------

TEST(WebsocketSession, AServerAnswersAndIsOpen) {
  Session session = server();
  EXPECT_TRUE(as_text(sent(session)).starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_TRUE(tells<Established>(session));
  EXPECT_FALSE(session.next_timeout());
  EXPECT_TRUE(session.wants_bytes());
}

TEST(WebsocketSession, AClientIsOpenOnceItIsAnswered) {
  Client client;
  EXPECT_EQ(client.session.write(as_bytes("early")).value(), 0u);
  EXPECT_EQ(client.session.next_timeout(), k_start + 10s);
  client.session.handle_bytes(k_start, BytesView(client.answer).first(client.answer.size() - 1));
  EXPECT_FALSE(client.session.poll_event());
  client.session.handle_bytes(k_start, BytesView(client.answer).last(1));
  EXPECT_TRUE(tells<Established>(client.session));
  EXPECT_TRUE(tells<Writable>(client.session)) << "somebody wanted to write";
  EXPECT_FALSE(client.session.next_timeout());
}

TEST(WebsocketSession, BytesBehindTheAnswerAreNotLost) {
  Client client;
  client.session.handle_bytes(k_start, client.answer + frame(binary, "hello", {.is_masked = false}));
  EXPECT_TRUE(tells<Established>(client.session));
  EXPECT_TRUE(tells<Readable>(client.session));
  EXPECT_EQ(read_all(client.session), "hello");
}

TEST(WebsocketSession, AServerDoesNotMask) {
  Session session = open_server();
  EXPECT_EQ(session.write(as_bytes("Hello")).value(), 5u);
  EXPECT_EQ(to_hex(sent(session)), "8205" + to_hex(as_bytes("Hello")));
}

TEST(WebsocketSession, AClientMasksEveryFrameAnew) {
  OpenClient client;
  Session other = open_server();
  std::vector<Bytes> frames;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(client.session.write(as_bytes("Hello")).value(), 5u);
    frames.push_back(sent(client.session));
    other.handle_bytes(k_start, frames.back());
    EXPECT_EQ(read_all(other), "Hello");
  }
  EXPECT_NE(frames[0], frames[1]);
  EXPECT_EQ(to_hex(BytesView(frames[0]).first(2)), "8285");
}

// RFC 6455 §5.7: "Hello" unmasked, masked and in two fragments, but as binary, which is what /ws carries.
TEST(WebsocketSession, ReadsTheExamplesOfTheRfcAsBinary) {
  OpenClient client;
  client.session.handle_bytes(k_start, unhex("820548656c6c6f"));
  EXPECT_EQ(read_all(client.session), "Hello");
  client.session.handle_bytes(k_start, unhex("020348656c80026c6f"));
  EXPECT_EQ(read_all(client.session), "Hello");
  Session session = open_server();
  session.handle_bytes(k_start, unhex("828537fa213d7f9f4d5158"));
  EXPECT_EQ(read_all(session), "Hello");
  for (const char* header : {"827e0100", "827f0000000000010000"}) {
    const std::size_t size = std::string_view(header).size() == 8 ? 256 : 65536;
    client.session.handle_bytes(k_start, unhex(header) + Bytes(size, std::byte{'x'}));
    EXPECT_EQ(read_all(client.session), std::string(size, 'x'));
  }
}

TEST(WebsocketSession, AnswersThePingOfTheRfc) {
  Session session = open_server();
  session.handle_bytes(k_start, unhex("898537fa213d7f9f4d5158"));
  EXPECT_EQ(to_hex(sent(session)), "8a0548656c6c6f");
  OpenClient client;
  client.session.handle_bytes(k_start, unhex("890548656c6c6f"));
  const Bytes pong = sent(client.session);
  EXPECT_EQ(to_hex(BytesView(pong).first(2)), "8a85");
  session.handle_bytes(k_start, pong);
  EXPECT_TRUE(sent(session).empty()) << "a pong that nobody asked for means nothing";
  EXPECT_FALSE(next_closed(session));
  EXPECT_EQ(session.snapshot().pings_received, 1u);
}

TEST(WebsocketSession, ControlFramesStandBetweenFragments) {
  Session session = open_server();
  session.handle_bytes(k_start, frame(binary, "He", {.is_final = false}) + frame(ping, "?") +
                                    frame(continuation, "l", {.is_final = false}) + frame(pong, "!") +
                                    frame(continuation, "", {.is_final = false}) + frame(continuation, "lo"));
  EXPECT_EQ(read_all(session), "Hello");
  EXPECT_EQ(to_hex(sent(session)), "8a013f");
}

TEST(WebsocketSession, OfManyPingsTheLastIsAnswered) {
  Session session = open_server();
  for (int i = 0; i < 1000; ++i) session.handle_bytes(k_start, frame(ping, std::string(125, 'a')));
  session.handle_bytes(k_start, frame(ping, "last"));
  EXPECT_EQ(to_hex(sent(session)), "8a04" + to_hex(as_bytes("last")));
}

TEST(WebsocketSession, APongWaitsForTheEndOfAFrame) {
  Session session = open_server();
  EXPECT_EQ(session.write(as_bytes("Hello")).value(), 5u);
  Bytes out(4);
  EXPECT_EQ(session.poll_bytes(k_start, out), 4u);
  session.handle_bytes(k_start, frame(ping, "?"));
  EXPECT_EQ(session.write(as_bytes("more")).value(), 4u);
  EXPECT_EQ(to_hex(out + sent(session)),
            "8205" + to_hex(as_bytes("Hello")) + "8a013f" + "8204" + to_hex(as_bytes("more")));
}

// --- bounds ---------------------------------------------------------------------------------------------------------

TEST(WebsocketSession, PushesBackAndEndsWhoGoesOn) {
  Session session = open_server({.max_input = 100, .max_input_excess = 50});
  session.handle_bytes(k_start, frame(binary, std::string(99, 'a')));
  EXPECT_TRUE(session.wants_bytes());
  session.handle_bytes(k_start, frame(binary, "b"));
  EXPECT_FALSE(session.wants_bytes());
  session.handle_bytes(k_start, frame(binary, std::string(50, 'c')));
  EXPECT_FALSE(next_closed(session));
  Session greedy = session;
  EXPECT_EQ(read_all(session).size(), 150u);
  EXPECT_TRUE(session.wants_bytes());
  greedy.handle_bytes(k_start, frame(binary, "d"));
  EXPECT_EQ(next_closed(greedy).value().error.code(), Errc::flood);
  EXPECT_EQ(greedy.snapshot().input_waiting, 150u);
}

TEST(WebsocketSession, TakesWhatFitsAndSaysWhenThereIsRoom) {
  Session session = open_server({.max_output = 100});
  EXPECT_EQ(session.write(Bytes(80)).value(), 80u);
  EXPECT_EQ(session.write(Bytes(80)).value(), 20u);
  EXPECT_EQ(session.write(Bytes(80)).value(), 0u);
  EXPECT_FALSE(session.poll_event());
  Bytes out(51);
  (void)session.poll_bytes(k_start, out);  // the header and 49
  EXPECT_FALSE(session.poll_event());
  (void)session.poll_bytes(k_start, MutableBytes(out).first(1));
  EXPECT_TRUE(tells<Writable>(session));
  EXPECT_FALSE(session.poll_event()) << "once";
  EXPECT_EQ(session.write(Bytes(80)).value(), 50u);
}

TEST(WebsocketSession, ReadableIsToldOnceUntilEverythingIsRead) {
  Session session = open_server();
  session.handle_bytes(k_start, frame(binary, "abc"));
  session.handle_bytes(k_start, frame(binary, "def"));
  EXPECT_TRUE(tells<Readable>(session));
  EXPECT_FALSE(session.poll_event());
  Bytes buffer(6);
  EXPECT_EQ(session.read(buffer).value().size, 6u);
  session.handle_bytes(k_start, frame(binary, "g"));
  EXPECT_FALSE(session.poll_event()) << "read() has not come to the end yet";
  EXPECT_EQ(session.read(buffer).value().size, 1u);
  session.handle_bytes(k_start, frame(binary, "h"));
  EXPECT_TRUE(tells<Readable>(session));
}

TEST(WebsocketSession, MessagesAreBounded) {
  const Limits limits{.max_message = 10};
  Session session = open_server(limits);
  session.handle_bytes(k_start, frame(binary, std::string(10, 'a')) +
                                    frame(binary, std::string(4, 'b'), {.is_final = false}) +
                                    frame(continuation, std::string(6, 'c')));
  EXPECT_FALSE(next_closed(session));
  Session fragments = session;
  session.handle_bytes(k_start, frame(binary, std::string(11, 'a')));
  EXPECT_EQ(next_closed(session).value().error.code(), Errc::oversized);
  EXPECT_EQ(to_hex(sent(session)), "880203f1");
  fragments.handle_bytes(
      k_start, frame(binary, std::string(4, 'b'), {.is_final = false}) + frame(continuation, std::string(7, 'c')));
  EXPECT_EQ(next_closed(fragments).value().error.code(), Errc::oversized);
}

TEST(WebsocketSession, NothingIsAllocatedForALengthThatIsOnlyAnnounced) {
  Session session = open_server();
  session.handle_bytes(k_start, unhex("82ff000000000100000037fa213d"));  // 16 MiB: allowed
  EXPECT_FALSE(next_closed(session));
  EXPECT_EQ(session.snapshot().input_waiting, 0u);
  session.handle_bytes(k_start, Bytes(3));
  EXPECT_EQ(session.snapshot().input_waiting, 3u);
  session = open_server();
  session.handle_bytes(k_start, unhex("82ff7fffffffffffffff"));  // nothing yet: the mask is missing
  session.handle_bytes(k_start, unhex("37fa213d"));
  EXPECT_EQ(next_closed(session).value().error.code(), Errc::oversized);
}

// --- the end --------------------------------------------------------------------------------------------------------

TEST(WebsocketSession, TheEndOfThePeerComesBehindItsBytes) {
  Session session = open_server();
  session.handle_bytes(k_start, frame(binary, "last words") + closing(1001, "going\x1b away"));
  EXPECT_FALSE(session.wants_bytes());
  EXPECT_FALSE(next_closed(session)) << "not everything was read";
  EXPECT_FALSE(session.write(as_bytes("x")));
  EXPECT_EQ(read_all(session), "last words");
  const Closed closed = next_closed(session).value();
  EXPECT_TRUE(closed.is_clean);
  EXPECT_EQ(closed.error.code(), Errc::connection_closed);
  EXPECT_NE(closed.error.detail().find("1001: going? away"), std::string::npos) << closed.error.detail();
  Bytes buffer(10);
  EXPECT_TRUE(session.read(buffer).value().is_end);
  EXPECT_EQ(to_hex(sent(session)), "880203e8") << "it is answered";
  EXPECT_FALSE(session.poll_event());
}

TEST(WebsocketSession, AClosingFrameMayBeEmpty) {
  Session session = open_server();
  session.handle_bytes(k_start, frame(close, ""));
  EXPECT_TRUE(next_closed(session).value().is_clean);
  EXPECT_EQ(to_hex(sent(session)), "880203e8");
}

TEST(WebsocketSession, WhatWaitsIsDroppedWhenThePeerCloses) {
  Session session = open_server();
  EXPECT_EQ(session.write(as_bytes("Hello")).value(), 5u);
  Bytes out(4);
  EXPECT_EQ(session.poll_bytes(k_start, out), 4u);
  EXPECT_EQ(session.write(as_bytes("never")).value(), 5u);
  session.handle_bytes(k_start, closing(1000));
  EXPECT_EQ(to_hex(out + sent(session)), "8205" + to_hex(as_bytes("Hello")) + "880203e8")
      << "a frame that was begun is ended, so that the closing frame is one";
}

TEST(WebsocketSession, CloseSendsWhatWaitsFirst) {
  Session session = open_server();
  EXPECT_EQ(session.write(as_bytes("Hello")).value(), 5u);
  session.close();
  EXPECT_TRUE(next_closed(session).value().is_clean);
  EXPECT_EQ(to_hex(sent(session)), "8205" + to_hex(as_bytes("Hello")) + "880203e8");
  session.handle_bytes(k_start, frame(binary, "too late") + closing(1000));
  session.close();
  EXPECT_TRUE(sent(session).empty());
  EXPECT_FALSE(session.poll_event());
  Bytes buffer(10);
  EXPECT_EQ(session.read(buffer).error().code(), Errc::connection_closed);
}

TEST(WebsocketSession, CloseForgetsWhatWasNotRead) {
  Session session = open_server();
  session.handle_bytes(k_start, frame(binary, "unread") + frame(ping, "?"));
  session.close();
  EXPECT_TRUE(tells<Closed>(session)) << "and not Readable before";
  Bytes buffer(10);
  EXPECT_FALSE(session.read(buffer));
  EXPECT_EQ(session.snapshot().input_waiting, 0u);
  EXPECT_EQ(to_hex(sent(session)), "8a013f880203e8") << "the closing frame is the last one";
}

TEST(WebsocketSession, AnEndWithoutAClosingFrameIsNotClean) {
  Session session = open_server();
  session.handle_bytes(k_start, frame(binary, "abc"));
  session.handle_eof(k_start);
  EXPECT_FALSE(next_closed(session));
  EXPECT_EQ(read_all(session), "abc");
  const Closed closed = next_closed(session).value();
  EXPECT_FALSE(closed.is_clean);
  EXPECT_EQ(closed.error.code(), Errc::connection_closed);
  Bytes buffer(10);
  EXPECT_FALSE(session.read(buffer));
  EXPECT_TRUE(sent(session).empty());
}

TEST(WebsocketSession, AFailureLeavesWhatCameBefore) {
  Session session = open_server();
  session.handle_bytes(k_start, frame(binary, "abc") + frame(text, "def"));
  EXPECT_TRUE(tells<Readable>(session));
  EXPECT_EQ(next_closed(session).value().error.code(), Errc::protocol_violation);
  EXPECT_EQ(read_all(session), "abc");
  Bytes buffer(10);
  EXPECT_EQ(session.read(buffer).error().code(), Errc::protocol_violation);
  EXPECT_EQ(to_hex(sent(session)), "880203eb");
}

// --- hostile --------------------------------------------------------------------------------------------------------

TEST(WebsocketSession, RefusesEveryBrokenRule) {
  struct Case {
    const char* name;
    Bytes bytes;
    const char* answer = "880203ea";  // 1002
  };
  const Case cases[] = {
      {"a frame of a client without mask", frame(binary, "a", {.is_masked = false})},
      {"a ping of a client without mask", frame(ping, "a", {.is_masked = false})},
      {"text", frame(text, "a"), "880203eb"},
      {"a continuation of nothing", frame(continuation, "a")},
      {"a message within a message", frame(binary, "a", {.is_final = false}) + frame(binary, "b")},
      {"a continuation behind the end", frame(binary, "a") + frame(continuation, "b")},
      {"a reserved bit", unhex("c28037fa213d")},
      {"an unknown opcode", unhex("838037fa213d")},
      {"an unknown control opcode", unhex("8b8037fa213d")},
      {"a fragmented ping", frame(ping, "a", {.is_final = false})},
      {"a ping of 126 bytes", unhex("89fe007e37fa213d")},
      {"a length of 16 bits that fits in 7", unhex("82fe007d37fa213d")},
      {"a length of 64 bits that fits in 16", unhex("82ff000000000000ffff37fa213d")},
      {"a length of 2^63", unhex("82ff800000000000000037fa213d")},
      {"a closing frame of one byte", frame(close, "a")},
      {"the close code 0", closing(0)},
      {"the close code 999", closing(999)},
      {"the close code 1004", closing(1004)},
      {"the close code 1005", closing(1005)},
      {"the close code 1006", closing(1006)},
      {"the close code 1015", closing(1015)},
      {"the close code 2999", closing(2999)},
      {"the close code 5000", closing(5000)},
      {"HTTP once more", to_bytes("GET / HTTP/1.1\r\n")},
  };
  for (const Case& one : cases) {
    for (const bool is_bytewise : {false, true}) {
      Session session = open_server();
      for (std::size_t i = 0; is_bytewise && i < one.bytes.size(); ++i) {
        session.handle_bytes(k_start, BytesView(one.bytes).subspan(i, 1));
      }
      if (!is_bytewise) session.handle_bytes(k_start, one.bytes);
      const auto closed = next_closed(session);
      if (session.snapshot().input_waiting == 0 || closed) {
        ASSERT_TRUE(closed) << one.name;
        EXPECT_EQ(closed->error.code(), Errc::protocol_violation) << one.name;
        EXPECT_FALSE(closed->is_clean) << one.name;
        EXPECT_EQ(to_hex(sent(session)), one.answer) << one.name;
        EXPECT_FALSE(session.wants_bytes()) << one.name;
      } else {
        ADD_FAILURE() << one.name << " was taken";
      }
    }
  }
}

TEST(WebsocketSession, KnowsTheCodesThatAreNone) {
  for (const std::uint16_t code : std::initializer_list<std::uint16_t>{1000, 1003, 1007, 1011, 1014, 3000, 4999}) {
    Session session = open_server();
    session.handle_bytes(k_start, closing(code));
    EXPECT_TRUE(next_closed(session).value().is_clean) << code;
  }
}

TEST(WebsocketSession, AClientRefusesMaskedFrames) {
  OpenClient client;
  client.session.handle_bytes(k_start, frame(binary, "a"));
  EXPECT_EQ(next_closed(client.session).value().error.code(), Errc::protocol_violation);
  const Bytes last = sent(client.session);
  EXPECT_EQ(to_hex(BytesView(last).first(2)), "8882") << "its own closing frame is masked all the same";
  EXPECT_EQ(last.size(), 8u);
}

TEST(WebsocketSession, AClientRefusesOtherServers) {
  for (const char* answer : {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "\x13/multistream/1.0.0\n",
                             "HTTP/1.1 101 Switching Protocols\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n\r\n"}) {
    Client client;
    client.session.handle_bytes(k_start, as_bytes(answer));
    EXPECT_EQ(next_closed(client.session).value().error.code(), Errc::protocol_not_supported) << answer;
    EXPECT_TRUE(sent(client.session).empty());
  }
  Client endless;
  endless.session.handle_bytes(k_start, as_bytes("HTTP/1.1 101 x\r\n"));
  for (int i = 0; i < 10'000; ++i) endless.session.handle_bytes(k_start, as_bytes("A: b\r\n"));
  EXPECT_EQ(next_closed(endless.session).value().error.code(), Errc::protocol_not_supported);
}

TEST(WebsocketSession, AClientDoesNotWaitForever) {
  Client client;
  client.session.handle_bytes(k_start + 9s, BytesView(client.answer).first(20));
  client.session.handle_timeout(k_start + 10s - 1ns);
  EXPECT_FALSE(client.session.poll_event());
  client.session.handle_timeout(k_start + 10s);
  EXPECT_EQ(next_closed(client.session).value().error.code(), Errc::phase_timeout);
  client.session.handle_bytes(k_start + 11s, BytesView(client.answer).subspan(20));
  EXPECT_FALSE(client.session.poll_event());

  Client cut;
  cut.session.handle_eof(k_start);
  EXPECT_EQ(next_closed(cut.session).value().error.code(), Errc::connection_closed);
  Client given_up;
  given_up.session.close();
  EXPECT_TRUE(next_closed(given_up.session));
  EXPECT_TRUE(sent(given_up.session).empty());
}

// --- two ends -------------------------------------------------------------------------------------------------------

struct End {
  Session* session;
  Bytes to_write;
  std::size_t written = 0;
  Bytes received{};
  bool is_closed = false;
};

void step(End& from, End& to, SeededRng& rng) {
  if (from.written < from.to_write.size()) {
    const std::size_t size = std::min<std::size_t>(1 + rng.below(5000), from.to_write.size() - from.written);
    from.written += from.session->write(BytesView(from.to_write).subspan(from.written, size)).value();
  }
  Bytes wire(1 + rng.below(3) * rng.below(4000));
  wire.resize(from.session->poll_bytes(k_start, wire));
  for (BytesView rest = wire; !rest.empty() && to.session->wants_bytes();) {
    const std::size_t size = std::min<std::size_t>(1 + rng.below(2000), rest.size());
    to.session->handle_bytes(k_start, rest.first(size));
    rest = rest.subspan(size);
    ASSERT_TRUE(rest.empty() || to.session->wants_bytes()) << "the test hands over no more than is wanted";
  }
  Bytes buffer(rng.below(3000));
  if (const auto got = to.session->read(buffer)) append(to.received, BytesView(buffer).first(got->size));
  while (const auto event = to.session->poll_event()) to.is_closed = std::holds_alternative<Closed>(*event);
}

TEST(WebsocketSession, TwoEndsCarryEveryByteHoweverItIsCut) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SeededRng rng(seed);
    SeededRng masks(seed + 1000);
    Session client = Session::connect(k_start, "a.example", masks);
    http::RequestReader reader(k_start);
    (void)reader.handle_bytes(sent(client, 1 + rng.below(100)));
    Session server = Session::accept(**reader.result()).value();
    client.handle_bytes(k_start, sent(server));
    End ends[2] = {{&client, Bytes(rng.below(200'000))}, {&server, Bytes(rng.below(200'000))}};
    for (End& end : ends) rng.fill(end.to_write);
    for (int i = 0; i < 4000 && (ends[0].received.size() < ends[1].to_write.size() ||
                                 ends[1].received.size() < ends[0].to_write.size());
         ++i) {
      const std::size_t from = rng.below(2);
      ASSERT_NO_FATAL_FAILURE(step(ends[from], ends[1 - from], rng));
    }
    EXPECT_EQ(ends[0].received, ends[1].to_write) << seed;
    EXPECT_EQ(ends[1].received, ends[0].to_write) << seed;
    ends[0].session->close();
    for (int i = 0; i < 20; ++i) ASSERT_NO_FATAL_FAILURE(step(ends[0], ends[1], rng));
    EXPECT_TRUE(ends[1].is_closed) << seed;
  }
}

}  // namespace
}  // namespace dig::websocket
