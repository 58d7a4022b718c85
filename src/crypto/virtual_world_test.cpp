// SPDX-License-Identifier: Apache-2.0
#include "crypto/testing/virtual_world.hpp"

#include <gtest/gtest.h>
#include <openssl/x509.h>

#include <ctime>

#include "crypto/system_rng.hpp"

namespace dig::crypto::testing {
namespace {

TEST(VirtualClock, StandsUntilItIsSet) {
  const std::time_t before = std::time(nullptr);
  {
    VirtualClock clock(UnixTime{1'000'000}, Instant{50s});
    EXPECT_EQ(std::time(nullptr), 1'000'000);
    const auto monotonic = std::chrono::steady_clock::now();
    EXPECT_EQ(std::chrono::system_clock::now().time_since_epoch(), 1'000'000s);
    clock.set(Instant{51s + 500ms});
    EXPECT_EQ(std::chrono::system_clock::now().time_since_epoch(), 1'000'001s + 500ms);
    EXPECT_EQ(std::chrono::steady_clock::now() - monotonic, 1500ms);
  }
  EXPECT_GE(std::time(nullptr), before);
}

TEST(VirtualClock, IsWhatOpensslReads) {
  const VirtualClock clock(UnixTime{1'000'000});
  ASN1_TIME* time = ASN1_TIME_set(nullptr, 1'000'000);
  int days = 1;
  int seconds = 1;
  EXPECT_EQ(ASN1_TIME_diff(&days, &seconds, nullptr, time), 1) << "from OpenSSL's now";
  EXPECT_EQ(days, 0);
  EXPECT_EQ(seconds, 0);
  ASN1_TIME_free(time);
}

TEST(OpensslRandom, ComesFromItsSourceWhileItLives) {
  SystemRng system;
  const auto draw = [&] { return system.array<32>(); };
  const auto draw_seeded = [&](std::uint64_t seed) {
    SeededRng source(seed);
    const OpensslRandom random(source);
    return draw();
  };
  EXPECT_EQ(draw_seeded(1), draw_seeded(1));
  EXPECT_NE(draw_seeded(1), draw_seeded(2));
  EXPECT_NE(draw(), draw());
  SeededRng one(1);
  SeededRng other(2);
  OpensslRandom random(one);
  const auto first = draw();
  random.use(other);
  (void)draw();
  random.use(one);
  SeededRng expected(1);
  EXPECT_EQ(first, expected.array<32>());
  EXPECT_EQ(draw(), expected.array<32>()) << "sources do not disturb each other";
}

}  // namespace
}  // namespace dig::crypto::testing
