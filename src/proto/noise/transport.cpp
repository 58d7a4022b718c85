// SPDX-License-Identifier: Apache-2.0
#include "proto/noise/transport.hpp"

namespace dig::noise {

Transport::Transport(const crypto::Secret<32>& send_key, const crypto::Secret<32>& receive_key)
    : Transport(send_key, receive_key, Limits{}) {}

Transport::Transport(const crypto::Secret<32>& send_key, const crypto::Secret<32>& receive_key, const Limits& limits)
    : send_(send_key), receive_(receive_key), limits_(limits) {}

void Transport::seal_frame(MutableBytes frame, std::size_t size) {
  const std::size_t ciphertext_size = size + tag_size;
  frame[0] = static_cast<std::byte>(ciphertext_size >> 8);
  frame[1] = static_cast<std::byte>(ciphertext_size);
  send_.seal_in_place(frame.subspan(length_size), size, sealed_, {});
  ++sealed_;
}

Result<std::size_t> Transport::open_frame(BytesView ciphertext, MutableBytes out) {
  if (is_failed_) return fail(Errc::decrypt_failed, "an earlier frame did not verify");
  if (ciphertext.size() > max_ciphertext) return fail(Errc::oversized, "Noise frame");
  if (opened_ >= limits_.frames) return fail(Errc::limit_reached, "Noise frames of one connection");
  const Result<std::size_t> size = receive_.open(ciphertext, out, opened_, {});
  if (!size) {
    is_failed_ = size.error().code() == Errc::decrypt_failed;
    return size;
  }
  ++opened_;
  empty_in_a_row_ = *size == 0 ? empty_in_a_row_ + 1 : 0;
  if (empty_in_a_row_ > limits_.empty_frames) return fail(Errc::flood, "empty Noise frames");
  return size;
}

}  // namespace dig::noise
