// SPDX-License-Identifier: Apache-2.0
#include "proto/upgrade/secure_upgrade.hpp"

#include <algorithm>

namespace dig::upgrade {
namespace {

multistream::Negotiator make_negotiator(Direction direction, std::string_view protocol) {
  std::vector<std::string> protocols{std::string(protocol)};
  return direction == Direction::outbound ? multistream::Negotiator::dial(std::move(protocols))
                                          : multistream::Negotiator::listen(std::move(protocols));
}

noise::HandshakeConfig handshake_config(const Config& config) {
  return {.role = config.direction == Direction::outbound ? noise::Role::initiator : noise::Role::responder,
          .identity = config.identity,
          .expected_peer = config.expected_peer,
          .muxers = {std::string(k_yamux_protocol)}};
}

void drop_front(Bytes& bytes, std::size_t size) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
}

}  // namespace

std::string_view phase_name(Phase phase) noexcept {
  switch (phase) {
    case Phase::negotiate:
      return "negotiate";
    case Phase::handshake:
      return "handshake";
    case Phase::muxer:
      return "muxer";
    case Phase::done:
      return "done";
    case Phase::failed:
      return "failed";
  }
  return "?";
}

// An initiator's first Noise message goes out right behind its proposal of /noise: there is no other protocol to fall
// back to, and a round trip is saved.
SecureUpgrade::SecureUpgrade(const Config& config, Rng& rng, Instant now)
    : direction_(config.direction),
      limits_(config.limits),
      deadline_(now + config.handshake_timeout),
      negotiator_(make_negotiator(config.direction, k_noise_protocol)),
      handshake_(handshake_config(config), rng) {
  enter(now, Phase::negotiate);
}

void SecureUpgrade::handle_bytes(Instant now, BytesView bytes) {
  if (phase_ == Phase::failed) return;
  if (bytes.size() > limits_.leftover_bytes || input_.size() > limits_.leftover_bytes - bytes.size()) {
    fail_with(Error(Errc::protocol_violation, "too many bytes behind the handshake"));
    return;
  }
  append(input_, bytes);
  advance(now);
}

void SecureUpgrade::handle_eof(Instant) {
  if (is_over()) return;
  fail_with(Error(Errc::connection_closed, phase_name(phase_)));
}

void SecureUpgrade::handle_timeout(Instant now) {
  const auto due = next_timeout();
  if (due && now >= *due) fail_with(Error(Errc::phase_timeout, phase_name(phase_)));
}

std::size_t SecureUpgrade::poll_bytes(Instant, MutableBytes out) {
  // Each of them falls silent before the next one begins.
  std::size_t written = negotiator_.poll_bytes(out);
  written += handshake_.poll_bytes(out.subspan(written));
  const std::size_t size = std::min(sealed_output_.size(), out.size() - written);
  std::copy_n(sealed_output_.begin(), size, out.begin() + static_cast<std::ptrdiff_t>(written));
  drop_front(sealed_output_, size);
  return written + size;
}

std::optional<Instant> SecureUpgrade::next_timeout() const noexcept {
  if (phase_ == Phase::failed || (phase_ == Phase::done && !has_output())) return std::nullopt;
  return std::min(deadline_, phase_deadline_);
}

std::optional<Result<Upgraded>> SecureUpgrade::take_result() {
  if (is_result_taken_ || !is_over()) return std::nullopt;
  if (phase_ == Phase::done && has_output()) return std::nullopt;
  is_result_taken_ = true;
  if (error_) return std::unexpected(*error_);
  return Upgraded{std::move(secured_->peer), std::move(secured_->key), std::move(secured_->transport),
                  std::move(input_), std::move(plaintext_)};
}

UpgradeStatus SecureUpgrade::snapshot() const noexcept {
  return {phase_, input_.size() + plaintext_.size() + sealed_output_.size() + negotiator_.snapshot().buffered_bytes +
                      handshake_.snapshot().buffered_bytes};
}

bool SecureUpgrade::has_output() const noexcept {
  return negotiator_.has_output() || handshake_.has_output() || !sealed_output_.empty();
}

void SecureUpgrade::enter(Instant now, Phase phase) {
  phase_ = phase;
  phase_deadline_ = now + limits_.phase_timeout;
}

void SecureUpgrade::fail_with(Error error) {
  phase_ = Phase::failed;
  error_ = std::move(error);
  input_.clear();
  plaintext_.clear();
}

// Runs through as many phases as the input allows: one read may hold the end of one and the start of the next.
void SecureUpgrade::advance(Instant now) {
  if (phase_ == Phase::negotiate) run_negotiate(now);
  if (phase_ == Phase::handshake) run_handshake(now);
  if (phase_ == Phase::muxer) run_muxer(now);
}

void SecureUpgrade::run_negotiate(Instant now) {
  drop_front(input_, negotiator_.handle_bytes(input_));
  const auto& result = negotiator_.result();
  if (!result) return;
  if (!*result) return fail_with(result->error());
  enter(now, Phase::handshake);
}

void SecureUpgrade::run_handshake(Instant now) {
  drop_front(input_, handshake_.handle_bytes(input_));
  auto result = handshake_.take_result();
  if (!result) return;
  if (!*result) return fail_with(result->error());
  secured_ = std::move(**result);
  if (secured_->muxer) return enter(now, Phase::done);  // ours is the only one that can have been agreed on
  enter(now, Phase::muxer);
  muxer_negotiator_ = make_negotiator(direction_, k_yamux_protocol);
  seal_muxer_output();
}

void SecureUpgrade::run_muxer(Instant now) {
  while (!muxer_negotiator_->result()) {
    const auto is_opened = open_next_frame();
    if (!is_opened) return fail_with(is_opened.error());
    if (!*is_opened) return;
    drop_front(plaintext_, muxer_negotiator_->handle_bytes(plaintext_));
    seal_muxer_output();
  }
  const auto& result = *muxer_negotiator_->result();
  if (!result) return fail_with(result.error());
  enter(now, Phase::done);
}

// Decrypts one whole Noise frame; false: it has not arrived yet.
Result<bool> SecureUpgrade::open_next_frame() {
  constexpr std::size_t k_prefix = noise::Transport::length_size;
  if (input_.size() < k_prefix) return false;
  const std::size_t size = (std::to_integer<std::size_t>(input_[0]) << 8) | std::to_integer<std::size_t>(input_[1]);
  if (input_.size() < k_prefix + size) return false;
  Bytes opened(size);
  DIG_TRY(const std::size_t plaintext_size,
          secured_->transport.open_frame(BytesView(input_).subspan(k_prefix, size), opened));
  append(plaintext_, BytesView(opened).first(plaintext_size));
  drop_front(input_, k_prefix + size);
  return true;
}

void SecureUpgrade::seal_muxer_output() {
  while (muxer_negotiator_->has_output()) {
    const std::size_t start = sealed_output_.size();
    const std::size_t room = muxer_negotiator_->snapshot().buffered_bytes;
    const std::size_t capacity = std::min(room, noise::Transport::max_plaintext);
    sealed_output_.resize(start + capacity + noise::Transport::overhead);
    const MutableBytes frame = MutableBytes(sealed_output_).subspan(start);
    const std::size_t size = muxer_negotiator_->poll_bytes(frame.subspan(noise::Transport::length_size, capacity));
    secured_->transport.seal_frame(frame, size);
    sealed_output_.resize(start + size + noise::Transport::overhead);
  }
}

}  // namespace dig::upgrade
