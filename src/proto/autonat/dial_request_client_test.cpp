// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/dial_request_client.hpp"

#include <gtest/gtest.h>

namespace dig::autonat {
namespace {

const DialRequest k_request{{Multiaddr::parse("/ip4/8.8.8.8/tcp/4001").value()}, 77};

class DialRequestClientTest : public ::testing::Test {
 protected:
  void give(const Message& message) {
    Bytes framed;
    append_frame(framed, encode_message(message));
    machine.handle_bytes(now, framed);
  }
  // What the machine says, in pieces of `room` bytes.
  std::vector<Message> said(std::size_t room = 5000) {
    Bytes all;
    Bytes out(room);
    while (const std::size_t size = machine.poll_bytes(out)) append(all, BytesView(out).first(size));
    std::vector<Message> messages;
    FrameReader frames(k_max_message);
    BytesView rest = all;
    while (!rest.empty()) {
      rest = rest.subspan(frames.feed(rest).value());
      if (const auto frame = frames.take_frame()) messages.push_back(decode_message(*frame).value());
    }
    EXPECT_TRUE(frames.is_idle());
    return messages;
  }
  void expect_error(Errc code) {
    ASSERT_TRUE(machine.result() && !*machine.result());
    EXPECT_EQ(machine.result()->error().code(), code);
    EXPECT_FALSE(machine.next_timeout());
    EXPECT_TRUE(said().empty()) << "nothing more is sent";
  }
  void start_again() { machine = DialRequestClient(now, k_request, 100'000); }

  Instant now{1h};
  DialRequestClient machine{now, k_request, 100'000};
};

TEST_F(DialRequestClientTest, AsksAndTakesTheResponse) {
  EXPECT_EQ(said(), std::vector<Message>{k_request});
  EXPECT_FALSE(machine.result());
  const DialResponse response{ResponseStatus::ok, 0, DialStatus::dial_error};
  give(response);
  ASSERT_TRUE(machine.result() && *machine.result());
  EXPECT_EQ(**machine.result(), response);
  EXPECT_FALSE(machine.next_timeout());
  give(DialResponse{});
  EXPECT_EQ(**machine.result(), response) << "the first response stands";
}

TEST_F(DialRequestClientTest, AServerThatDidNotDialNeedNotSayMore) {
  for (const ResponseStatus status :
       {ResponseStatus::internal_error, ResponseStatus::request_rejected, ResponseStatus::dial_refused}) {
    start_again();
    give(DialResponse{status, 9, DialStatus::unused});
    ASSERT_TRUE(machine.result() && *machine.result());
    EXPECT_EQ((*machine.result())->status, status);
  }
}

TEST_F(DialRequestClientTest, SendsExactlyTheDialDataThatIsAskedFor) {
  for (const std::uint64_t size : {0u, 1u, 4096u, 4097u, 30'000u, 100'000u}) {
    start_again();
    EXPECT_EQ(said().size(), 1u);
    give(DialDataRequest{0, size});
    std::uint64_t sent = 0;
    for (const Message& message : said(777)) {
      const auto* data = std::get_if<DialDataResponse>(&message);
      ASSERT_TRUE(data);
      EXPECT_LE(data->data.size(), k_max_dial_data);
      sent += data->data.size();
    }
    EXPECT_EQ(sent, size);
    EXPECT_EQ(machine.snapshot().dial_data_sent, size);
    EXPECT_FALSE(machine.result());
    give(DialResponse{ResponseStatus::ok, 0, DialStatus::ok});
    EXPECT_TRUE(machine.result() && *machine.result());
  }
}

TEST_F(DialRequestClientTest, KeepsOnePieceOfDialDataAtMost) {
  EXPECT_EQ(said().size(), 1u);
  give(DialDataRequest{0, 100'000});
  std::byte one;
  EXPECT_EQ(machine.poll_bytes({&one, 1}), 1u);
  EXPECT_LE(machine.snapshot().buffered_bytes, k_max_dial_data + 16);
  EXPECT_EQ(machine.snapshot().dial_data_sent, k_max_dial_data);
}

TEST_F(DialRequestClientTest, SendsNoMoreThanItMay) {
  EXPECT_EQ(said().size(), 1u);
  give(DialDataRequest{0, 100'001});
  expect_error(Errc::limit_reached);
  start_again();
  EXPECT_EQ(said().size(), 1u);
  give(DialDataRequest{0, std::numeric_limits<std::uint64_t>::max()});
  expect_error(Errc::limit_reached);
  machine = DialRequestClient(now, k_request, 0);
  EXPECT_EQ(said().size(), 1u);
  give(DialDataRequest{0, 1});
  expect_error(Errc::limit_reached);
}

TEST_F(DialRequestClientTest, PaysOnce) {
  EXPECT_EQ(said().size(), 1u);
  give(DialDataRequest{0, 10'000});
  give(DialDataRequest{0, 10'000});
  expect_error(Errc::protocol_violation);
}

TEST_F(DialRequestClientTest, StopsPayingWhenTheResponseIsThere) {
  EXPECT_EQ(said().size(), 1u);
  give(DialDataRequest{0, 100'000});
  Bytes out(10'000);
  EXPECT_EQ(machine.poll_bytes(out), out.size());
  give(DialResponse{ResponseStatus::request_rejected, 0, DialStatus::unused});
  EXPECT_TRUE(machine.result() && *machine.result());
  EXPECT_EQ(machine.poll_bytes(out), 0u);
  EXPECT_LE(machine.snapshot().dial_data_sent, 3 * k_max_dial_data);
}

TEST_F(DialRequestClientTest, ResponsesThatCannotBeAreErrors) {
  const std::vector<Message> messages = {DialResponse{ResponseStatus::ok, 1, DialStatus::ok},
                                         DialResponse{ResponseStatus::ok, 0, DialStatus::unused},
                                         DialDataRequest{1, 100}, DialRequest{}, DialDataResponse{}};
  for (const Message& message : messages) {
    start_again();
    give(message);
    expect_error(Errc::protocol_violation);
  }
  start_again();
  machine.handle_bytes(now, as_bytes("\x04\x12\x02\x08\x01"));
  expect_error(Errc::unsupported);
  start_again();
  machine.handle_bytes(now, as_bytes("\xff\xff\x01"));
  expect_error(Errc::oversized);
}

TEST_F(DialRequestClientTest, EndAndSilenceAreErrors) {
  machine.handle_eof(now);
  expect_error(Errc::stream_closed);
  start_again();
  EXPECT_EQ(machine.next_timeout(), now + 20s);
  machine.handle_timeout(now + 20s - 1ns);
  EXPECT_FALSE(machine.result());
  machine.handle_timeout(now + 20s);
  expect_error(Errc::timed_out);
}

}  // namespace
}  // namespace dig::autonat
