// SPDX-License-Identifier: Apache-2.0
// The encrypted frames after a Noise handshake (libp2p noise spec): a big-endian u16 length, then that many bytes of
// ciphertext with its tag. Each direction has its own key and counts its own nonces.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/aead.hpp"

namespace dig::noise {

struct TransportStatus {
  std::uint64_t frames_sealed = 0;
  std::uint64_t frames_opened = 0;
  bool is_failed = false;  // a frame did not verify: nothing is opened any more
};

class Transport {
 public:
  static constexpr std::size_t length_size = 2;
  static constexpr std::size_t tag_size = crypto::Aead::tag_size;
  static constexpr std::size_t max_ciphertext = 65535;
  static constexpr std::size_t max_plaintext = max_ciphertext - tag_size;
  static constexpr std::size_t overhead = length_size + tag_size;

  struct Limits {
    // Frames per direction; far below 2^64 - 1, where Noise's nonces end. The owner closes a connection that gets here.
    std::uint64_t frames = std::uint64_t{1} << 48;
    // Frames in a row that carry nothing: they cost work and bring no progress.
    std::uint32_t empty_frames = 1024;
  };

  Transport(const crypto::Secret<32>& send_key, const crypto::Secret<32>& receive_key);
  Transport(const crypto::Secret<32>& send_key, const crypto::Secret<32>& receive_key, const Limits& limits);

  // frame.size() >= size + overhead and size <= max_plaintext. The caller has put `size` plaintext bytes at frame[2..];
  // they are encrypted in place, length and tag are written around them. No allocation.
  void seal_frame(MutableBytes frame, std::size_t size);

  // `ciphertext` is a frame without its length; `out` may be the same memory. Returns the size of the plaintext.
  // decrypt_failed (final: every later call fails too), flood (too many empty frames), limit_reached (too many frames),
  // oversized (`out` is too small, or the frame larger than the protocol allows). No allocation.
  [[nodiscard]] Result<std::size_t> open_frame(BytesView ciphertext, MutableBytes out);

  // The send direction has reached its limit: close the connection and seal nothing more.
  [[nodiscard]] bool is_exhausted() const noexcept { return sealed_ >= limits_.frames; }
  [[nodiscard]] TransportStatus snapshot() const noexcept { return {sealed_, opened_, is_failed_}; }

 private:
  crypto::Aead send_;
  crypto::Aead receive_;
  Limits limits_;
  std::uint64_t sealed_ = 0;  // the next nonce
  std::uint64_t opened_ = 0;
  std::uint32_t empty_in_a_row_ = 0;
  bool is_failed_ = false;
};

}  // namespace dig::noise
