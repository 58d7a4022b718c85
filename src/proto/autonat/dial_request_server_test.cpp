// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/dial_request_server.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "wire/identity.hpp"

namespace dig::autonat {
namespace {

const Multiaddr k_address = Multiaddr::parse("/ip4/8.8.8.8/tcp/4001").value();
const IpAddress k_same = IpAddress::parse("8.8.8.8").value();
const IpAddress k_other = IpAddress::parse("9.9.9.9").value();

class DialRequestServerTest : public ::testing::Test {
 protected:
  void start(const IpAddress& observed, const DialPolicy& policy = {}, const DialRequestServer::Limits& limits = {}) {
    machine.emplace(now, peer, observed, policy, book, rng, limits);
  }
  void give(const Message& message) {
    Bytes framed;
    append_frame(framed, encode_message(message));
    machine->handle_bytes(now, framed);
  }
  void request(std::vector<Multiaddr> addresses = {k_address}) { give(DialRequest{std::move(addresses), 77}); }
  std::optional<Message> said() {
    Bytes out(4096);
    out.resize(machine->poll_bytes(out));
    if (out.empty()) return std::nullopt;
    FrameReader frames(k_max_message);
    EXPECT_EQ(frames.feed(out), out.size());
    const auto frame = frames.take_frame();
    EXPECT_TRUE(frame);
    return decode_message(*frame).value();
  }
  void expect_response(const DialResponse& response) {
    EXPECT_FALSE(machine->is_done());
    EXPECT_EQ(said(), Message(response));
    EXPECT_TRUE(machine->is_done());
    EXPECT_FALSE(machine->next_timeout());
    EXPECT_FALSE(machine->take_result());
    EXPECT_EQ(book.snapshot().running, 0u);
  }
  void expect_failure(Errc code) {
    const auto result = machine->take_result();
    ASSERT_TRUE(result && !*result);
    EXPECT_EQ(result->error().code(), code);
    EXPECT_FALSE(machine->next_timeout());
    EXPECT_FALSE(machine->is_done());
    EXPECT_FALSE(said());
    EXPECT_EQ(book.snapshot().running, 0u);
  }
  void expect_dial() {
    EXPECT_TRUE(machine->snapshot().is_dialling);
    const auto task = machine->take_result();
    ASSERT_TRUE(task && *task);
    EXPECT_EQ(**task, (WantDialBack{peer, k_address, {k_same, 4001}, 77}));
    EXPECT_FALSE(machine->take_result()) << "once";
  }
  // Asks from another address than the one to be dialled; returns how much dial data is wanted.
  std::uint64_t request_from_elsewhere() {
    start(k_other);
    request();
    const auto asked = said();
    EXPECT_TRUE(asked && std::holds_alternative<DialDataRequest>(*asked));
    EXPECT_EQ(std::get<DialDataRequest>(*asked).address_index, 0u);
    return std::get<DialDataRequest>(*asked).size;
  }
  void give_data(std::size_t size) { give(DialDataResponse{Bytes(size)}); }

