// SPDX-License-Identifier: Apache-2.0
#include "proto/store_exchange/fetch.hpp"

#include <gtest/gtest.h>

#include "proto/store_exchange/testing/fetch_world.hpp"

namespace dig::exchange {
namespace {

using testing::FetchWorld;
using testing::Script;
using testing::TestStore;

constexpr std::uint64_t k_chunk = store::k_chunk_size;

const TestStore& small_store() {  // 8 chunks, the last one short
  static const TestStore store(7 * k_chunk + 1000, 1);
  return store;
}
const TestStore& large_store() {  // 40 chunks
  static const TestStore store(40 * k_chunk, 2);
  return store;
}
FetchTarget pinned(const TestStore& store) { return {.store = store.id, .root = store.root}; }
FetchTarget newest(const TestStore& store) { return {.store = store.id, .root = std::nullopt}; }

// --- the plain case ----------------------------------------------------------------------------------------------

TEST(Fetch, fetches_everything_from_one_holder) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  world.add({});
  world.expect_done();
  const FetchStatus status = world.fetch.snapshot();
  EXPECT_EQ(status.fetched_bytes, small_store().size());
  EXPECT_EQ(status.reused_bytes, 0u);
  EXPECT_TRUE(status.first_chunk);
  EXPECT_EQ(status.trust, store::Trust::owner_signed);
  EXPECT_EQ(world.opens, 1u);
  ASSERT_TRUE(world.progress);
  EXPECT_EQ(world.progress->bytes, small_store().size());
  EXPECT_GT(world.pool.spare(), 0u);
}

TEST(Fetch, holders_may_come_before_the_start) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.add({});
  world.fetch.start(world.now);
  world.expect_done();
}

TEST(Fetch, an_empty_store_is_done_at_once) {
  const TestStore empty(0, 1);
  for (const bool is_signed : {true, false}) {
    FetchWorld world(empty, pinned(empty));
    world.fetch.start(world.now);
    world.add({.manifest = is_signed ? empty.signed_manifest : empty.unsigned_manifest});
    world.expect_done();
    EXPECT_EQ(world.fetch.snapshot().fetched_bytes, 0u);
  }
}

TEST(Fetch, what_is_on_disk_is_not_fetched_again) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.disk.have = store::ChunkSet(small_store().chunks());
  world.disk.have.set(0);
  world.disk.have.set(7);
  world.fetch.start(world.now);
  world.add({});
  world.expect_done();
  EXPECT_EQ(world.fetch.snapshot().reused_bytes, k_chunk + 1000);
  EXPECT_EQ(world.fetch.snapshot().fetched_bytes, 6 * k_chunk);
}

TEST(Fetch, a_complete_partial_needs_no_chunk) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.disk.have = store::ChunkSet::full(small_store().chunks());
  world.fetch.start(world.now);
  world.add({});
  world.expect_done();
  EXPECT_EQ(world.fetch.snapshot().fetched_bytes, 0u);
}

TEST(Fetch, never_asks_for_more_than_the_window_and_says_how_much_it_was) {
  for (const std::uint64_t chunks : {1U, 2U, 3U, 5U, 16U}) {
    FetchWorld world(large_store(), pinned(large_store()),
                     {.window = chunks * k_chunk, .max_window = chunks * k_chunk});
    world.fetch.start(world.now);
    world.add({});
    world.expect_done();
    EXPECT_EQ(world.fetch.snapshot().window_bytes, chunks * k_chunk);
  }
}

TEST(Fetch, a_window_smaller_than_a_chunk_still_moves) {
  FetchWorld world(small_store(), pinned(small_store()), {.window = 1, .max_window = 1});
  world.fetch.start(world.now);
  world.add({});
  world.expect_done();
  EXPECT_EQ(world.fetch.snapshot().window_bytes, k_chunk);
}

TEST(Fetch, a_slow_disk_holds_the_holders_back) {
  FetchWorld world(large_store(), pinned(large_store()), {.window = 4 * k_chunk, .max_window = 4 * k_chunk});
  world.disk_delay = 500ms;
  world.fetch.start(world.now);
  world.add({.delay = 0ms, .chunk_time = 0ms});
  world.expect_done();
  EXPECT_EQ(world.fetch.snapshot().window_bytes, 4 * k_chunk);
}

