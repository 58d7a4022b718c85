// SPDX-License-Identifier: Apache-2.0
#include "proto/noise/handshake.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"
#include "wire/noise_payload.hpp"

namespace dig::noise {
namespace {

constexpr std::string_view k_protocol_name = "Noise_XX_25519_ChaChaPoly_SHA256";
constexpr std::string_view k_signature_domain = "noise-libp2p-static-key:";
constexpr std::size_t k_key_size = 32;
constexpr std::size_t k_sealed_key_size = k_key_size + crypto::Aead::tag_size;

Bytes signed_text(BytesView static_key) {
  Bytes text = to_bytes(k_signature_domain);
  append(text, static_key);
  return text;
}

}  // namespace

Handshake::Handshake(const HandshakeConfig& config, Rng& rng)
    : config_(config),
      static_key_(crypto::X25519KeyPair::generate(rng)),
      ephemeral_key_(crypto::X25519KeyPair::generate(rng)),
      symmetric_(k_protocol_name, config.prologue) {
  if (config_.role == Role::initiator) write_message_1();
}

std::size_t Handshake::handle_bytes(BytesView bytes) {
  std::size_t consumed = 0;
  while (!is_over() && consumed < bytes.size()) {
    std::size_t wanted = Transport::length_size;
    if (input_.size() >= Transport::length_size) {
      wanted += (std::to_integer<std::size_t>(input_[0]) << 8) | std::to_integer<std::size_t>(input_[1]);
    }
    const BytesView taken = bytes.subspan(consumed, std::min(wanted - input_.size(), bytes.size() - consumed));
    append(input_, taken);
    consumed += taken.size();
    if (const auto handled = handle_input(); !handled) fail_with(handled.error());
  }
  return consumed;
}

// Acts on a length that has just become known, or on a whole message.
Result<void> Handshake::handle_input() {
  if (input_.size() < Transport::length_size) return {};
  const std::size_t size = (std::to_integer<std::size_t>(input_[0]) << 8) | std::to_integer<std::size_t>(input_[1]);
  if (size > config_.limits.message_bytes) return fail(Errc::handshake_failed, "the message is too large");
  if (input_.size() < Transport::length_size + size) return {};
  const Bytes message = std::move(input_);
  input_.clear();
  return read_message(BytesView(message).subspan(Transport::length_size));
}

void Handshake::handle_eof() {
  if (!is_over()) fail_with(Error(Errc::connection_closed, "in the Noise handshake"));
}

std::size_t Handshake::poll_bytes(MutableBytes out) {
  const BytesView rest = BytesView(output_).subspan(output_sent_);
  const std::size_t size = std::min(rest.size(), out.size());
  std::copy_n(rest.begin(), size, out.begin());
  output_sent_ += size;
  return size;
}

std::optional<Result<Secured>> Handshake::take_result() {
  if (!outcome_ || is_result_taken_) return std::nullopt;
  is_result_taken_ = true;
  return std::move(*outcome_);
}

HandshakeStatus Handshake::snapshot() const noexcept {
  return {messages_done_, is_over(), input_.size() + output_.size() - output_sent_};
}

Result<void> Handshake::read_message(BytesView message) {
  const bool is_initiator = config_.role == Role::initiator;
  Result<void> read;
  if (is_initiator) {
    read = read_message_2(message);
  } else {
    read = messages_done_ == 0 ? read_message_1(message) : read_message_3(message);
  }
  DIG_CHECK(read);
  ++messages_done_;
  if (!is_initiator && messages_done_ == 1) return write_message_2();
  if (is_initiator) DIG_CHECK(write_message_3());
  succeed();
  return {};
}

// -> e
Result<void> Handshake::read_message_1(BytesView message) {
  // libp2p sends no payload here; nobody would authenticate it.
  if (message.size() != k_key_size) return fail(Errc::handshake_failed, "message 1 must be one key");
  DIG_CHECK(accept_ephemeral(message));
  symmetric_.mix_hash({});
  return {};
}

// <- e, ee, s, es
Result<void> Handshake::read_message_2(BytesView message) {
  ByteReader reader(message);
  if (reader.remaining() < k_key_size + k_sealed_key_size)
    return fail(Errc::handshake_failed, "message 2 is too short");
  DIG_TRY(const BytesView ephemeral, reader.bytes(k_key_size));
  DIG_CHECK(accept_ephemeral(ephemeral));
  DIG_CHECK(mix_agreement(ephemeral_key_, peer_ephemeral_));
  DIG_TRY(const BytesView sealed_key, reader.bytes(k_sealed_key_size));
  DIG_CHECK(read_static_key(sealed_key));
  DIG_CHECK(mix_agreement(ephemeral_key_, peer_static_));
  return read_payload(reader.rest());
}

// -> s, se
Result<void> Handshake::read_message_3(BytesView message) {
  ByteReader reader(message);
  if (reader.remaining() < k_sealed_key_size) return fail(Errc::handshake_failed, "message 3 is too short");
  DIG_TRY(const BytesView sealed_key, reader.bytes(k_sealed_key_size));
  DIG_CHECK(read_static_key(sealed_key));
  DIG_CHECK(mix_agreement(ephemeral_key_, peer_static_));
  return read_payload(reader.rest());
}

Result<void> Handshake::accept_ephemeral(BytesView key) {
  if (equal(key, ephemeral_key_.public_key())) return fail(Errc::handshake_failed, "our own message came back");
  std::ranges::copy(key, peer_ephemeral_.begin());
  symmetric_.mix_hash(key);
  return {};
}

Result<void> Handshake::mix_agreement(const crypto::X25519KeyPair& own, BytesView peer) {
  const auto shared = own.agree(peer);
  if (!shared) return fail(Errc::handshake_failed, "the peer's Noise key is a point of small order");
  symmetric_.mix_key(shared->view());
  return {};
}

Result<void> Handshake::read_static_key(BytesView sealed) {
  const auto key = symmetric_.decrypt_and_hash(sealed);
  if (!key || key->size() != k_key_size) return fail(Errc::handshake_failed, "the static key did not verify");
  if (equal(*key, static_key_.public_key())) return fail(Errc::handshake_failed, "the peer uses our own static key");
  std::ranges::copy(*key, peer_static_.begin());
  return {};
}

Result<void> Handshake::read_payload(BytesView sealed) {
  const auto plaintext = symmetric_.decrypt_and_hash(sealed);
  if (!plaintext) return fail(Errc::handshake_failed, "the payload did not verify");
  auto payload = NoisePayload::decode(*plaintext);
  if (!payload) {
    if (payload.error().code() == Errc::bad_public_key) return std::unexpected(payload.error());
    return fail(Errc::handshake_failed, "payload: " + payload.error().message());
  }
  DIG_CHECK(verify_signature(payload->identity_key, signed_text(peer_static_), payload->signature));
  peer_ = PeerId::from_public_key(payload->identity_key);
  peer_key_ = std::move(payload->identity_key);
  if (peer_ == config_.identity.peer_id()) return fail(Errc::dialled_self);
  if (config_.expected_peer && peer_ != *config_.expected_peer) {
    return fail(Errc::peer_id_mismatch, "it is " + peer_.to_string());
  }
  return choose_muxer(payload->muxers);
}

// Inlined muxer negotiation: the initiator's order decides. A side that names none leaves it to multistream-select.
Result<void> Handshake::choose_muxer(const std::vector<std::string>& peer_muxers) {
  if (config_.muxers.empty() || peer_muxers.empty()) return {};
  const bool is_initiator = config_.role == Role::initiator;
  const auto& preferred = is_initiator ? config_.muxers : peer_muxers;
  const auto& supported = is_initiator ? peer_muxers : config_.muxers;
  const auto chosen = std::ranges::find_first_of(preferred, supported);
  if (chosen == preferred.end()) return fail(Errc::protocol_not_supported, "no muxer in common");
  muxer_ = *chosen;
  return {};
}

void Handshake::write_message_1() {
  Bytes message = to_bytes(BytesView(ephemeral_key_.public_key()));
  symmetric_.mix_hash(message);
  symmetric_.mix_hash({});  // the empty payload
  queue(message);
}

Result<void> Handshake::write_message_2() {
  Bytes message = to_bytes(BytesView(ephemeral_key_.public_key()));
  symmetric_.mix_hash(message);
  DIG_CHECK(mix_agreement(ephemeral_key_, peer_ephemeral_));
  symmetric_.encrypt_and_hash(static_key_.public_key(), message);
  DIG_CHECK(mix_agreement(static_key_, peer_ephemeral_));
  symmetric_.encrypt_and_hash(own_payload(), message);
  queue(message);
  return {};
}

Result<void> Handshake::write_message_3() {
  Bytes message;
  symmetric_.encrypt_and_hash(static_key_.public_key(), message);
  DIG_CHECK(mix_agreement(static_key_, peer_ephemeral_));
  symmetric_.encrypt_and_hash(own_payload(), message);
  queue(message);
  return {};
}

Bytes Handshake::own_payload() const {
  const auto signature = config_.identity.sign(signed_text(static_key_.public_key()));
  const NoisePayload payload{.identity_key = config_.identity.public_key(),
                             .identity_key_bytes = {},
                             .signature = to_bytes(BytesView(signature)),
                             .muxers = config_.muxers};
  return payload.encode();
}

void Handshake::queue(BytesView message) {
  output_.push_back(static_cast<std::byte>(message.size() >> 8));
  output_.push_back(static_cast<std::byte>(message.size()));
  append(output_, message);
  ++messages_done_;
}

void Handshake::succeed() {
  const auto [from_initiator, from_responder] = symmetric_.split();
  const bool is_initiator = config_.role == Role::initiator;
  outcome_.emplace(
      Secured{peer_, peer_key_, muxer_,
              is_initiator ? Transport(from_initiator, from_responder) : Transport(from_responder, from_initiator)});
}

void Handshake::fail_with(Error error) {
  input_.clear();
  outcome_.emplace(std::unexpected(std::move(error)));
}

}  // namespace dig::noise
