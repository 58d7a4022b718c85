// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/directory/testing/server_fixture.hpp"

namespace dig::directory {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

template <class T>
Errc code_of(const Result<T>& result) {
  EXPECT_FALSE(result);
  return result ? Errc::internal : result.error().code();
}

struct DirectoryServerTest : ::testing::Test, ServerFixture {
  TestNode alice{1};
  TestNode bob{2};
  StoreId photos = store_of(1);
  StoreId music = store_of(2);

  std::vector<Bytes> announcing(const TestNode& node, std::uint64_t sequence, std::vector<StoreId> stores) {
    return {node.signed_record(sequence), node.signed_page(sequence, 0, std::move(stores))};
  }
  static NodeRoles roles(std::initializer_list<NodeRole> list) {
    NodeRoles out;
    for (const NodeRole role : list) out.add(role);
    return out;
  }
};

TEST_F(DirectoryServerTest, WhatAPeerRegistersIsFoundAsItWasSigned) {
  const std::vector<Bytes> envelopes = announcing(alice, k_wall_ms, {photos, music});
  ASSERT_TRUE(register_all(alice, envelopes));
  const FoundRecords holders = server.find_holders(photos, {}, 64);
  ASSERT_EQ(holders.records.size(), 1u);
  EXPECT_EQ(holders.records[0].record, envelopes[0]);
  EXPECT_EQ(holders.records[0].announcement, envelopes[1]);
  EXPECT_FALSE(holders.cursor);
  EXPECT_THAT(this->holders(music), ElementsAre(alice.peer()));
  EXPECT_THAT(this->holders(store_of(3)), IsEmpty());
  const FoundRecords peer = server.find_peer(alice.peer());
  ASSERT_EQ(peer.records.size(), 1u);
  EXPECT_EQ(peer.records[0], (FoundRecord{envelopes[0], {}}));
  EXPECT_FALSE(knows(bob));
}

TEST_F(DirectoryServerTest, PeersAreFoundByAllOfTheirRoles) {
  NodeRecord relay = alice.record(k_wall_ms);
  relay.roles = roles({NodeRole::relay, NodeRole::autonat_server});
  NodeRecord turn = bob.record(k_wall_ms);
  turn.roles = roles({NodeRole::relay, NodeRole::turn_pair_relay});
  turn.roles.bits |= 1U << 20U;  // of a later version
  ASSERT_TRUE(register_all(alice, {alice.sign(relay)}));
  ASSERT_TRUE(register_all(bob, {bob.sign(turn)}));
  EXPECT_THAT(with_roles(roles({NodeRole::relay})), UnorderedElementsAre(alice.peer(), bob.peer()));
  EXPECT_THAT(with_roles(roles({NodeRole::relay, NodeRole::turn_pair_relay})), ElementsAre(bob.peer()));
  EXPECT_THAT(with_roles(roles({NodeRole::autonat_server, NodeRole::turn_pair_relay})), IsEmpty());
  EXPECT_THAT(with_roles(roles({NodeRole::bootstrap})), IsEmpty());
  // A record without the role takes the peer out.
  ASSERT_TRUE(register_all(alice, {alice.signed_record(k_wall_ms + 1)}));
  EXPECT_THAT(with_roles(roles({NodeRole::relay})), ElementsAre(bob.peer()));
}

// --- acknowledgements --------------------------------------------------------------------------------------------

TEST_F(DirectoryServerTest, NothingIsAcknowledgedBeforeItIsDurable) {
  ASSERT_TRUE(try_register(alice, announcing(alice, k_wall_ms, {photos})));
  drain();
  EXPECT_TRUE(acknowledged.empty());
  EXPECT_TRUE(knows(alice)) << "found already";
  ASSERT_TRUE(batch);
  persist(PersistOutcome{.is_replicated = true});
  ASSERT_TRUE(acknowledged.at(request));
  EXPECT_EQ(*acknowledged.at(request), (Registered{std::chrono::hours(1), true}));
  ASSERT_EQ(disk.size(), 2u);
  const store::DirectoryRow& row = disk.at({alice.peer(), 0});
  EXPECT_EQ(row.lifetime, 1h);
  EXPECT_EQ(row.source, 1u);
  EXPECT_EQ(row.sequence, k_wall_ms);
}

TEST_F(DirectoryServerTest, OneBatchIsWrittenWhileTheNextGathers) {
  ASSERT_TRUE(try_register(alice, announcing(alice, k_wall_ms, {photos})));
  drain();
  const std::uint64_t first = request;
  const std::size_t written = batch->changes.size();
  ASSERT_TRUE(try_register(bob, {bob.signed_record(k_wall_ms)}));
  ASSERT_TRUE(try_register(bob, {bob.signed_page(k_wall_ms, 0, {music})}));
  drain();
  EXPECT_EQ(batch->changes.size(), written);
  EXPECT_TRUE(acknowledged.empty());
  persist(PersistOutcome{});
  EXPECT_TRUE(acknowledged.contains(first));
  EXPECT_FALSE(acknowledged.contains(request));
  ASSERT_TRUE(batch) << "both of bob's requests";
  persist(PersistOutcome{});
  EXPECT_TRUE(acknowledged.contains(request) && acknowledged.contains(request - 1));
  EXPECT_FALSE(batch);
  EXPECT_EQ(server.snapshot().unpersisted, 0u);
}

TEST_F(DirectoryServerTest, AnAnswerThatBelongsToNoBatchIsIgnored) {
  ASSERT_TRUE(try_register(alice, {alice.signed_record(k_wall_ms)}));
  drain();
  server.handle_persisted(now, {batch->token.value + 1}, PersistOutcome{});
  drain();
  EXPECT_TRUE(acknowledged.empty());
}

TEST_F(DirectoryServerTest, WhatCouldNotBeWrittenIsRefusedAndWrittenWhenItComesAgain) {
  const std::vector<Bytes> envelopes = announcing(alice, k_wall_ms, {photos});
  ASSERT_TRUE(try_register(alice, envelopes));
  drain();
  persist(fail(Errc::disk_full, "no space"));
  EXPECT_EQ(code_of(acknowledged.at(request)), Errc::directory_failed);
  EXPECT_TRUE(disk.empty());
  ASSERT_TRUE(register_all(alice, envelopes));
  EXPECT_EQ(disk.size(), 2u);
}

// It is written once, and whoever registers it meanwhile waits for that.
TEST_F(DirectoryServerTest, TheSameAgainWhileItIsWrittenWaitsForIt) {
  const std::vector<Bytes> envelopes = announcing(alice, k_wall_ms, {photos});
  for (const bool can_write : {false, true}) {
    ASSERT_TRUE(try_register(alice, envelopes));
    drain();
    const std::uint64_t first = request;
    ASSERT_TRUE(try_register(alice, envelopes));
    drain();
    EXPECT_FALSE(acknowledged.contains(first) || acknowledged.contains(request));
    EXPECT_LE(server.snapshot().unpersisted, 3u) << "what is being written, and no more";
    persist(can_write ? Result<PersistOutcome>(PersistOutcome{}) : fail(Errc::disk_full));
    EXPECT_EQ(acknowledged.at(first).has_value(), can_write);
    if (can_write) {
      EXPECT_FALSE(acknowledged.contains(request));
      persist(PersistOutcome{});
    }
    EXPECT_EQ(acknowledged.at(request).has_value(), can_write);
  }
}

TEST_F(DirectoryServerTest, TheSameAgainCostsNothingAndGivesNoTime) {
  const std::vector<Bytes> envelopes = announcing(alice, k_wall_ms, {photos});
  ASSERT_TRUE(register_all(alice, envelopes));
  const std::uint64_t before = verified();
  advance(10min);
  ASSERT_TRUE(try_register(alice, envelopes));
  drain();
  EXPECT_FALSE(batch);
  ASSERT_TRUE(acknowledged.contains(request)) << "at once";
  EXPECT_EQ(acknowledged.at(request)->expires_in, std::chrono::minutes(50));
  EXPECT_FALSE(acknowledged.at(request)->is_replicated);
  EXPECT_EQ(verified(), before);
}

TEST_F(DirectoryServerTest, ReplicatedIsSaidOnlyWhenAllOfItIs) {
  const std::vector<Bytes> envelopes = announcing(alice, k_wall_ms, {photos});
  ASSERT_TRUE(register_all(alice, envelopes));  // on the disk only
  ASSERT_TRUE(try_register(alice, {alice.signed_record(k_wall_ms + 1), envelopes[1]}));
  drain();
  persist(PersistOutcome{.is_replicated = true});
  EXPECT_FALSE(acknowledged.at(request)->is_replicated) << "the page is not";
  ASSERT_TRUE(try_register(alice, {alice.signed_record(k_wall_ms + 1)}));
  drain();
  EXPECT_TRUE(acknowledged.at(request)->is_replicated);
}

TEST_F(DirectoryServerTest, WhatOtherMachinesMayHaveLostIsNotCalledReplicated) {
  const std::vector<Bytes> envelopes = announcing(alice, k_wall_ms, {photos});
  const auto is_replicated = [&] {
    EXPECT_TRUE(try_register(alice, envelopes));
    drain();
    return acknowledged.at(request)->is_replicated;
  };
  ASSERT_TRUE(try_register(alice, envelopes));
  drain();
  persist(PersistOutcome{.is_replicated = true});
  EXPECT_TRUE(is_replicated());
  server.forget_replicas();
  EXPECT_FALSE(is_replicated());
  server.handle_replicated(std::vector<store::RowName>{{alice.peer(), 0, k_wall_ms}, {alice.peer(), 1, k_wall_ms - 1}});
  EXPECT_FALSE(is_replicated()) << "the page that was replicated is another one";
  server.handle_replicated(std::vector<store::RowName>{{alice.peer(), 1, k_wall_ms}, {bob.peer(), 0, 1}});
  EXPECT_TRUE(is_replicated());
}

TEST_F(DirectoryServerTest, WhatIsLostWhileSomebodyWaitsIsNotCalledReplicated) {
  const std::vector<Bytes> envelopes = announcing(alice, k_wall_ms, {photos});
  ASSERT_TRUE(try_register(alice, envelopes));
  drain();
  persist(PersistOutcome{.is_replicated = true});
  ASSERT_TRUE(try_register(alice, {alice.signed_record(k_wall_ms + 1), envelopes[1]}));
  drain();
  server.forget_replicas();
  persist(PersistOutcome{.is_replicated = true});
  EXPECT_FALSE(acknowledged.at(request)->is_replicated) << "the page may be lost";
  // Sent again while the first is being written: it waits for the batch behind it.
  ASSERT_TRUE(try_register(bob, {bob.signed_record(k_wall_ms)}));
  drain();
  ASSERT_TRUE(try_register(bob, {bob.signed_record(k_wall_ms)}));
  drain();
  persist(PersistOutcome{.is_replicated = false});
  ASSERT_TRUE(batch);
  persist(PersistOutcome{.is_replicated = true});
  EXPECT_FALSE(acknowledged.at(request)->is_replicated) << "it was in the batch before";
}

TEST_F(DirectoryServerTest, ADiskThatDoesNotKeepUpIsTold) {
  ServerFixture small({.max_unpersisted_bytes = 1000});
  ASSERT_TRUE(small.try_register(alice, announcing(alice, k_wall_ms, {photos})));
  small.drain();  // written now
  Errc code = Errc::internal;
  for (int i = 1; i < 10 && code == Errc::internal; ++i) {
    const auto result = small.try_register(alice, {alice.signed_record(k_wall_ms + static_cast<std::uint64_t>(i))});
    if (!result) code = result.error().code();
  }
  EXPECT_EQ(code, Errc::limit_reached);
  small.persist(PersistOutcome{});
  EXPECT_TRUE(small.register_all(alice, {alice.signed_record(k_wall_ms + 100)}));
}

// The processor of a bootstrap server has other work than to check signatures.
TEST_F(DirectoryServerTest, TooManySignaturesAtOnceAreRefusedForAWhile) {
  ServerFixture slow({.verifications = {.per_second = 10, .burst = 2}});
  ASSERT_TRUE(slow.register_all(alice, {alice.signed_record(k_wall_ms)}));
  ASSERT_TRUE(slow.register_all(alice, {alice.signed_record(k_wall_ms + 1)}));
  EXPECT_EQ(code_of(slow.register_all(alice, {alice.signed_record(k_wall_ms + 2)})), Errc::limit_reached);
  EXPECT_TRUE(slow.register_all(alice, {alice.signed_record(k_wall_ms + 1)})) << "nothing to check";
  slow.advance(100ms);
  EXPECT_TRUE(slow.register_all(alice, {alice.signed_record(k_wall_ms + 2)}));
}

// --- sequences and clocks ----------------------------------------------------------------------------------------

TEST_F(DirectoryServerTest, AnOlderSequenceNeverReplacesANewerOne) {
  ASSERT_TRUE(register_all(alice, announcing(alice, k_wall_ms + 10, {photos})));
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_record(k_wall_ms + 9)})), Errc::record_outdated);
  NodeRecord other = alice.record(k_wall_ms + 10);
  other.pages = 2;
  EXPECT_EQ(code_of(register_all(alice, {alice.sign(other)})), Errc::record_outdated) << "the same, yet another record";
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_page(k_wall_ms + 9, 0, {music})})), Errc::record_outdated);
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_page(k_wall_ms + 10, 0, {music})})), Errc::record_outdated);
  EXPECT_THAT(holders(music), IsEmpty());
  ASSERT_TRUE(register_all(alice, {alice.signed_page(k_wall_ms + 11, 0, {music})}));
  EXPECT_THAT(holders(music), ElementsAre(alice.peer()));
  EXPECT_THAT(holders(photos), IsEmpty());
  ASSERT_TRUE(register_all(alice, {alice.signed_record(k_wall_ms + 11)}));
  EXPECT_THAT(holders(music), ElementsAre(alice.peer())) << "pages outlive a new record";
}