TEST(Fetch, the_window_grows_with_bandwidth_and_delay) {
  const TestStore store(150 * k_chunk, 3);
  FetchWorld world(store, pinned(store));
  world.fetch.start(world.now);
  world.add({.delay = 100ms, .chunk_time = 1ms});
  world.expect_done();
  EXPECT_GT(world.fetch.snapshot().window_bytes, 8u << 20);
  EXPECT_LE(world.fetch.snapshot().window_bytes, 16u << 20);
}

TEST(Fetch, several_requests_keep_the_pipe_full) {
  FetchWorld world(large_store(), pinned(large_store()));
  world.fetch.start(world.now);
  world.add({.delay = 10ms, .chunk_time = 5ms});
  const Instant begin = world.now;
  world.expect_done();
  // 40 chunks at 5 ms each, and a few times the delay for the version, the file and the first chunk.
  EXPECT_LT(world.now - begin, 40 * 5ms + 50ms);
}

TEST(Fetch, holders_share_the_work_by_their_speed) {
  const TestStore store(120 * k_chunk, 3);
  FetchWorld world(store, pinned(store));
  world.fetch.start(world.now);
  const HolderId fast = world.add({.chunk_time = 5ms});
  const HolderId slow = world.add({.chunk_time = 20ms});
  world.expect_done();
  EXPECT_GT(world.asked[fast], 2 * world.asked[slow]);
  EXPECT_GT(world.asked[slow], 5u);
}

// --- which version -----------------------------------------------------------------------------------------------

TEST(Fetch, without_a_root_the_newest_signed_version_wins) {
  const TestStore old_version(3 * k_chunk, 10, 1);
  const TestStore new_version(4 * k_chunk, 11, 2);
  FetchWorld world(new_version, newest(new_version));
  world.fetch.start(world.now);
  const HolderId old_holder = world.add({.store = &old_version});
  world.add({.delay = 200ms});
  world.expect_done();
  EXPECT_EQ(world.fetch.snapshot().manifest->root, new_version.root);
  EXPECT_EQ(world.dropped(old_holder), Errc::store_not_found);
}

TEST(Fetch, without_a_root_it_does_not_wait_for_more_when_nobody_else_is_dialled) {
  FetchWorld world(small_store(), newest(small_store()));
  world.fetch.start(world.now);
  world.add({});
  world.fetch.no_more_holders(world.now);
  const Instant begin = world.now;
  world.expect_done();
  EXPECT_LT(world.now - begin, 200ms);
}

TEST(Fetch, content_that_nothing_proves_is_refused_unless_accepted) {
  const Script unsigned_holder{.manifest = small_store().unsigned_manifest};
  FetchWorld refused(small_store(), newest(small_store()));
  refused.fetch.start(refused.now);
  refused.add(unsigned_holder);
  refused.fetch.no_more_holders(refused.now);
  refused.expect_failed(Errc::unpinned);
  EXPECT_EQ(refused.opens, 0u);

  FetchTarget target = newest(small_store());
  target.accept_unpinned = true;
  FetchWorld accepted(small_store(), target);
  accepted.fetch.start(accepted.now);
  accepted.add(unsigned_holder);
  accepted.expect_done();
  EXPECT_EQ(accepted.fetch.snapshot().trust, store::Trust::unpinned);
}

TEST(Fetch, a_pinned_root_needs_no_signature) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  world.add({.manifest = small_store().unsigned_manifest});
  world.expect_done();
  EXPECT_EQ(world.fetch.snapshot().trust, store::Trust::pinned);
  EXPECT_EQ(world.fetch.snapshot().fetched_bytes, small_store().size());
}

TEST(Fetch, a_lie_about_the_size_never_reaches_the_disk) {
  const TestStore& store = small_store();
  for (const std::uint64_t lie : {std::uint64_t{1} << 40, store.size() - 1, store.size() + 1, std::uint64_t{0}}) {
    FetchWorld world(store, pinned(store));
    world.fetch.start(world.now);
    HaveResponse have{.root = store.root, .size = lie, .ranges = {}};
    if (lie != 0) have.ranges.push_back({0, store::chunk_count(lie)});
    const HolderId liar =
        world.add({.have = have, .manifest = store::make_unsigned_manifest(store.id, store.root, lie)});
    world.add({.delay = 20ms, .manifest = store.unsigned_manifest});
    world.expect_done();
    EXPECT_TRUE(world.dropped(liar)) << lie;
    EXPECT_EQ(world.opens, 1u);
  }
}

