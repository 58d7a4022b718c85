// SPDX-License-Identifier: Apache-2.0
// One side of a Noise XX handshake for tests: correct cryptography around any payload, however wrong.
#pragma once

#include <string_view>

#include "crypto/x25519.hpp"
#include "proto/noise/symmetric_state.hpp"
#include "wire/identity.hpp"
#include "wire/noise_payload.hpp"

namespace dig::noise::testing {

// Hands out the given bytes first, so that a test can choose the keys.
class FixedRng final : public Rng {
 public:
  explicit FixedRng(Bytes bytes) : bytes_(std::move(bytes)) {}
  void fill(MutableBytes out) override {
    for (auto& byte : out) byte = bytes_.at(used_++);
  }

 private:
  Bytes bytes_;
  std::size_t used_ = 0;
};

class RawParty {
 public:
  RawParty(Rng& rng, BytesView prologue = {})
      : static_key(crypto::X25519KeyPair::generate(rng)),
        ephemeral_key(crypto::X25519KeyPair::generate(rng)),
        symmetric_("Noise_XX_25519_ChaChaPoly_SHA256", prologue) {}

  crypto::X25519KeyPair static_key;
  crypto::X25519KeyPair ephemeral_key;

  [[nodiscard]] Bytes signed_payload(const Identity& identity, std::vector<std::string> muxers = {},
                                     std::string_view domain = "noise-libp2p-static-key:") const {
    Bytes text = to_bytes(domain);
    append(text, static_key.public_key());
    const auto signature = identity.sign(text);
    return NoisePayload{.identity_key = identity.public_key(),
                        .identity_key_bytes = {},
                        .signature = to_bytes(BytesView(signature)),
                        .muxers = std::move(muxers)}
        .encode();
  }

  [[nodiscard]] static Bytes frame(BytesView message) {
    Bytes framed{static_cast<std::byte>(message.size() >> 8), static_cast<std::byte>(message.size())};
    append(framed, message);
    return framed;
  }

  // Initiator.
  [[nodiscard]] Bytes message_1() {
    symmetric_.mix_hash(ephemeral_key.public_key());
    symmetric_.mix_hash({});
    return frame(ephemeral_key.public_key());
  }
  // `framed_2` must be honest.
  [[nodiscard]] Bytes message_3(BytesView framed_2, BytesView payload) {
    const BytesView message = framed_2.subspan(2);
    const BytesView peer_ephemeral = message.first(32);
    symmetric_.mix_hash(peer_ephemeral);
    symmetric_.mix_key(ephemeral_key.agree(peer_ephemeral)->view());
    const Bytes peer_static = symmetric_.decrypt_and_hash(message.subspan(32, 48)).value();
    symmetric_.mix_key(ephemeral_key.agree(peer_static)->view());
    (void)symmetric_.decrypt_and_hash(message.subspan(80)).value();
    Bytes out;
    symmetric_.encrypt_and_hash(static_key.public_key(), out);
    symmetric_.mix_key(static_key.agree(peer_ephemeral)->view());
    symmetric_.encrypt_and_hash(payload, out);
    return frame(out);
  }

  // Responder.
  [[nodiscard]] Bytes message_2(BytesView framed_1, BytesView payload) {
    const BytesView peer_ephemeral = framed_1.subspan(2);
    symmetric_.mix_hash(peer_ephemeral);
    symmetric_.mix_hash({});
    Bytes out = to_bytes(BytesView(ephemeral_key.public_key()));
    symmetric_.mix_hash(out);
    symmetric_.mix_key(ephemeral_key.agree(peer_ephemeral)->view());
    symmetric_.encrypt_and_hash(static_key.public_key(), out);
    symmetric_.mix_key(static_key.agree(peer_ephemeral)->view());
    symmetric_.encrypt_and_hash(payload, out);
    return frame(out);
  }

 private:
  SymmetricState symmetric_;
};

}  // namespace dig::noise::testing