TEST_F(DirectoryServerTest, TheFutureIsRefusedBeyondOneHour) {
  constexpr std::uint64_t k_hour = 3'600'000;
  const std::uint64_t before = verified();
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_record(k_wall_ms + k_hour + 1)})), Errc::record_from_future);
  EXPECT_EQ(verified(), before);
  ASSERT_TRUE(register_all(alice, {alice.signed_record(k_wall_ms + k_hour)}));
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_page(k_wall_ms + k_hour + 1, 0, {photos})})),
            Errc::record_from_future);
  EXPECT_EQ(code_of(remove(alice, alice.removal(k_wall_ms + k_hour + 1))), Errc::record_from_future);
}

TEST_F(DirectoryServerTest, ARecordEndsItsLifetimeAfterItWasSigned) {
  const auto registered = register_all(alice, {alice.signed_record(k_wall_ms - 600'000)});
  ASSERT_TRUE(registered);
  EXPECT_EQ(registered->expires_in, std::chrono::minutes(50));
  EXPECT_EQ(code_of(register_all(bob, {bob.signed_record(k_wall_ms - 3'600'000)})), Errc::record_expired);
  EXPECT_TRUE(register_all(bob, {bob.signed_record(k_wall_ms - 3'599'000)}));
}

TEST_F(DirectoryServerTest, RecordsExpireByTheServersOwnClock) {
  ASSERT_TRUE(register_all(alice, announcing(alice, k_wall_ms, {photos})));
  server.set_wall_clock(now, {k_wall.seconds - 100'000});
  EXPECT_EQ(server.next_timeout(), now + 1h);
  advance(1h - 1ns);
  EXPECT_TRUE(knows(alice));
  advance(1ns);
  EXPECT_FALSE(knows(alice));
  EXPECT_THAT(holders(photos), IsEmpty());
  EXPECT_EQ(server.snapshot().expired, 1u);
}

// The lifetime of the newer record is shorter than that of the older one, so time alone does not keep the older out.
TEST_F(DirectoryServerTest, AnExpiredRecordIsNotReplacedByAnOlderOne) {
  NodeRecord brief = alice.record(k_wall_ms + 1);
  brief.lifetime = std::chrono::minutes(5);
  ASSERT_TRUE(register_all(alice, {alice.sign(brief)}));
  advance(6min);
  EXPECT_FALSE(knows(alice));
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_record(k_wall_ms)})), Errc::record_outdated);
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_page(k_wall_ms, 0, {photos})})), Errc::record_expired);
  EXPECT_TRUE(register_all(alice, {alice.signed_record(k_wall_ms + 360'000)}));
  advance(1h);
  EXPECT_EQ(server.snapshot().live, 0u);
  advance(3h);
  EXPECT_EQ(server.snapshot().ended, 0u) << "forgotten when no older one could be accepted any more";
  EXPECT_EQ(server.snapshot().bytes, 0u);
}

// --- whose word counts -------------------------------------------------------------------------------------------

TEST_F(DirectoryServerTest, APeerRegistersItselfOnly) {
  EXPECT_EQ(code_of(register_all(bob, {alice.signed_record(k_wall_ms)})), Errc::record_of_another_peer);
  EXPECT_EQ(code_of(register_all(alice, {bob.sign(alice.record(k_wall_ms))})), Errc::record_of_another_peer);
  EXPECT_EQ(code_of(register_all(bob, {bob.sign(alice.record(k_wall_ms))})), Errc::record_of_another_peer);
  ASSERT_TRUE(register_all(alice, announcing(alice, k_wall_ms, {photos})));
  EXPECT_EQ(code_of(remove(bob, alice.removal(k_wall_ms + 1))), Errc::record_of_another_peer);
  EXPECT_EQ(code_of(register_all(bob, {alice.signed_page(k_wall_ms + 1, 0, {music})})), Errc::record_of_another_peer);
  EXPECT_TRUE(knows(alice));
  EXPECT_FALSE(knows(bob));
}

TEST_F(DirectoryServerTest, WhatIsForgedChangesNothing) {
  ASSERT_TRUE(register_all(alice, announcing(alice, k_wall_ms, {photos})));
  const auto forge = [](const Bytes& good) {
    SignedEnvelope envelope = SignedEnvelope::decode(good).value();
    envelope.signature[5] ^= std::byte{1};
    return envelope.encode();
  };
  EXPECT_EQ(code_of(register_all(alice, {forge(alice.signed_record(k_wall_ms + 1))})), Errc::bad_signature);
  EXPECT_EQ(code_of(register_all(alice, {forge(alice.signed_page(k_wall_ms + 1, 0, {music}))})), Errc::bad_signature);
  EXPECT_EQ(code_of(remove(alice, forge(alice.removal(k_wall_ms + 1)))), Errc::bad_signature);
  EXPECT_EQ(code_of(register_all(bob, {forge(bob.signed_record(k_wall_ms))})), Errc::bad_signature);
  EXPECT_EQ(code_of(register_all(alice, {to_bytes("rubbish")})), Errc::malformed);
  EXPECT_TRUE(knows(alice));
  EXPECT_FALSE(knows(bob));
  EXPECT_THAT(holders(music), IsEmpty());
  EXPECT_EQ(server.snapshot().ended, 0u);
}

// A record, a page and a removal are never taken for each other, nor is anything else that somebody signed.
TEST_F(DirectoryServerTest, ASignatureForAnotherPurposeIsRefused) {
  const NodeRecord record = alice.record(k_wall_ms);
  const auto sealed = [&](std::string_view domain, std::string_view type) {
    return SignedEnvelope::seal(alice.identity, domain, as_bytes(type), record.encode()).encode();
  };
  EXPECT_EQ(code_of(register_all(alice, {sealed("libp2p-peer-record", NodeRecord::payload_type)})),
            Errc::bad_signature);
  EXPECT_EQ(code_of(register_all(alice, {sealed(NodeRecord::domain, "\x03\x01")})), Errc::malformed);
  EXPECT_EQ(code_of(remove(alice, alice.signed_record(k_wall_ms))), Errc::malformed);
}

TEST_F(DirectoryServerTest, UnsignedBytesAroundARecordAreNotKept) {
  const Bytes good = alice.signed_record(k_wall_ms);
  Bytes padded = good;
  append(padded, to_bytes("\x3a\x05hello"));  // field 7 of the envelope
  ASSERT_TRUE(register_all(alice, {padded}));
  EXPECT_EQ(server.find_peer(alice.peer()).records.at(0).record, good);
}

// --- removal -----------------------------------------------------------------------------------------------------

TEST_F(DirectoryServerTest, APeerThatLeavesIsGoneAtOnceAndStaysGone) {
  NodeRecord record = alice.record(k_wall_ms);
  record.roles = roles({NodeRole::relay});
  const Bytes page = alice.signed_page(k_wall_ms, 0, {photos});
  ASSERT_TRUE(register_all(alice, {alice.sign(record), page}));
  EXPECT_EQ(code_of(remove(alice, alice.removal(k_wall_ms))), Errc::record_outdated);
  ASSERT_TRUE(remove(alice, alice.removal(k_wall_ms + 2)));
  EXPECT_FALSE(knows(alice));
  EXPECT_THAT(holders(photos), IsEmpty());
  EXPECT_THAT(with_roles(roles({NodeRole::relay})), IsEmpty());
  EXPECT_EQ(disk.size(), 1u);
  EXPECT_EQ(disk.at({alice.peer(), 0}).lifetime, Duration(0));
  EXPECT_EQ(code_of(register_all(alice, {alice.sign(record)})), Errc::record_outdated);
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_record(k_wall_ms + 2)})), Errc::record_outdated);
  EXPECT_EQ(code_of(register_all(alice, {page})), Errc::record_expired);
  EXPECT_TRUE(remove(alice, alice.removal(k_wall_ms + 2))) << "the same again";
  ASSERT_TRUE(register_all(alice, {alice.signed_record(k_wall_ms + 3)}));
  EXPECT_TRUE(knows(alice));
}

