// SPDX-License-Identifier: Apache-2.0
#include "proto/noise/transport.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace dig::noise {
namespace {

struct Pair {
  explicit Pair(const Transport::Limits& limits = {}) {
    SeededRng rng(1);
    rng.fill(one.mutable_view());
    rng.fill(other.mutable_view());
    left.emplace(one, other, limits);
    right.emplace(other, one, limits);
  }
  crypto::Secret<32> one, other;
  std::optional<Transport> left, right;
};

Bytes sealed(Transport& transport, BytesView plaintext) {
  Bytes frame(Transport::length_size);
  append(frame, plaintext);
  frame.resize(plaintext.size() + Transport::overhead);
  transport.seal_frame(frame, plaintext.size());
  return frame;
}

BytesView body(const Bytes& frame) { return BytesView(frame).subspan(Transport::length_size); }

TEST(NoiseTransport, EverySizeUpToTheMaximumComesBack) {
  Pair pair;
  SeededRng rng(2);
  for (const std::size_t size : {0uz, 1uz, 15uz, 16uz, 1000uz, 65518uz, Transport::max_plaintext}) {
    Bytes plaintext(size);
    rng.fill(plaintext);
    const Bytes frame = sealed(*pair.left, plaintext);
    EXPECT_EQ((std::to_integer<std::size_t>(frame[0]) << 8) | std::to_integer<std::size_t>(frame[1]), size + 16);
    Bytes out(size);
    EXPECT_EQ(pair.right->open_frame(body(frame), out).value(), size);
    EXPECT_EQ(out, plaintext);
  }
  EXPECT_EQ(pair.left->snapshot().frames_sealed, 7u);
  EXPECT_EQ(pair.right->snapshot().frames_opened, 7u);
}

TEST(NoiseTransport, OpensInPlace) {
  Pair pair;
  Bytes frame = sealed(*pair.left, as_bytes("plaintext"));
  const auto size = pair.right->open_frame(body(frame), MutableBytes(frame).subspan(2));
  EXPECT_EQ(as_text(body(frame).first(size.value())), "plaintext");
}

TEST(NoiseTransport, AFrameThatDoesNotVerifyIsFinal) {
  Pair pair;
  const Bytes good = sealed(*pair.left, as_bytes("plaintext"));
  Bytes bad = good;
  bad.back() ^= std::byte{1};
  Bytes out(64, std::byte{0});
  EXPECT_EQ(pair.right->open_frame(body(bad), out).error().code(), Errc::decrypt_failed);
  EXPECT_EQ(out, Bytes(64, std::byte{0})) << "no plaintext leaks";
  EXPECT_TRUE(pair.right->snapshot().is_failed);
  EXPECT_EQ(pair.right->open_frame(body(good), out).error().code(), Errc::decrypt_failed);
}

TEST(NoiseTransport, FramesShorterThanTheirTagAreRefused) {
  for (const std::size_t size : {0uz, 1uz, 15uz}) {
    Pair pair;
    Bytes out(64);
    EXPECT_EQ(pair.right->open_frame(Bytes(size), out).error().code(), Errc::decrypt_failed) << size;
  }
}

TEST(NoiseTransport, ReplayedDroppedReorderedAndReflectedFramesAreRefused) {
  Bytes out(64);
  Pair replayed;
  const Bytes first = sealed(*replayed.left, as_bytes("one"));
  EXPECT_TRUE(replayed.right->open_frame(body(first), out).has_value());
  EXPECT_EQ(replayed.right->open_frame(body(first), out).error().code(), Errc::decrypt_failed);

  Pair reordered;
  (void)sealed(*reordered.left, as_bytes("one"));
  const Bytes second = sealed(*reordered.left, as_bytes("two"));
  EXPECT_EQ(reordered.right->open_frame(body(second), out).error().code(), Errc::decrypt_failed);

  Pair reflected;
  const Bytes own = sealed(*reflected.left, as_bytes("one"));
  EXPECT_EQ(reflected.left->open_frame(body(own), out).error().code(), Errc::decrypt_failed);
}

TEST(NoiseTransport, TooSmallABufferIsAnErrorButNotFinal) {
  Pair pair;
  const Bytes frame = sealed(*pair.left, as_bytes("plaintext"));
  Bytes small(8);
  EXPECT_EQ(pair.right->open_frame(body(frame), small).error().code(), Errc::oversized);
  Bytes out(9);
  EXPECT_EQ(pair.right->open_frame(body(frame), out).value(), 9u);
}

TEST(NoiseTransport, OversizedCiphertextIsRefused) {
  Pair pair;
  Bytes out(70'000);
  EXPECT_EQ(pair.right->open_frame(Bytes(65'536), out).error().code(), Errc::oversized);
}

TEST(NoiseTransport, ManyEmptyFramesInARowAreAFlood) {
  Pair pair({.empty_frames = 3});
  Bytes out(16);
  const auto open = [&](std::string_view text) {
    return pair.right->open_frame(body(sealed(*pair.left, as_bytes(text))), out);
  };
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(open("").has_value());
  EXPECT_TRUE(open("x").has_value()) << "data starts the count anew";
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(open("").has_value());
  EXPECT_EQ(open("").error().code(), Errc::flood);
}

TEST(NoiseTransport, NoncesEndLongBeforeTheyWrap) {
  EXPECT_EQ(Transport::Limits{}.frames, std::uint64_t{1} << 48);
  Pair pair({.frames = 2});
  Bytes out(16);
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(pair.left->is_exhausted());
    EXPECT_TRUE(pair.right->open_frame(body(sealed(*pair.left, as_bytes("x"))), out).has_value());
  }
  EXPECT_TRUE(pair.left->is_exhausted());
  EXPECT_EQ(pair.right->open_frame(body(sealed(*pair.left, as_bytes("x"))), out).error().code(), Errc::limit_reached);
}

}  // namespace
}  // namespace dig::noise
