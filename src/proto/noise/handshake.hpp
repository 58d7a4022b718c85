// SPDX-License-Identifier: Apache-2.0
// The handshake Noise_XX_25519_ChaChaPoly_SHA256 with libp2p's payload (noise spec): both sides prove their identity
// key by a signature over their Noise static key, and may agree on a muxer in passing (inlined muxer negotiation).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "crypto/x25519.hpp"
#include "proto/noise/symmetric_state.hpp"
#include "proto/noise/transport.hpp"
#include "wire/identity.hpp"

namespace dig::noise {

enum class Role : std::uint8_t { initiator, responder };

struct HandshakeLimits {
  // Noise allows 65535; the largest honest message (an RSA 4096 identity and some muxers) has less than 2 KiB.
  std::size_t message_bytes = 16 * 1024;
};

struct HandshakeConfig {
  Role role = Role::initiator;
  const Identity& identity;               // must outlive the handshake
  std::optional<PeerId> expected_peer{};  // anybody else is refused with peer_id_mismatch
  std::vector<std::string> muxers{};      // ours, the preferred one first; empty: the extension is not used
  Bytes prologue{};                       // what both sides must have agreed on before; empty over TCP
  HandshakeLimits limits{};
};

struct Secured {
  PeerId peer;
  PublicKey key;
  std::optional<std::string> muxer;  // agreed in passing; absent: to be negotiated inside the channel
  Transport transport;
};

struct HandshakeStatus {
  std::uint8_t messages_done = 0;  // of 3, sent and received
  bool is_over = false;
  std::size_t buffered_bytes = 0;
};

class Handshake {
 public:
  // Makes a fresh static and a fresh ephemeral key; `rng` is not used afterwards.
  Handshake(const HandshakeConfig& config, Rng& rng);

  // Returns how many bytes it consumed: never one behind the last message that it needs.
  [[nodiscard]] std::size_t handle_bytes(BytesView bytes);
  void handle_eof();
  // Writes what is to be sent and returns how much; 0: nothing.
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out);
  [[nodiscard]] bool has_output() const noexcept { return output_sent_ < output_.size(); }

  // The last message was received or, by an initiator, queued; or the handshake failed.
  [[nodiscard]] bool is_over() const noexcept { return outcome_.has_value(); }
  // The outcome, once. Errors: handshake_failed, peer_id_mismatch, dialled_self, bad_public_key, bad_signature,
  // protocol_not_supported (no muxer in common), connection_closed (end of input).
  [[nodiscard]] std::optional<Result<Secured>> take_result();
  [[nodiscard]] HandshakeStatus snapshot() const noexcept;

 private:
  Result<void> handle_input();
  Result<void> read_message(BytesView message);
  Result<void> read_message_1(BytesView message);
  Result<void> read_message_2(BytesView message);
  Result<void> read_message_3(BytesView message);
  Result<void> accept_ephemeral(BytesView key);
  Result<void> mix_agreement(const crypto::X25519KeyPair& own, BytesView peer);
  Result<void> read_static_key(BytesView sealed);
  Result<void> read_payload(BytesView sealed);
  Result<void> choose_muxer(const std::vector<std::string>& peer_muxers);
  void write_message_1();
  Result<void> write_message_2();
  Result<void> write_message_3();
  [[nodiscard]] Bytes own_payload() const;
  void queue(BytesView message);
  void succeed();
  void fail_with(Error error);

  HandshakeConfig config_;
  crypto::X25519KeyPair static_key_;
  crypto::X25519KeyPair ephemeral_key_;
  SymmetricState symmetric_;
  crypto::X25519PublicKey peer_static_{};
  crypto::X25519PublicKey peer_ephemeral_{};
  PublicKey peer_key_;
  PeerId peer_;
  std::optional<std::string> muxer_;
  std::uint8_t messages_done_ = 0;
  Bytes input_;  // one frame at most: its length and what came of it
  Bytes output_;
  std::size_t output_sent_ = 0;
  std::optional<Result<Secured>> outcome_;
  bool is_result_taken_ = false;
};

}  // namespace dig::noise