// --- pages of stores ---------------------------------------------------------------------------------------------

TEST_F(DirectoryServerTest, PagesCountAsFarAsTheRecordSays) {
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_page(k_wall_ms, 0, {photos})})), Errc::record_expired);
  NodeRecord two = alice.record(k_wall_ms);
  two.pages = 2;
  ASSERT_TRUE(register_all(
      alice, {alice.sign(two), alice.signed_page(k_wall_ms, 0, {photos}), alice.signed_page(k_wall_ms, 1, {music})}));
  EXPECT_EQ(code_of(register_all(alice, {alice.signed_page(k_wall_ms, 2, {music})})), Errc::malformed);
  EXPECT_EQ(disk.size(), 3u);
  ASSERT_TRUE(register_all(alice, {alice.signed_record(k_wall_ms + 1)}));
  EXPECT_THAT(holders(photos), ElementsAre(alice.peer()));
  EXPECT_THAT(holders(music), IsEmpty());
  EXPECT_EQ(disk.size(), 2u);
}

TEST_F(DirectoryServerTest, AStoreOnTwoPagesIsOneAnswer) {
  NodeRecord two = alice.record(k_wall_ms);
  two.pages = 2;
  ASSERT_TRUE(register_all(alice, {alice.sign(two), alice.signed_page(k_wall_ms, 0, {photos}),
                                   alice.signed_page(k_wall_ms, 1, {photos, music})}));
  EXPECT_THAT(holders(photos), ElementsAre(alice.peer()));
}