TEST(Fetch, a_signed_manifest_overrules_a_silent_liar) {
  const TestStore& store = small_store();
  const std::uint64_t lie = store.size() + k_chunk;
  FetchWorld world(store, pinned(store));
  world.fetch.start(world.now);
  world.add({.delay = 0ms,
             .have = HaveResponse{.root = store.root, .size = lie, .ranges = {{0, 9}}},
             .manifest = store::make_unsigned_manifest(store.id, store.root, lie),
             .silent_after = 0});
  world.add({.delay = 20ms});
  const Instant begin = world.now;
  world.expect_done();
  EXPECT_LT(world.now - begin, 1s);
}

TEST(Fetch, manifests_of_others_and_forged_ones_drop_their_holder) {
  const TestStore& store = small_store();
  SignedManifest forged = store.signed_manifest;
  forged.signature.back() ^= std::byte{1};
  const StoreId other{{std::byte{9}}};
  const std::pair<SignedManifest, Errc> table[] = {
      {forged, Errc::bad_signature},
      {store::make_unsigned_manifest(other, store.root, store.size()), Errc::manifest_mismatch},
      {store::make_unsigned_manifest(store.id, RootHash{}, store.size()), Errc::manifest_mismatch}};
  for (const auto& [manifest, code] : table) {
    FetchWorld world(store, pinned(store));
    world.fetch.start(world.now);
    const HolderId evil = world.add({.delay = 1ms, .manifest = manifest});
    world.add({.delay = 50ms});
    world.expect_done();
    EXPECT_EQ(world.dropped(evil), code);
  }
}

// --- bad holders -------------------------------------------------------------------------------------------------

TEST(Fetch, two_honest_holders_finish_in_spite_of_an_evil_one) {
  FetchWorld world(large_store(), pinned(large_store()));
  world.fetch.start(world.now);
  world.add({.chunk_time = 3ms});
  const HolderId evil = world.add({.corrupt_from = 2});
  world.add({.chunk_time = 3ms});
  world.expect_done();
  EXPECT_EQ(world.dropped(evil), Errc::chunk_mismatch);
  world.drops.clear();
}

TEST(Fetch, a_banned_holder_is_turned_away_when_it_comes_back) {
  FetchWorld world(large_store(), pinned(large_store()));
  world.fetch.start(world.now);
  const HolderId evil = world.add({.corrupt_from = 0});
  world.run(1s);
  ASSERT_EQ(world.dropped(evil), Errc::chunk_mismatch);
  world.drops.clear();
  world.add(evil, {});
  EXPECT_EQ(world.dropped(evil), Errc::chunk_mismatch);
  world.add({});
  world.expect_done();
}

TEST(Fetch, only_wrong_chunks_end_as_an_integrity_error) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  world.add({.corrupt_from = 0});
  world.add({.corrupt_from = 1});
  world.fetch.no_more_holders(world.now);
  world.expect_failed(Errc::chunk_mismatch);
  EXPECT_EQ(world.fetch.snapshot().lost_holders.size(), 2u);
}

TEST(Fetch, what_a_silent_holder_was_asked_goes_to_another_before_it_is_given_up) {
  FetchWorld world(large_store(), pinned(large_store()));
  world.fetch.start(world.now);
  world.add({.silent_after = 3});
  world.add({.chunk_time = 5ms});
  const Instant begin = world.now;
  world.expect_done();
  EXPECT_LT(world.now - begin, 5s);
}

TEST(Fetch, a_holder_silent_from_the_start_costs_a_few_seconds_at_most) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  world.add({.silent_after = 0});
  world.add({.delay = 10ms});
  const Instant begin = world.now;
  world.expect_done();
  EXPECT_LT(world.now - begin, 4s);
}

TEST(Fetch, the_last_chunks_of_a_slow_holder_are_asked_of_a_fast_one_and_duplicates_are_dropped) {
  FetchWorld world(small_store(), pinned(small_store()), {.window = 8 * k_chunk});
  world.fetch.start(world.now);
  const HolderId slow = world.add({.chunk_time = 900ms});
  world.add({.chunk_time = 5ms});
  const Instant begin = world.now;
  world.expect_done();
  EXPECT_LT(world.now - begin, 3s);
  EXPECT_EQ(world.writes, small_store().chunks());
  EXPECT_EQ(world.dropped(slow), std::nullopt);
}

TEST(Fetch, a_slow_but_only_holder_is_kept) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  world.add({.chunk_time = 20s});
  world.expect_done();
  EXPECT_EQ(world.fetch.snapshot().fetched_bytes, small_store().size());
}

