// SPDX-License-Identifier: Apache-2.0
// The client against our server, and against servers that lie.
#include "proto/directory/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/directory/server_stream.hpp"
#include "proto/directory/testing/server_fixture.hpp"

namespace dig::directory {
namespace {

using namespace testing;
using ::testing::ElementsAre;

struct DirectoryClientTest : ::testing::Test {
  Instant now = k_start;
  TestNode alice{1};
  TestNode mallory{2};
  StoreId photos = store_of(1);
  StoreId music = store_of(2);
  DirectoryClient client{now};

  void answer(const DirectoryResponse& response) {
    Bytes framed;
    append_frame(framed, encode_directory_response(response));
    client.handle_bytes(now, framed);
  }
  void answer(std::vector<FoundRecord> records, std::optional<DirectoryCursor> cursor = std::nullopt) {
    answer(DirectoryResponse{DirectoryStatus::ok, FoundRecords{std::move(records), cursor}});
  }
  // The only event, and then nothing.
  template <class T>
  T only_event() {
    ClientEvent event = client.poll_event().value();
    EXPECT_FALSE(client.poll_event());
    return std::get<T>(std::move(event));
  }
  // What a lie costs: the stream, and nothing of the answer is handed on.
  void expect_lie() {
    auto event = client.poll_event();
    ASSERT_TRUE(event && std::holds_alternative<ClientFailed>(*event));
    EXPECT_EQ(std::get<ClientFailed>(*event).error.code(), Errc::directory_lied);
    EXPECT_FALSE(client.poll_event());
    EXPECT_FALSE(client.wants_bytes());
    client = DirectoryClient(now);
  }
  FoundRecord holder(const TestNode& node) const {
    return {node.signed_record(k_wall_ms), node.signed_page(k_wall_ms, 0, {photos})};
  }
  void ask_holders(std::uint32_t limit = 10) { ASSERT_TRUE(client.find_holders(now, photos, std::nullopt, limit)); }
  static Bytes forged(const Bytes& good) {
    SignedEnvelope envelope = SignedEnvelope::decode(good).value();
    envelope.signature[9] ^= std::byte{1};
    return envelope.encode();
  }
};

TEST_F(DirectoryClientTest, HandsOnWhatPeersHaveSigned) {
  ask_holders();
  const FoundRecord found = holder(alice);
  answer({found}, DirectoryCursor{3, 4});
  const auto event = only_event<RecordsFound>();
  ASSERT_EQ(event.records.size(), 1u);
  EXPECT_EQ(event.records[0].record, alice.record(k_wall_ms));
  EXPECT_EQ(event.records[0].envelope, found.record);
  EXPECT_EQ(event.cursor, (DirectoryCursor{3, 4}));
}

TEST_F(DirectoryClientTest, AHolderMustHaveAnnouncedTheVeryStore) {
  ask_holders();
  answer({{alice.signed_record(k_wall_ms), alice.signed_page(k_wall_ms, 0, {music})}});
  expect_lie();
  ask_holders();
  answer({{alice.signed_record(k_wall_ms), {}}});
  expect_lie();
  ask_holders();
  answer({{alice.signed_record(k_wall_ms), mallory.signed_page(k_wall_ms, 0, {photos})}});
  expect_lie();
  ask_holders();
  answer({{alice.signed_record(k_wall_ms), alice.signed_page(k_wall_ms, 1, {photos})}});  // the record counts one page
  expect_lie();
  ask_holders();
  answer({{alice.signed_record(k_wall_ms), forged(alice.signed_page(k_wall_ms, 0, {photos}))}});
  expect_lie();
}

TEST_F(DirectoryClientTest, SwappedKeysAndStrangersAreALie) {
  // A record of alice signed by somebody else, and one whose key was exchanged.
  ASSERT_TRUE(client.find_peer(now, alice.peer()));
  answer({{mallory.sign(alice.record(k_wall_ms)), {}}});
  expect_lie();
  ASSERT_TRUE(client.find_peer(now, alice.peer()));
  SignedEnvelope swapped = SignedEnvelope::decode(alice.signed_record(k_wall_ms)).value();
  swapped.public_key = mallory.identity.public_key();
  answer({{swapped.encode(), {}}});
  expect_lie();
  ASSERT_TRUE(client.find_peer(now, alice.peer()));
  answer({{forged(alice.signed_record(k_wall_ms)), {}}});
  expect_lie();
  ASSERT_TRUE(client.find_peer(now, alice.peer()));
  answer({{mallory.signed_record(k_wall_ms), {}}});  // a perfectly good record of a stranger
  expect_lie();
  ASSERT_TRUE(client.find_peer(now, alice.peer()));
  answer({{to_bytes("rubbish"), {}}});
  expect_lie();
  ASSERT_TRUE(client.find_peer(now, alice.peer()));
  answer({{alice.signed_page(k_wall_ms, 0, {photos}), {}}});
  expect_lie();
}

TEST_F(DirectoryClientTest, OneLieSpoilsTheWholeAnswer) {
  ask_holders();
  answer({holder(alice), {mallory.signed_record(k_wall_ms), mallory.signed_page(k_wall_ms, 0, {music})}});
  expect_lie();
}

TEST_F(DirectoryClientTest, RolesMustBeThere) {
  NodeRecord relay = alice.record(k_wall_ms);
  relay.roles.add(NodeRole::relay);
  NodeRoles wanted = relay.roles;
  ASSERT_TRUE(client.find_roles(now, wanted, std::nullopt, 5));
  answer({{alice.sign(relay), {}}});
  EXPECT_EQ(only_event<RecordsFound>().records.size(), 1u);
  wanted.add(NodeRole::turn_pair_relay);
  ASSERT_TRUE(client.find_roles(now, wanted, std::nullopt, 5));
  answer({{alice.sign(relay), {}}});
  expect_lie();
}

TEST_F(DirectoryClientTest, MoreThanAskedTwiceTheSameOrNoEndIsALie) {
  ask_holders(1);
  answer({holder(alice), holder(mallory)});
  expect_lie();
  ask_holders();
  answer({holder(alice), holder(alice)});
  expect_lie();
  ask_holders();
  answer({}, DirectoryCursor{1, 2});
  expect_lie();
  ask_holders();
  answer(std::vector<FoundRecord>{});
  EXPECT_TRUE(only_event<RecordsFound>().records.empty());
}

TEST_F(DirectoryClientTest, RefusalsHaveTheirCodes) {
  const std::vector<std::pair<DirectoryStatus, Errc>> all = {
      {DirectoryStatus::malformed, Errc::malformed},
      {DirectoryStatus::busy, Errc::limit_reached},
      {DirectoryStatus::failed, Errc::directory_failed},
      {DirectoryStatus::from_future, Errc::record_from_future},
      {DirectoryStatus::outdated, Errc::record_outdated},
      {DirectoryStatus::another_peer, Errc::record_of_another_peer},
      {DirectoryStatus::full, Errc::directory_full},
      {DirectoryStatus::expired, Errc::record_expired},
      {DirectoryStatus::bad_signature, Errc::bad_signature},
      {DirectoryStatus::oversized, Errc::oversized}};
  for (const auto& [status, code] : all) {
    const auto request = client.register_envelopes(now, {alice.signed_record(k_wall_ms)});
    ASSERT_TRUE(request);
    answer(DirectoryResponse{status, {}});
    const auto refused = only_event<RequestRefused>();
    EXPECT_EQ(refused.request, *request);
    EXPECT_EQ(refused.error.code(), code);
    if (code != Errc::malformed) {
      EXPECT_EQ(directory_status_of(code), status);
    }
  }
}

TEST_F(DirectoryClientTest, AnAnswerOfAnotherKindOrUnaskedEndsTheStream) {
  ask_holders();
  answer(DirectoryResponse{DirectoryStatus::ok, Registered{}});
  EXPECT_EQ(only_event<ClientFailed>().error.code(), Errc::protocol_violation);
  client = DirectoryClient(now);
  ASSERT_TRUE(client.remove(now, alice.removal(1)));
  answer({holder(alice)});
  EXPECT_EQ(only_event<ClientFailed>().error.code(), Errc::protocol_violation);
  client = DirectoryClient(now);
  answer(std::vector<FoundRecord>());
  EXPECT_EQ(only_event<ClientFailed>().error.code(), Errc::protocol_violation);
}

TEST_F(DirectoryClientTest, ASilentServerIsGivenUp) {
  EXPECT_FALSE(client.next_timeout());
  ask_holders();
  EXPECT_EQ(client.next_timeout(), now + 10s);
  client.handle_timeout(now + 10s);
  EXPECT_EQ(only_event<ClientFailed>().error.code(), Errc::peer_silent);
  EXPECT_EQ(client.find_peer(now, alice.peer()).error().code(), Errc::stream_closed);
}

TEST_F(DirectoryClientTest, RequestsAreBounded) {
  for (int i = 0; i < 8; ++i) ask_holders();
  EXPECT_EQ(client.find_peer(now, alice.peer()).error().code(), Errc::limit_reached);
  client = DirectoryClient(now);
  EXPECT_EQ(client.register_envelopes(now, std::vector<Bytes>(5, Bytes(60'000))).error().code(), Errc::oversized);
}

// Registration, all pages of a listing and the removal, through both machines.
TEST_F(DirectoryClientTest, WorksWithOurServer) {
  ServerFixture fixture;
  for (std::uint64_t i = 10; i < 30; ++i) {
    const TestNode node(i);
    ASSERT_TRUE(
        fixture.register_all(node, {node.signed_record(k_wall_ms), node.signed_page(k_wall_ms, 0, {photos})}, i));
  }
  DirectoryServerStream stream(now, fixture.server, 1, {alice.peer(), 1});
  Bytes buffer(1000);
  std::vector<ClientEvent> events;
  const auto exchange = [&] {
    bool is_moving = true;
    while (is_moving) {
      is_moving = false;
      while (const std::size_t size = client.poll_bytes(now, buffer)) {
        stream.handle_bytes(now, BytesView(buffer).first(size));
        is_moving = true;
      }
      while (auto event = fixture.server.poll_event()) {
        if (const auto* persist = std::get_if<Persist>(&*event)) {
          fixture.server.handle_persisted(now, persist->token, PersistOutcome{});
        } else {
          stream.handle_acknowledged(now, std::get<Acknowledged>(*event));
        }
        is_moving = true;
      }
      while (const std::size_t size = stream.poll_bytes(now, buffer)) {
        client.handle_bytes(now, BytesView(buffer).first(size));
        is_moving = true;
      }
    }
    while (auto event = client.poll_event()) events.push_back(std::move(*event));
  };
  ASSERT_TRUE(
      client.register_envelopes(now, {alice.signed_record(k_wall_ms), alice.signed_page(k_wall_ms, 0, {photos})}));
  ASSERT_TRUE(client.find_holders(now, photos, std::nullopt, 8));
  exchange();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::get<RegistrationDone>(events[0]).registered.expires_in, std::chrono::hours(1));
  std::size_t found = std::get<RecordsFound>(events[1]).records.size();
  while (const auto cursor = std::get<RecordsFound>(events.back()).cursor) {
    ASSERT_TRUE(client.find_holders(now, photos, cursor, 8));
    exchange();
    ASSERT_TRUE(std::holds_alternative<RecordsFound>(events.back()));
    found += std::get<RecordsFound>(events.back()).records.size();
  }
  EXPECT_EQ(found, 21u);
  EXPECT_EQ(events.size(), 4u);
  ASSERT_TRUE(client.remove(now, alice.removal(k_wall_ms + 1)));
  ASSERT_TRUE(client.find_peer(now, alice.peer()));
  exchange();
  EXPECT_EQ(std::get<RegistrationDone>(events.at(4)).registered.expires_in, std::chrono::seconds(0));
  EXPECT_TRUE(std::get<RecordsFound>(events.at(5)).records.empty());
}

}  // namespace
}  // namespace dig::directory
