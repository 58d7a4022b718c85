// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/server_stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/directory/testing/server_fixture.hpp"

namespace dig::directory {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using enum DirectoryStatus;

struct DirectoryServerStreamTest : ::testing::Test, ServerFixture {
  TestNode alice{1};
  TestNode bob{2};
  StoreId photos = store_of(1);
  DirectoryServerStream stream{now, server, 9, {alice.peer(), 1}};
  Bytes received;

  void send(const DirectoryRequest& message) {
    Bytes framed;
    append_frame(framed, encode_directory_request(message));
    stream.handle_bytes(now, framed);
    collect();
  }
  void collect() {
    Bytes buffer(100'000);
    while (const std::size_t size = stream.poll_bytes(now, buffer)) append(received, BytesView(buffer).first(size));
  }
  void write_to_disk() {
    while (auto event = server.poll_event()) {
      if (const auto* persist = std::get_if<Persist>(&*event)) {
        server.handle_persisted(now, persist->token, PersistOutcome{.is_replicated = true});
      } else if (const auto* done = std::get_if<Acknowledged>(&*event)) {
        EXPECT_EQ(done->registration.stream, 9u);
        stream.handle_acknowledged(now, *done);
      }
    }
    collect();
  }
  std::vector<DirectoryResponse> responses() {
    std::vector<DirectoryResponse> out;
    FrameReader frames(k_max_directory_message);
    BytesView rest = received;
    while (!rest.empty()) {
      rest = rest.subspan(frames.feed(rest).value());
      if (const auto frame = frames.take_frame()) out.push_back(decode_directory_response(*frame).value());
    }
    EXPECT_TRUE(frames.is_idle());
    received.clear();
    return out;
  }
  std::vector<DirectoryStatus> statuses() {
    std::vector<DirectoryStatus> out;
    for (const DirectoryResponse& response : responses()) out.push_back(response.status);
    return out;
  }
  Errc failure() {
    const auto event = stream.poll_event();
    EXPECT_TRUE(event && event->error);
    return event && event->error ? event->error->code() : Errc::internal;
  }
};

TEST_F(DirectoryServerStreamTest, RegistersAndFindsInTheOrderOfTheRequests) {
  send(RegisterRequest{{alice.signed_record(k_wall_ms), alice.signed_page(k_wall_ms, 0, {photos})}});
  send(FindHoldersRequest{photos, std::nullopt, 10});
  send(FindPeerRequest{bob.peer()});
  EXPECT_TRUE(received.empty()) << "the first is not durable yet";
  write_to_disk();
  const auto answers = responses();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(std::get<Registered>(answers[0].body), (Registered{std::chrono::hours(1), true}));
  EXPECT_THAT(peers_of(std::get<FoundRecords>(answers[1].body).records), ElementsAre(alice.peer()));
  EXPECT_TRUE(std::get<FoundRecords>(answers[2].body).records.empty());
  stream.handle_eof(now);
  const auto event = stream.poll_event();
  ASSERT_TRUE(event);
  EXPECT_FALSE(event->error);
}

TEST_F(DirectoryServerStreamTest, RefusalsHaveTheirNamesAndTheStreamGoesOn) {
  send(RegisterRequest{{bob.signed_record(k_wall_ms)}});
  send(RegisterRequest{{alice.signed_record(k_wall_ms + 3'600'001)}});
  send(RegisterRequest{{alice.signed_record(k_wall_ms - 3'600'000)}});
  send(RegisterRequest{{to_bytes("rubbish")}});
  SignedEnvelope forged = SignedEnvelope::decode(alice.signed_record(k_wall_ms)).value();
  forged.signature[0] ^= std::byte{1};
  send(RegisterRequest{{forged.encode()}});
  EXPECT_THAT(statuses(), ElementsAre(another_peer, from_future, expired, malformed, bad_signature));
  send(RegisterRequest{{alice.signed_record(k_wall_ms)}});
  write_to_disk();
  send(RegisterRequest{{alice.signed_record(k_wall_ms - 1)}});
  send(RemoveRequest{alice.removal(k_wall_ms + 1)});
  write_to_disk();
  EXPECT_THAT(statuses(), ElementsAre(ok, outdated, ok));
  EXPECT_FALSE(knows(alice));
  EXPECT_FALSE(stream.poll_event());
}

TEST_F(DirectoryServerStreamTest, ADiskThatFailsIsTold) {
  send(RegisterRequest{{alice.signed_record(k_wall_ms)}});
  const auto event = server.poll_event();
  server.handle_persisted(now, std::get<Persist>(*event).token, fail(Errc::disk_full));
  write_to_disk();
  EXPECT_THAT(statuses(), ElementsAre(failed));
}

TEST_F(DirectoryServerStreamTest, WhatIsNotUnderstoodIsAnsweredLastAndEndsTheStream) {
  send(FindPeerRequest{bob.peer()});
  Bytes rubbish;
  append_frame(rubbish, to_bytes("\xff\xff"));
  stream.handle_bytes(now, rubbish);
  EXPECT_FALSE(stream.wants_bytes());
  collect();
  EXPECT_THAT(statuses(), ElementsAre(ok, malformed));
  EXPECT_EQ(failure(), Errc::malformed);
}

TEST_F(DirectoryServerStreamTest, AnOversizedRequestIsRefusedByItsPrefix) {
  Bytes prefix;
  write_uvarint(prefix, k_max_directory_message + 1);
  stream.handle_bytes(now, prefix);
  collect();
  EXPECT_THAT(statuses(), ElementsAre(oversized));
  EXPECT_EQ(failure(), Errc::oversized);
}

TEST_F(DirectoryServerStreamTest, PipelinedRequestsAreBounded) {
  Bytes many;
  for (int i = 0; i < 100; ++i) append_frame(many, encode_directory_request(FindPeerRequest{bob.peer()}));
  send(RegisterRequest{{alice.signed_record(k_wall_ms)}});  // the disk is slow
  stream.handle_bytes(now, many);
  EXPECT_FALSE(stream.wants_bytes());
  EXPECT_EQ(stream.snapshot().requests_waiting, 8u);
  write_to_disk();
  EXPECT_TRUE(stream.wants_bytes());
  EXPECT_EQ(responses().size(), 101u);
  send(RegisterRequest{{alice.signed_record(k_wall_ms + 1)}});
  for (int i = 0; i < 20; ++i) stream.handle_bytes(now, many);
  EXPECT_EQ(failure(), Errc::flood);
}

// Memory for a peer that asks and does not read: no look-up is made before its answer has room.
TEST_F(DirectoryServerStreamTest, APeerThatDoesNotReadCostsOneAnswer) {
  std::vector<StoreId> stores;
  for (std::uint64_t i = 0; i < StoreAnnouncement::max_stores; ++i) stores.push_back(store_of(i));
  for (std::uint64_t i = 1; i <= 8; ++i) {
    const TestNode node(i);
    ASSERT_TRUE(register_all(node, {node.signed_record(k_wall_ms), node.signed_page(k_wall_ms, 0, stores)}, i));
  }
  Bytes requests;
  for (int i = 0; i < 8; ++i) append_frame(requests, encode_directory_request(FindHoldersRequest{stores[1], {}, 64}));
  stream.handle_bytes(now, requests);
  EXPECT_GT(stream.snapshot().output_bytes, 200'000u);
  EXPECT_LE(stream.snapshot().output_bytes, 64u * 1024 + k_max_directory_message + 4);
  EXPECT_EQ(stream.snapshot().requests_waiting, 7u);
  ASSERT_TRUE(stream.next_timeout());
  Bytes little(1000);
  for (int minute = 0; minute < 2; ++minute) {
    now = *stream.next_timeout() - 1ns;
    stream.handle_timeout(now);
    ASSERT_FALSE(stream.poll_event());
    for (int i = 0; i < (minute == 0 ? 66 : 1); ++i) std::ignore = stream.poll_bytes(now, little);
  }
  now = *stream.next_timeout();
  stream.handle_timeout(now);
  EXPECT_EQ(failure(), Errc::peer_silent);
}

TEST_F(DirectoryServerStreamTest, SilenceEndsTheStreamButTheDiskHasItsTime) {
  EXPECT_EQ(stream.next_timeout(), now + 60s);
  send(RegisterRequest{{alice.signed_record(k_wall_ms)}});
  EXPECT_FALSE(stream.next_timeout());
  now = now + 100s;
  write_to_disk();
  EXPECT_THAT(statuses(), ElementsAre(ok));
  EXPECT_EQ(stream.next_timeout(), now + 60s);
  stream.handle_timeout(now + 60s);
  EXPECT_EQ(failure(), Errc::phase_timeout);
}

TEST_F(DirectoryServerStreamTest, TooManyEnvelopesInAShortTimeAreBusy) {
  DirectoryServerStream::Limits limits;
  limits.envelopes = {.per_second = 1, .burst = 2};
  DirectoryServerStream slow(now, server, 9, {alice.peer(), 1}, limits);
  const std::uint64_t before = verified();
  Bytes requests;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    append_frame(requests, encode_directory_request(RegisterRequest{{alice.signed_record(k_wall_ms + i)}}));
  }
  append_frame(requests, encode_directory_request(RemoveRequest{alice.removal(k_wall_ms + 9)}));
  slow.handle_bytes(now, requests);
  EXPECT_EQ(verified(), before + 2);
  while (auto event = server.poll_event()) {
    if (const auto* persist = std::get_if<Persist>(&*event)) {
      server.handle_persisted(now, persist->token, PersistOutcome{});
    } else {
      slow.handle_acknowledged(now, std::get<Acknowledged>(*event));
    }
  }
  Bytes buffer(10'000);
  received = to_bytes(BytesView(buffer).first(slow.poll_bytes(now, buffer)));
  EXPECT_THAT(statuses(), ElementsAre(ok, ok, busy, busy, busy));
}

TEST_F(DirectoryServerStreamTest, AnEndInsideARequestIsAnError) {
  Bytes framed;
  append_frame(framed, encode_directory_request(FindPeerRequest{bob.peer()}));
  stream.handle_bytes(now, BytesView(framed).first(framed.size() - 1));
  stream.handle_eof(now);
  EXPECT_EQ(failure(), Errc::truncated);
}

}  // namespace
}  // namespace dig::directory