  SeededRng rng{1};
  Instant now{1h};
  const PeerId peer = Identity::generate(rng).peer_id();
  RequestBook book;
  std::optional<DialRequestServer> machine;
};

TEST_F(DialRequestServerTest, DialsTheAddressWhereTheClientWasSeenAtOnce) {
  start(k_same);
  EXPECT_EQ(book.snapshot().running, 0u);
  request();
  EXPECT_EQ(book.snapshot().running, 1u);
  EXPECT_EQ(book.snapshot().reading, 0u);
  EXPECT_FALSE(said()) << "no dial data is asked for";
  expect_dial();
  machine->handle_dial_back_result(DialBackOutcome::dialled_back);
  expect_response({ResponseStatus::ok, 0, DialStatus::ok});
}

TEST_F(DialRequestServerTest, SaysHowTheDialBackEnded) {
  const std::vector<std::pair<DialBackOutcome, DialResponse>> cases = {
      {DialBackOutcome::dialled_back, {ResponseStatus::ok, 0, DialStatus::ok}},
      {DialBackOutcome::not_connected, {ResponseStatus::ok, 0, DialStatus::dial_error}},
      {DialBackOutcome::not_delivered, {ResponseStatus::ok, 0, DialStatus::dial_back_error}},
      {DialBackOutcome::not_tried, {ResponseStatus::internal_error, 0, DialStatus::unused}}};
  for (const auto& [outcome, response] : cases) {
    start(k_same);
    request();
    EXPECT_TRUE(machine->take_result());
    machine->handle_dial_back_result(outcome);
    machine->handle_dial_back_result(DialBackOutcome::dialled_back);  // no second word
    expect_response(response);
  }
}

TEST_F(DialRequestServerTest, TakesTheFirstAddressThatItMayDialAndNoOther) {
  start(k_same, {.has_v6 = false});
  request({Multiaddr(), Multiaddr::parse("/ip4/10.0.0.1/tcp/4001").value(),
           Multiaddr::parse("/ip6/2a00::1/tcp/4001").value(), k_address,
           Multiaddr::parse("/ip4/1.1.1.1/tcp/4001").value()});
  expect_dial();
  machine->handle_dial_back_result(DialBackOutcome::not_connected);
  expect_response({ResponseStatus::ok, 3, DialStatus::dial_error});
}

TEST_F(DialRequestServerTest, TheDialIsForTheClientWhateverThePeerIdInTheAddress) {
  start(k_same);
  request({k_address.with_peer_id(Identity::generate(rng).peer_id()).value(), k_address.with_peer_id(peer).value()});
  expect_dial();
  machine->handle_dial_back_result(DialBackOutcome::dialled_back);
  expect_response({ResponseStatus::ok, 1, DialStatus::ok});
}

TEST_F(DialRequestServerTest, RefusesWhenThereIsNothingToDial) {
  for (const auto& addresses : {std::vector<Multiaddr>{}, {Multiaddr::parse("/ip4/192.168.1.2/tcp/4001").value()}}) {
    start(k_same);
    request(addresses);
    EXPECT_FALSE(machine->take_result());
    expect_response({.status = ResponseStatus::dial_refused});
  }
}

TEST_F(DialRequestServerTest, RejectsRequestsBeyondWhatItServes) {
  std::vector<RequestBook::Place> places;
  for (int i = 0; i < 2; ++i) places.push_back(*book.admit(now, peer, 1));
  start(k_same);
  request();
  places.clear();
  expect_response({.status = ResponseStatus::request_rejected});
}

TEST_F(DialRequestServerTest, RejectsStreamsOfOnePeerThatSayNothingBeyondItsShareWithoutReadingThem) {
  std::vector<RequestBook::Reading> silent;
  for (int i = 0; i < 4; ++i) silent.push_back(*book.start_reading(peer));
  start(k_same);
  EXPECT_EQ(said(), Message(DialResponse{.status = ResponseStatus::request_rejected}));
  EXPECT_TRUE(machine->is_done());
  request();
  EXPECT_FALSE(machine->take_result());
  EXPECT_FALSE(said());
}

// A bootstrap server once had 128 places, and each stream took one before it had said anything.
TEST_F(DialRequestServerTest, StreamsThatSayNothingKeepNobodyOut) {
  std::vector<std::unique_ptr<DialRequestServer>> silent;
  for (std::uint8_t number = 0; number < 100; ++number) {
    const PeerId stranger = Identity::generate(rng).peer_id();
    for (int i = 0; i < 4; ++i) {
      silent.push_back(std::make_unique<DialRequestServer>(now, stranger, IpAddress::v4({number, 1, 1, 1}),
                                                           DialPolicy(), book, rng));
    }
  }
  EXPECT_EQ(book.snapshot().reading, 400u);
  start(k_same);
  request();
  expect_dial();
  EXPECT_EQ(book.snapshot().running, 1u);

  now = now + 3s;
  for (const auto& stream : silent) {
    stream->handle_timeout(now);
    const auto result = stream->take_result();
    ASSERT_TRUE(result && !*result);
    EXPECT_EQ(result->error().code(), Errc::timed_out);
  }
  EXPECT_EQ(book.snapshot().reading, 0u);
  EXPECT_EQ(book.snapshot().in_last_minute, 1u);
}

TEST_F(DialRequestServerTest, ARequestComesWithinThreeSeconds) {
  start(k_same);
  EXPECT_EQ(machine->next_timeout(), now + 3s);
  Bytes framed;
  append_frame(framed, encode_message(DialRequest{{k_address}, 77}));
  machine->handle_bytes(now, BytesView(framed).first(framed.size() - 1));
  machine->handle_timeout(now + 3s - 1ns);
  EXPECT_EQ(book.snapshot().reading, 1u);
  machine->handle_timeout(now + 3s);
  expect_failure(Errc::timed_out);
  EXPECT_EQ(book.snapshot().reading, 0u);
}

TEST_F(DialRequestServerTest, AsksForDialDataBeforeItDialsAnotherAddress) {
  const std::uint64_t wanted = request_from_elsewhere();
  EXPECT_GE(wanted, 30'000u);
  EXPECT_LE(wanted, 100'000u);
  std::uint64_t left = wanted;
  while (left > 4096) {
    give_data(4096);
    left -= 4096;
    EXPECT_FALSE(machine->snapshot().is_dialling);
  }
  give_data(left - 1);
  now = now + 3s;
  machine->handle_timeout(now);
  EXPECT_FALSE(machine->take_result()) << "a byte is missing";
  give_data(1);
  EXPECT_EQ(machine->snapshot().dial_data_received, wanted);
  now = now + 3s;
  machine->handle_timeout(now);
  expect_dial();
  machine->handle_dial_back_result(DialBackOutcome::dialled_back);
  expect_response({ResponseStatus::ok, 0, DialStatus::ok});
}

TEST_F(DialRequestServerTest, TheLastPieceOfDialDataMayBeLargerThanNeeded) {
  const std::uint64_t wanted = request_from_elsewhere();
  for (std::uint64_t sent = 0; sent < wanted; sent += 4096) give_data(4096);
  give_data(4096);  // and one too many is no matter
  now = now + 3s;
  machine->handle_timeout(now);
  expect_dial();
}

TEST_F(DialRequestServerTest, AsksForAnotherAmountAndWaitsForAnotherTimeEachTime) {
  std::set<std::uint64_t> amounts;
  std::set<Duration> waits;
  for (int i = 0; i < 6; ++i) {
    now = now + 1min;  // for the limits
    const std::uint64_t wanted = request_from_elsewhere();
    amounts.insert(wanted);
    for (std::uint64_t sent = 0; sent < wanted; sent += 4096) give_data(4096);
    const Duration wait = machine->next_timeout().value() - now;
    EXPECT_LE(wait, 3s);
    waits.insert(wait);
    machine->handle_timeout(now + wait - 1ns);
    EXPECT_FALSE(machine->take_result());
    machine->handle_timeout(now + wait);
    expect_dial();
    machine.reset();
  }
  EXPECT_EQ(amounts.size(), 6u);
  EXPECT_EQ(waits.size(), 6u);
}

TEST_F(DialRequestServerTest, TakesNoDialDataInTinyPieces) {
  static_cast<void>(request_from_elsewhere());
  give_data(100);
  EXPECT_FALSE(machine->take_result());
  give_data(99);
  expect_failure(Errc::flood);
}

TEST_F(DialRequestServerTest, RejectsMoreDialsElsewhereThanItsShare) {
  for (int i = 0; i < 6; ++i) {
    static_cast<void>(request_from_elsewhere());
    machine.reset();
  }
  start(k_other);
  request();
  expect_response({.status = ResponseStatus::request_rejected});
  start(k_same);
  request();
  expect_dial();
}

TEST_F(DialRequestServerTest, ADialThatTakesTooLongIsNone) {
  start(k_same);
  request();
  EXPECT_TRUE(machine->take_result());
  EXPECT_EQ(machine->next_timeout(), now + 10s);
  machine->handle_timeout(now + 10s - 1ns);
  EXPECT_FALSE(said());
  now = now + 10s;
  machine->handle_timeout(now);
  machine->handle_dial_back_result(DialBackOutcome::dialled_back);
  expect_response({ResponseStatus::ok, 0, DialStatus::dial_error});
}

TEST_F(DialRequestServerTest, TheStreamHas15SecondsInEachStateOnceItHasAsked) {
  const Instant end = now + 15s;
  const auto expect_end = [&] {
    EXPECT_LE(machine->next_timeout().value(), end);
    machine->handle_timeout(end);
    expect_failure(Errc::timed_out);
  };
  static_cast<void>(request_from_elsewhere());  // no dial data
  machine->handle_timeout(end - 1ns);
  EXPECT_FALSE(machine->take_result());
  expect_end();

  const std::uint64_t wanted = request_from_elsewhere();  // a dial that began late
  now = now + 11s;
  for (std::uint64_t sent = 0; sent < wanted; sent += 4096) give_data(4096);
  machine->handle_timeout(now + 3s);
  EXPECT_TRUE(machine->take_result());
  expect_end();
  now = now - 11s;

  start(k_same);  // a response that is not read
  request();
  EXPECT_TRUE(machine->take_result());
  machine->handle_dial_back_result(DialBackOutcome::dialled_back);
  expect_end();
}

TEST_F(DialRequestServerTest, AClientMayFinishItsHalfOnceItHasAsked) {
  start(k_same);
  request();
  machine->handle_eof(now);
  expect_dial();
  machine->handle_dial_back_result(DialBackOutcome::dialled_back);
  expect_response({ResponseStatus::ok, 0, DialStatus::ok});
}

TEST_F(DialRequestServerTest, AnEarlyEndIsAnError) {
  start(k_same);
  machine->handle_eof(now);
  expect_failure(Errc::stream_closed);
  static_cast<void>(request_from_elsewhere());
  give_data(4096);
  machine->handle_eof(now);
  expect_failure(Errc::stream_closed);
}

TEST_F(DialRequestServerTest, MessagesOutOfTurnAreErrors) {
  start(k_same);
  give_data(4096);
  expect_failure(Errc::protocol_violation);
  start(k_same);
  give(DialResponse{});
  expect_failure(Errc::protocol_violation);
  static_cast<void>(request_from_elsewhere());
  request();
  expect_failure(Errc::protocol_violation);
  start(k_same);
  machine->handle_bytes(now, as_bytes("\x01\x0F"));
  expect_failure(Errc::malformed);
  start(k_same);
  machine->handle_bytes(now, as_bytes("\x81\x40"));
  expect_failure(Errc::oversized);
}

TEST_F(DialRequestServerTest, KeepsNothingOfWhatComesWhileItDials) {
  start(k_same);
  request();
  machine->handle_bytes(now, Bytes(1 << 20));
  EXPECT_EQ(machine->snapshot().buffered_bytes, 0u);
  expect_dial();
}

TEST_F(DialRequestServerTest, AMachineThatIsDroppedGivesItsPlaceBack) {
  start(k_same);
  request();
  EXPECT_EQ(book.snapshot().running, 1u);
  machine.reset();
  EXPECT_EQ(book.snapshot().running, 0u);
}

}  // namespace
}  // namespace dig::autonat