TEST(Fetch, a_holder_that_drips_is_dropped_in_the_end) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  world.add({.chunk_time = 61s});
  world.fetch.no_more_holders(world.now);
  world.expect_failed(Errc::peer_silent);
}

TEST(Fetch, a_holder_that_answers_nothing_is_dropped) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  world.add({.answers_versions = false});
  world.fetch.no_more_holders(world.now);
  world.expect_failed(Errc::peer_silent);
}

TEST(Fetch, chunks_of_a_vanished_holder_are_asked_of_the_others) {
  FetchWorld world(large_store(), pinned(large_store()));
  world.fetch.start(world.now);
  world.add({.vanish_after = 5});
  world.add({.chunk_time = 2ms});
  world.expect_done();
  EXPECT_EQ(world.fetch.snapshot().lost_holders.size(), 1u);
}

TEST(Fetch, a_holder_that_comes_back_is_used_again) {
  FetchWorld world(large_store(), pinned(large_store()));
  world.fetch.start(world.now);
  const HolderId id = world.add({.vanish_after = 5});
  world.run(5s);
  ASSERT_FALSE(world.is_over());
  world.add(id, {});
  world.expect_done();
}

TEST(Fetch, a_busy_holder_is_asked_again_later) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  const HolderId id = world.add({.refuse_from = 2, .refusal = Error(Errc::limit_reached), .refusals = 3});
  world.expect_done();
  EXPECT_EQ(world.dropped(id), std::nullopt);
}

TEST(Fetch, a_holder_that_is_busy_for_ever_is_given_up) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  world.add({.refuse_from = 0, .refusal = Error(Errc::limit_reached)});
  world.fetch.no_more_holders(world.now);
  world.expect_failed(Errc::limit_reached);

  FetchWorld versions(small_store(), pinned(small_store()));
  versions.fetch.start(versions.now);
  versions.add({.have_error = Error(Errc::limit_reached), .manifest_error = Error(Errc::limit_reached)});
  versions.fetch.no_more_holders(versions.now);
  versions.expect_failed(Errc::limit_reached);
}

TEST(Fetch, a_holder_that_refuses_is_replaced) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  const HolderId id = world.add({.refuse_from = 1});
  world.add({.delay = 20ms});
  world.expect_done();
  EXPECT_EQ(world.dropped(id), Errc::holder_refused);
}

TEST(Fetch, chunks_are_asked_only_of_holders_that_have_them) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  HaveResponse have = small_store().have_all();
  have.ranges = {{0, 2}, {5, 1}};
  const HolderId half = world.add({.have = have});
  have.ranges = {{2, 3}, {6, 2}};
  const HolderId other_half = world.add({.have = have});
  world.expect_done();
  EXPECT_EQ(world.asked[half], 3u);
  EXPECT_EQ(world.asked[other_half], 5u);
}

TEST(Fetch, fails_when_nobody_has_the_rest) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  HaveResponse have = small_store().have_all();
  have.ranges = {{0, 7}};
  world.add({.have = have});
  world.run(5s);
  EXPECT_FALSE(world.is_over());
  world.fetch.no_more_holders(world.now);
  world.expect_failed(Errc::no_holder);
  EXPECT_EQ(world.disk.have.count(), 7u);
}

TEST(Fetch, fails_without_holders_and_keeps_all_reasons) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.fetch.start(world.now);
  world.add({.have_error = Error(Errc::store_not_found)});
  world.add({.vanish_after = 0});
  world.fetch.no_more_holders(world.now);
  world.expect_failed(Errc::no_holder);
  const auto lost = world.fetch.snapshot().lost_holders;
  ASSERT_EQ(lost.size(), 2u);
  EXPECT_EQ(lost[0].second.code(), Errc::store_not_found);
  EXPECT_EQ(lost[1].second.code(), Errc::connection_reset);

  FetchWorld nobody(small_store(), pinned(small_store()));
  nobody.fetch.start(nobody.now);
  nobody.fetch.no_more_holders(nobody.now);
  nobody.expect_failed(Errc::no_holder);
}

TEST(Fetch, chunks_never_asked_for_or_of_the_wrong_size_drop_their_holder) {
  for (const bool is_short : {true, false}) {
    FetchWorld world(small_store(), pinned(small_store()));
    world.fetch.start(world.now);
    const HolderId id = world.add({.chunk_time = 1s});
    world.run(100ms);
    Bytes data = small_store().chunk(is_short ? 0 : 5);
    if (is_short) data.pop_back();
    world.fetch.handle_chunk(world.now, id, is_short ? 0 : 5, std::move(data), {});
    world.run(1ms);
    EXPECT_EQ(world.dropped(id), is_short ? Errc::chunk_mismatch : Errc::protocol_violation);
  }
}