TEST_F(DirectoryServerTest, TooManyStoresOrPagesAreRefused) {
  ServerFixture small({.max_pages_per_peer = 2, .max_stores_per_peer = 3});
  NodeRecord record = alice.record(k_wall_ms);
  record.pages = 3;
  EXPECT_EQ(code_of(small.register_all(alice, {alice.sign(record)})), Errc::directory_full);
  record.pages = 2;
  ASSERT_TRUE(small.register_all(alice, {alice.sign(record), alice.signed_page(k_wall_ms, 0, {photos, music})}));
  EXPECT_EQ(code_of(small.register_all(alice, {alice.signed_page(k_wall_ms, 1, {store_of(5), store_of(6)})})),
            Errc::directory_full);
  EXPECT_TRUE(small.register_all(alice, {alice.signed_page(k_wall_ms, 1, {store_of(5)})}));
  EXPECT_TRUE(small.register_all(alice, {alice.signed_page(k_wall_ms + 1, 0, {store_of(7), store_of(8)})}))
      << "in place of the two that were there";
}

// --- what was kept -----------------------------------------------------------------------------------------------

TEST_F(DirectoryServerTest, WhatWasKeptIsThereAfterARestart) {
  ASSERT_TRUE(register_all(alice, announcing(alice, k_wall_ms, {photos})));
  ASSERT_TRUE(register_all(bob, {bob.signed_record(k_wall_ms)}));
  ASSERT_TRUE(remove(bob, bob.removal(k_wall_ms + 1)));
  ServerFixture again;
  for (auto& [name, row] : disk) {
    if (row.slot == 0 && row.lifetime > 0s) row.lifetime = 20min;
    ASSERT_TRUE(again.server.load(again.now, row, RowOrigin::own_disk));
  }
  again.drain();
  EXPECT_FALSE(again.batch) << "it is on the disk already";
  EXPECT_EQ(again.verified(), 0u);
  EXPECT_THAT(again.holders(photos), ElementsAre(alice.peer()));
  EXPECT_FALSE(again.knows(bob));
  EXPECT_EQ(code_of(again.register_all(bob, {bob.signed_record(k_wall_ms)})), Errc::record_outdated);
  const auto same = again.register_all(alice, announcing(alice, k_wall_ms, {photos}));
  ASSERT_TRUE(same);
  EXPECT_EQ(same->expires_in, std::chrono::minutes(20));
  again.advance(20min);
  EXPECT_FALSE(again.knows(alice));
}

