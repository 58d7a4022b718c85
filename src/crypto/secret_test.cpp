// SPDX-License-Identifier: Apache-2.0
#include "crypto/secret.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <type_traits>

#include "crypto/system_rng.hpp"

namespace dig::crypto {
namespace {

Secret<32> marked_secret() {
  Secret<32> secret;
  std::ranges::fill(secret.mutable_view(), std::byte{0x5a});
  return secret;
}

bool is_zero(BytesView bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

static_assert(!std::is_copy_constructible_v<Secret<32>> && !std::is_copy_assignable_v<Secret<32>>);

TEST(Secret, IsWipedWhenMovedFrom) {
  Secret<32> from = marked_secret();
  const Secret<32> to(std::move(from));
  EXPECT_TRUE(is_zero(from.view()));
  EXPECT_FALSE(is_zero(to.view()));
  Secret<32> again = marked_secret();
  Secret<32> target;
  target = std::move(again);
  EXPECT_TRUE(is_zero(again.view()));
  EXPECT_TRUE(equal(target.view(), to.view()));
}

TEST(Secret, IsWipedWhenDestroyed) {
  alignas(Secret<32>) std::array<std::byte, sizeof(Secret<32>)> memory;
  auto* secret = std::construct_at(reinterpret_cast<Secret<32>*>(memory.data()), marked_secret());
  EXPECT_FALSE(is_zero(memory));
  std::destroy_at(secret);
  EXPECT_TRUE(is_zero(memory));
}

TEST(SecureEqual, ComparesContentAndSize) {
  EXPECT_TRUE(secure_equal({}, {}));
  EXPECT_TRUE(secure_equal(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(secure_equal(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(secure_equal(as_bytes("abc"), as_bytes("ab")));
}

TEST(SystemRng, FillsEverySizeAndDoesNotRepeat) {
  SystemRng rng;
  rng.fill({});
  EXPECT_NE(rng.array<32>(), rng.array<32>());
  Bytes large((1 << 16) + 64);
  rng.fill(large);
  EXPECT_FALSE(is_zero(MutableBytes(large).last(64)));
}

}  // namespace
}  // namespace dig::crypto