TEST(Fetch, too_many_holders_are_turned_away) {
  FetchWorld world(small_store(), pinned(small_store()), {.max_holders = 2});
  world.fetch.start(world.now);
  world.add({.chunk_time = 1s});
  world.add({.chunk_time = 1s});
  const HolderId third = world.add({});
  EXPECT_EQ(world.dropped(third), Errc::limit_reached);
}

// --- the disk ----------------------------------------------------------------------------------------------------

TEST(Fetch, a_disk_error_at_any_write_ends_the_fetch_and_keeps_what_was_written) {
  for (std::uint64_t writes = 0; writes < small_store().chunks(); ++writes) {
    FetchWorld world(small_store(), pinned(small_store()));
    world.disk.writes_left = writes;
    world.fetch.start(world.now);
    world.add({});
    world.expect_failed(Errc::disk_full);
    EXPECT_EQ(world.disk.have.count(), writes);
  }
}

TEST(Fetch, a_partial_file_that_cannot_be_opened_ends_the_fetch) {
  FetchWorld world(small_store(), pinned(small_store()));
  world.open_answer = fail(Errc::permission_denied);
  world.fetch.start(world.now);
  world.add({});
  world.expect_failed(Errc::permission_denied);

  FetchWorld odd(small_store(), pinned(small_store()));
  odd.open_answer = store::ChunkSet(3);
  odd.fetch.start(odd.now);
  odd.add({});
  odd.expect_failed(Errc::internal);
}

// --- control -----------------------------------------------------------------------------------------------------

TEST(Fetch, can_be_cancelled_at_any_moment_and_waits_for_the_disk) {
  for (int moment = 0; moment < 28; ++moment) {
    FetchWorld world(small_store(), pinned(small_store()));
    world.disk_delay = 10ms;
    world.fetch.start(world.now);
    world.add({.manifest = moment % 2 == 0 ? small_store().signed_manifest : small_store().unsigned_manifest});
    world.at(std::chrono::milliseconds(moment), [&] { world.fetch.cancel(world.now); });
    world.expect_failed(Errc::cancelled);
    EXPECT_EQ(world.fetch.snapshot().outstanding_bytes, 0u);
  }
}

TEST(Fetch, asks_for_nothing_while_paused) {
  FetchWorld world(large_store(), pinned(large_store()));
  world.fetch.start(world.now);
  const HolderId id = world.add({});
  world.run(8ms);
  world.fetch.pause(world.now);
  const std::uint64_t asked = world.asked[id];
  EXPECT_GT(asked, 0u);
  world.run(10s);
  EXPECT_EQ(world.asked[id], asked);
  EXPECT_FALSE(world.is_over());
  world.fetch.resume(world.now);
  world.expect_done();
}

TEST(Fetch, fetches_only_what_is_wanted_and_more_when_told) {
  FetchTarget target = pinned(large_store());
  target.only_wanted = true;
  FetchWorld world(large_store(), target);
  world.fetch.start(world.now);
  EXPECT_FALSE(world.fetch.want(world.now, 0, 1));
  world.add({});
  world.run(1s);
  EXPECT_EQ(world.completions, 1u);  // nothing was wanted
  ASSERT_TRUE(world.fetch.want(world.now, 39, 1));
  world.run(1s);
  EXPECT_EQ(world.completions, 2u);
  ASSERT_TRUE(world.fetch.want(world.now, 3, 4));
  ASSERT_TRUE(world.fetch.want(world.now, 5, 4));
  world.run(1s);
  EXPECT_GE(world.completions, 3u);
  EXPECT_EQ(world.disk.have.count(), 7u);
  EXPECT_EQ(world.fetch.want(world.now, 40, 1).error().code(), Errc::invalid_argument);
  EXPECT_EQ(world.fetch.want(world.now, 1, ~std::uint64_t{0}).error().code(), Errc::invalid_argument);
  world.fetch.finish(world.now);
  world.run(1s);
  EXPECT_TRUE(world.done);
  EXPECT_EQ(world.fetch.snapshot().bytes, 7 * k_chunk);
  EXPECT_EQ(world.fetch.snapshot().fetched_bytes, 7 * k_chunk);
}

}  // namespace
}  // namespace dig::exchange