TEST_F(DirectoryServerTest, ARowIsThereWhenNothingOlderOrEqualWouldBeTaken) {
  const auto has = [&](std::uint32_t slot, std::uint64_t sequence) {
    return server.has_row({alice.peer(), slot, sequence});
  };
  EXPECT_FALSE(has(0, 0));
  const std::vector<Bytes> envelopes = announcing(alice, k_wall_ms, {photos});
  ASSERT_TRUE(try_register(alice, envelopes));
  drain();
  EXPECT_TRUE(has(0, k_wall_ms) && has(0, k_wall_ms - 1) && has(1, k_wall_ms)) << "on its way to the disk";
  EXPECT_FALSE(has(0, k_wall_ms + 1) || has(1, k_wall_ms + 1) || has(2, 0));
  persist(fail(Errc::disk_full, "no space"));
  EXPECT_FALSE(has(0, k_wall_ms) || has(1, k_wall_ms)) << "it would be written again";
  ASSERT_TRUE(register_all(alice, envelopes));
  EXPECT_TRUE(has(0, k_wall_ms) && has(1, k_wall_ms));
  ASSERT_TRUE(remove(alice, alice.removal(k_wall_ms + 2)));
  EXPECT_TRUE(has(0, k_wall_ms + 2));
  EXPECT_FALSE(has(0, k_wall_ms + 3) || has(1, k_wall_ms));
}

