// SPDX-License-Identifier: Apache-2.0
// Makes a secure channel out of a raw byte stream (libp2p connections spec): multistream-select of /noise, the Noise
// handshake, then the muxer: agreed inside the handshake (early muxer) or by multistream-select inside the channel.
// Both roles. What comes out is an authenticated peer and the transport that a yamux session runs on.
#pragma once

#include <optional>
#include <string_view>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "proto/connection/connection.hpp"
#include "proto/multistream/negotiator.hpp"
#include "proto/noise/handshake.hpp"
#include "proto/noise/transport.hpp"
#include "wire/identity.hpp"

namespace dig::upgrade {

inline constexpr std::string_view k_noise_protocol = "/noise";
inline constexpr std::string_view k_yamux_protocol = "/yamux/1.0.0";

struct Limits {
  Duration phase_timeout = std::chrono::seconds{5};  // for each of: negotiate, handshake, muxer
  // Bytes that may arrive behind the handshake before the owner has taken the result.
  std::size_t leftover_bytes = std::size_t{1} << 20;
};

struct Config {
  Direction direction = Direction::outbound;
  const Identity& identity;  // must outlive the upgrade
  std::optional<PeerId> expected_peer{};
  Duration handshake_timeout = std::chrono::seconds{10};  // for all phases together
  Limits limits{};
};

struct Upgraded {
  PeerId peer;
  PublicKey key;
  noise::Transport transport;
  Bytes leftover_ciphertext;  // received behind the last byte of the upgrade: whole or partial Noise frames, in order
  Bytes leftover_plaintext;   // decrypted already; comes before leftover_ciphertext
};

enum class Phase : std::uint8_t { negotiate, handshake, muxer, done, failed };
[[nodiscard]] std::string_view phase_name(Phase phase) noexcept;

struct UpgradeStatus {
  Phase phase = Phase::negotiate;
  std::size_t buffered_bytes = 0;
};

class SecureUpgrade {
 public:
  // An outbound upgrade has its first bytes ready at once; an inbound one says nothing before the peer did.
  SecureUpgrade(const Config& config, Rng& rng, Instant now);

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  // False once the upgrade is over: the owner should take the result before it reads more.
  [[nodiscard]] bool wants_bytes() const noexcept { return !is_over(); }
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept;

  // The outcome, once. Success is given only after poll_bytes has handed out everything, so that the owner can write to
  // the transport at once: ask again after poll_bytes. Failures: phase_timeout, protocol_not_supported,
  // handshake_failed, peer_id_mismatch, bad_public_key, bad_signature, dialled_self, protocol_violation,
  // decrypt_failed, connection_closed.
  [[nodiscard]] std::optional<Result<Upgraded>> take_result();
  [[nodiscard]] UpgradeStatus snapshot() const noexcept;

 private:
  [[nodiscard]] bool is_over() const noexcept { return phase_ == Phase::done || phase_ == Phase::failed; }
  [[nodiscard]] bool has_output() const noexcept;
  void enter(Instant now, Phase phase);
  void fail_with(Error error);
  void advance(Instant now);
  void run_negotiate(Instant now);
  void run_handshake(Instant now);
  void run_muxer(Instant now);
  Result<bool> open_next_frame();
  void seal_muxer_output();

  Direction direction_;
  Limits limits_;
  Instant deadline_;  // of the whole upgrade
  Instant phase_deadline_;
  Phase phase_ = Phase::negotiate;
  multistream::Negotiator negotiator_;
  noise::Handshake handshake_;
  std::optional<multistream::Negotiator> muxer_negotiator_;
  std::optional<noise::Secured> secured_;
  Bytes input_;          // received, not yet consumed
  Bytes plaintext_;      // muxer phase: decrypted, not yet consumed
  Bytes sealed_output_;  // muxer phase: to be sent
  std::optional<Error> error_;
  bool is_result_taken_ = false;
};

}  // namespace dig::upgrade
