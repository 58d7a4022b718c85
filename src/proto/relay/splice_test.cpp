// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/splice.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.hpp"
#include "base/testing/allocation_counter.hpp"

namespace dig::relay {
namespace {

constexpr Instant k_start{1000s};
constexpr circuit::Limit k_unlimited{};
constexpr auto k_both = {CircuitEnd::hop, CircuitEnd::stop};

Bytes some_bytes(std::size_t size, std::uint64_t seed = 1) {
  SeededRng rng(seed);
  Bytes bytes(size);
  rng.fill(bytes);
  return bytes;
}

// Everything that goes out to that stream now.
Bytes drain(Splice& splice, CircuitEnd to) {
  Bytes out;
  for (BytesView ready = splice.output(to); !ready.empty(); ready = splice.output(to)) {
    append(out, ready);
    splice.handle_written(to, ready.size());
  }
  return out;
}
Errc error_of(const Splice& splice) {
  EXPECT_TRUE(splice.result() && !*splice.result());
  return splice.result() && !*splice.result() ? splice.result()->error().code() : Errc::internal;
}

TEST(Splice, PassesBytesBothWaysInAnyPieces) {
  SeededRng rng(1);
  for (int round = 0; round < 50; ++round) {
    Splice splice(k_start, k_unlimited, {.buffer = 1 + rng.below(100)});
    const std::array<Bytes, 2> input = {some_bytes(1000, 2), some_bytes(1000, 3)};
    std::array<Bytes, 2> output;  // by where it came from
    std::array<std::size_t, 2> given{};
    while (output[0].size() + output[1].size() < 2000) {
      for (const CircuitEnd from : k_both) {
        const auto i = static_cast<std::size_t>(from);
        const MutableBytes space = splice.receive_space(from);
        const std::size_t size = std::min({space.size(), input[i].size() - given[i], std::size_t{rng.below(60)}});
        std::copy_n(input[i].begin() + static_cast<std::ptrdiff_t>(given[i]), size, space.begin());
        splice.handle_received(k_start, from, size);
        given[i] += size;
        const BytesView ready = splice.output(other_end(from));
        const std::size_t written = std::min<std::size_t>(ready.size(), rng.below(60));
        append(output[i], ready.first(written));
        splice.handle_written(other_end(from), written);
      }
    }
    ASSERT_EQ(output, input) << round;
    EXPECT_EQ(splice.snapshot().bytes_from_hop, 1000U);
    EXPECT_EQ(splice.snapshot().bytes_from_stop, 1000U);
    EXPECT_EQ(splice.snapshot().buffered_bytes, 0U);
  }
}

TEST(Splice, ASlowReaderStopsItsWriterAndNobodyElse) {
  Splice splice(k_start, k_unlimited, {.buffer = 8});
  EXPECT_EQ(splice.handle_bytes(k_start, CircuitEnd::hop, some_bytes(20)), 8U);
  EXPECT_TRUE(splice.receive_space(CircuitEnd::hop).empty());
  EXPECT_EQ(splice.receive_space(CircuitEnd::stop).size(), 8U);
  EXPECT_EQ(splice.snapshot().buffered_bytes, 8U);
  splice.handle_written(CircuitEnd::stop, 3);
  EXPECT_EQ(splice.receive_space(CircuitEnd::hop).size(), 3U);
  EXPECT_EQ(splice.handle_bytes(k_start, CircuitEnd::hop, some_bytes(20)), 3U);
  EXPECT_EQ(drain(splice, CircuitEnd::stop).size(), 8U);
}

TEST(Splice, TheEndOfOneHalfIsPassedOnBehindItsBytes) {
  Splice splice(k_start, k_unlimited);
  EXPECT_EQ(splice.handle_bytes(k_start, CircuitEnd::hop, some_bytes(5)), 5U);
  splice.handle_eof(CircuitEnd::hop);
  EXPECT_FALSE(splice.has_finished_writing(CircuitEnd::stop)) << "there are bytes before the end";
  EXPECT_TRUE(splice.receive_space(CircuitEnd::hop).empty());
  EXPECT_EQ(drain(splice, CircuitEnd::stop), some_bytes(5));
  EXPECT_TRUE(splice.has_finished_writing(CircuitEnd::stop));
  EXPECT_FALSE(splice.has_finished_writing(CircuitEnd::hop));
  EXPECT_FALSE(splice.result()) << "the other half goes on";
  EXPECT_EQ(splice.handle_bytes(k_start, CircuitEnd::stop, some_bytes(7)), 7U);
  splice.handle_eof(CircuitEnd::stop);
  EXPECT_FALSE(splice.result());
  EXPECT_EQ(drain(splice, CircuitEnd::hop), some_bytes(7));
  EXPECT_TRUE(splice.has_finished_writing(CircuitEnd::hop));
  ASSERT_TRUE(splice.result());
  EXPECT_TRUE(*splice.result());
  EXPECT_TRUE(splice.snapshot().is_over);
}

TEST(Splice, TheLimitOfBytesIsKeptToTheByteInEachDirection) {
  for (const CircuitEnd from : k_both) {
    const CircuitEnd to = other_end(from);
    Splice splice(k_start, {.duration = 0, .data = 100});
    EXPECT_EQ(splice.handle_bytes(k_start, from, some_bytes(100)), 100U);
    EXPECT_EQ(drain(splice, to), some_bytes(100));
    EXPECT_EQ(splice.handle_bytes(k_start, to, some_bytes(100)), 100U) << "the other direction has its own";
    EXPECT_FALSE(splice.result()) << "all of the limit may be used";
    EXPECT_EQ(splice.receive_space(from).size(), 1U) << "to see whether there is more";
    EXPECT_EQ(splice.handle_bytes(k_start, from, some_bytes(1)), 1U);
    EXPECT_EQ(error_of(splice), Errc::circuit_limit_reached);
    EXPECT_EQ(splice.snapshot().bytes_from_hop, 100U);
    EXPECT_EQ(splice.snapshot().bytes_from_stop, 100U);
    EXPECT_TRUE(splice.output(to).empty()) << "the byte beyond the limit does not pass";
  }
}

TEST(Splice, ACircuitThatEndsAtItsLimitEndsWell) {
  Splice splice(k_start, {.duration = 0, .data = 100});
  EXPECT_EQ(splice.handle_bytes(k_start, CircuitEnd::hop, some_bytes(100)), 100U);
  splice.handle_eof(CircuitEnd::hop);
  splice.handle_eof(CircuitEnd::stop);
  EXPECT_EQ(drain(splice, CircuitEnd::stop).size(), 100U);
  EXPECT_TRUE(*splice.result());
}

TEST(Splice, WhatIsWithinTheLimitStillReachesItsReader) {
  Splice splice(k_start, {.duration = 0, .data = 100});
  EXPECT_EQ(splice.handle_bytes(k_start, CircuitEnd::hop, some_bytes(105)), 101U) << "in one piece with what is beyond";
  EXPECT_FALSE(splice.result());
  for (const CircuitEnd end : k_both) EXPECT_TRUE(splice.receive_space(end).empty()) << "nothing is read any more";
  splice.handle_eof(CircuitEnd::hop);
  EXPECT_EQ(drain(splice, CircuitEnd::stop), some_bytes(100));
  EXPECT_EQ(error_of(splice), Errc::circuit_limit_reached);
  EXPECT_FALSE(splice.has_finished_writing(CircuitEnd::stop)) << "it is reset, not finished";
}

TEST(Splice, WhatIsReadBehindTheEndIsDropped) {
  Splice splice(k_start, {.duration = 0, .data = 100});
  const MutableBytes space = splice.receive_space(CircuitEnd::stop);
  ASSERT_GE(space.size(), 5U);
  EXPECT_EQ(splice.handle_bytes(k_start, CircuitEnd::hop, some_bytes(101)), 101U);
  splice.handle_received(k_start, CircuitEnd::stop, 5);
  EXPECT_EQ(splice.snapshot().bytes_from_stop, 0U);
  EXPECT_TRUE(splice.output(CircuitEnd::hop).empty());
}

TEST(Splice, ButNotForEver) {
  Splice splice(k_start, {.duration = 0, .data = 100});
  EXPECT_FALSE(splice.next_timeout());
  EXPECT_EQ(splice.handle_bytes(k_start + 5s, CircuitEnd::hop, some_bytes(101)), 101U);
  EXPECT_EQ(splice.next_timeout(), k_start + 15s);
  splice.handle_timeout(k_start + 15s - 1ns);
  EXPECT_FALSE(splice.result());
  splice.handle_timeout(k_start + 15s);
  EXPECT_EQ(error_of(splice), Errc::circuit_limit_reached);
  EXPECT_FALSE(splice.next_timeout());
}

TEST(Splice, TheLimitOfTimeIsKeptToTheNanosecond) {
  Splice splice(k_start, {.duration = 120, .data = 0});
  EXPECT_EQ(splice.next_timeout(), k_start + 120s);
  EXPECT_EQ(splice.handle_bytes(k_start + 120s - 1ns, CircuitEnd::hop, some_bytes(3)), 3U);
  splice.handle_timeout(k_start + 120s - 1ns);
  EXPECT_FALSE(splice.result());
  splice.handle_timeout(k_start + 120s);
  EXPECT_EQ(error_of(splice), Errc::circuit_limit_reached);
  for (const CircuitEnd end : k_both) {
    EXPECT_TRUE(splice.output(end).empty());
    EXPECT_TRUE(splice.receive_space(end).empty());
  }
  EXPECT_FALSE(splice.next_timeout());

  Splice late(k_start, {.duration = 120, .data = 0});
  (void)late.handle_bytes(k_start + 120s, CircuitEnd::stop, some_bytes(3));
  EXPECT_EQ(error_of(late), Errc::circuit_limit_reached) << "although the timer came late";
  EXPECT_EQ(late.snapshot().bytes_from_stop, 0U);
}

TEST(Splice, WithoutALimitThereIsNone) {
  Splice splice(k_start, k_unlimited);
  EXPECT_FALSE(splice.next_timeout());
  splice.handle_timeout(k_start + 24h * 365);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(splice.handle_bytes(k_start + 24h * 365, CircuitEnd::hop, some_bytes(16 * 1024)), 16U * 1024);
    EXPECT_EQ(drain(splice, CircuitEnd::stop).size(), 16U * 1024);
  }
  EXPECT_FALSE(splice.result());
  Splice most(k_start, {.duration = 0, .data = std::numeric_limits<std::uint64_t>::max()});
  EXPECT_EQ(most.receive_space(CircuitEnd::hop).size(), 16U * 1024);
}

TEST(Splice, MovesBytesWithoutAllocating) {
  Splice splice(k_start, {.duration = 120, .data = 10'000'000});
  const Bytes bytes = some_bytes(1000);
  std::uint64_t proof = 0;
  std::uint64_t allocations = 0;
  std::size_t moved = 0;
  {
    const testing::AllocationCounter counter;
    for (int i = 0; i < 1000; ++i) {
      for (const CircuitEnd from : k_both) {
        moved += splice.handle_bytes(k_start, from, bytes);
        while (!splice.output(other_end(from)).empty()) {
          splice.handle_written(other_end(from), std::min<std::size_t>(700, splice.output(other_end(from)).size()));
        }
      }
    }
    allocations = counter.count();
    (void)some_bytes(1);
    proof = counter.count();
  }
  EXPECT_EQ(moved, 2'000'000U);
  EXPECT_EQ(allocations, 0U);
  EXPECT_GT(proof, 0U) << "allocations are counted in this program";
}

}  // namespace
}  // namespace dig::relay