TEST_F(DirectoryServerTest, RowsOfAnotherServerAreCheckedAndKept) {
  const store::DirectoryRow row{alice.peer(), 0, k_wall_ms, 7, 10min, 2h, alice.signed_record(k_wall_ms)};
  ASSERT_TRUE(server.load(now, row, RowOrigin::other_server));
  EXPECT_EQ(verified(), 1u);
  ASSERT_TRUE(server.load(now, {alice.peer(), 1, k_wall_ms, 0, {}, {}, alice.signed_page(k_wall_ms, 0, {photos})},
                          RowOrigin::other_server));
  drain();
  ASSERT_TRUE(batch);
  persist(PersistOutcome{.is_replicated = true});
  EXPECT_EQ(disk.size(), 2u);
  EXPECT_EQ(server.next_timeout(), now + 10min);
  EXPECT_THAT(holders(photos), ElementsAre(alice.peer()));
  const auto load = [&](const Bytes& envelope, Duration lifetime) {
    return code_of(server.load(now, {bob.peer(), 0, k_wall_ms, 7, lifetime, 2h, envelope}, RowOrigin::other_server));
  };
  EXPECT_EQ(load(alice.sign(bob.record(k_wall_ms)), 1h), Errc::record_of_another_peer);
  SignedEnvelope forged = SignedEnvelope::decode(bob.signed_record(k_wall_ms)).value();
  forged.signature[0] ^= std::byte{1};
  EXPECT_EQ(load(forged.encode(), 1h), Errc::bad_signature);
  EXPECT_EQ(load(bob.signed_record(k_wall_ms), 0s), Errc::record_expired);
  EXPECT_EQ(load(alice.signed_record(k_wall_ms - 1), 1h), Errc::record_outdated);
  // A long life that a row claims is no longer than the one that was signed.
  ASSERT_TRUE(server.load(now, {bob.peer(), 0, k_wall_ms, 7, 100h, 100h, bob.signed_record(k_wall_ms)},
                          RowOrigin::other_server));
  advance(1h);
  EXPECT_FALSE(knows(bob));
}

}  // namespace
}  // namespace dig::directory
