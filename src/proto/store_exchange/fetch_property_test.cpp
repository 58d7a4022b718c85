// SPDX-License-Identifier: Apache-2.0
// What holds for every schedule: with one honest holder the fetch ends complete and every byte verified, whatever the
// others do and in whatever order things happen; without one it ends with a coded error.
#include <gtest/gtest.h>

#include "proto/store_exchange/testing/fetch_world.hpp"

namespace dig::exchange {
namespace {

using testing::FetchWorld;
using testing::Script;
using testing::TestStore;

constexpr std::uint64_t k_chunk = store::k_chunk_size;

const TestStore& test_store() {
  static const TestStore store(11 * k_chunk + 5, 5);
  return store;
}

Script random_script(SeededRng& rng) {
  Script script;
  script.delay = std::chrono::microseconds(rng.below(200'000));
  script.chunk_time = std::chrono::microseconds(rng.below(rng.below(4) == 0 ? 3'000'000 : 10'000));
  if (rng.below(2) == 0) script.manifest = test_store().unsigned_manifest;
  return script;
}

Script random_evil(SeededRng& rng) {
  Script script = random_script(rng);
  const std::uint64_t when = rng.below(6);
  const std::uint64_t lie = rng.below(2) == 0 ? test_store().size() + rng.below(1000 * k_chunk) : rng.below(k_chunk);
  switch (rng.below(9)) {
    case 0:
      script.silent_after = when;
      break;
    case 1:
      script.vanish_after = when;
      break;
    case 2:
      script.corrupt_from = when;
      break;
    case 3:
      script.refuse_from = when;
      break;
    case 4:
      script.refuse_from = when;
      script.refusal = Error(Errc::limit_reached);
      script.refusals = rng.below(10);
      break;
    case 5:
      script.have_error = Error(Errc::store_not_found);
      break;
    case 6:
      script.answers_versions = false;
      break;
    case 7:
      script.manifest = store::make_unsigned_manifest(test_store().id, test_store().root, lie);
      script.have = HaveResponse{.root = test_store().root, .size = lie, .ranges = {{0, store::chunk_count(lie)}}};
      if (lie == 0) script.have->ranges.clear();
      break;
    default:
      script.have = test_store().have_all();
      script.have->ranges = {{when, 1 + rng.below(3)}};
      break;
  }
  return script;
}

Fetch::Limits random_limits(SeededRng& rng) {
  Fetch::Limits limits;
  limits.window = (1 + rng.below(16)) * k_chunk;
  limits.max_window = limits.window;
  limits.max_chunks_per_request = static_cast<std::uint32_t>(1 + rng.below(8));
  limits.max_requests_per_holder = 1 + rng.below(12);
  return limits;
}

void run_one(std::uint64_t seed, bool has_honest) {
  SCOPED_TRACE(seed);
  SeededRng rng(seed);
  const FetchTarget target{.store = test_store().id, .root = test_store().root};
  FetchWorld world(test_store(), target, random_limits(rng), seed);
  world.is_disk_random = true;
  world.fetch.start(world.now);
  for (std::uint64_t i = rng.below(5); i > 0; --i) {
    const Script evil = random_evil(rng);
    world.at(std::chrono::microseconds(rng.below(100'000)), [&world, evil] { world.add(evil); });
  }
  if (has_honest) {
    const Script honest = random_script(rng);
    world.at(std::chrono::microseconds(rng.below(100'000)), [&world, honest] { world.add(honest); });
  }
  world.at(101ms, [&world] { world.fetch.no_more_holders(world.now); });
  world.run(10min);
  ASSERT_TRUE(world.is_over());
  if (has_honest) {
    EXPECT_TRUE(world.done) << (world.failed ? world.failed->message() : "");
  }
  EXPECT_EQ(world.done, world.has_all());
}

TEST(FetchProperty, with_one_honest_holder_every_schedule_completes) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) run_one(seed, true);
}

TEST(FetchProperty, without_an_honest_holder_every_schedule_ends) {
  for (std::uint64_t seed = 1000; seed < 1060; ++seed) run_one(seed, false);
}

TEST(FetchProperty, the_same_seed_gives_the_same_fetch) {
  const auto trace = [](std::uint64_t seed) {
    SeededRng rng(seed);
    FetchWorld world(test_store(), {.store = test_store().id, .root = test_store().root}, random_limits(rng), seed);
    world.is_disk_random = true;
    world.fetch.start(world.now);
    world.add(random_evil(rng));
    world.add(random_script(rng));
    world.run(10min);
    return std::tuple(world.now, world.asked, world.fetch.snapshot().fetched_bytes,
                      world.fetch.snapshot().window_bytes);
  };
  for (std::uint64_t seed = 1; seed < 6; ++seed) EXPECT_EQ(trace(seed), trace(seed));
}

}  // namespace
}  // namespace dig::exchange
