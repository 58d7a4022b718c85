// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/nonce.hpp"

#include <algorithm>

#include "base/base_encoding.hpp"
#include "base/byte_reader.hpp"

namespace dig::turn {
namespace {

constexpr std::size_t k_time_size = 4;
constexpr std::size_t k_mac_size = 12;

std::uint32_t second_of(Instant now) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now.since_origin).count());
}

std::array<std::byte, k_time_size> encode(std::uint32_t second) {
  return {static_cast<std::byte>(second >> 24U), static_cast<std::byte>(second >> 16U),
          static_cast<std::byte>(second >> 8U), static_cast<std::byte>(second)};
}

}  // namespace

NonceMaker::NonceMaker(Rng& rng, Duration lifetime) : lifetime_(lifetime) { rng.fill(key_.mutable_view()); }

NonceMaker::Nonce NonceMaker::make(Instant now, const Endpoint& client) const {
  return make_for(second_of(now), client);
}

NonceMaker::Nonce NonceMaker::make_for(std::uint32_t second, const Endpoint& client) const {
  static const std::string cookie = stun::nonce_cookie({.password_algorithms = true, .username_anonymity = true});
  const auto time = encode(second);
  const std::array port{static_cast<std::byte>(client.port >> 8U), static_cast<std::byte>(client.port)};
  const auto mac = crypto::hmac_sha256(key_.view(), {time, port, client.address.bytes()});
  std::array<std::byte, k_time_size + k_mac_size> raw;
  std::ranges::copy(time, raw.begin());
  std::copy_n(mac.begin(), k_mac_size, raw.begin() + k_time_size);
  Nonce nonce;
  std::ranges::copy(as_bytes(cookie), nonce.begin());
  const std::string text = encode_base(Base::base64, raw);
  std::ranges::copy(as_bytes(text), nonce.begin() + stun::k_nonce_cookie_size);
  return nonce;
}

bool NonceMaker::is_valid(Instant now, const Endpoint& client, BytesView nonce) const {
  if (nonce.size() != size) return false;
  const auto raw = decode_base(Base::base64, as_text(nonce.subspan(stun::k_nonce_cookie_size)));
  if (!raw) return false;
  ByteReader reader(*raw);
  const auto second = reader.u32();
  if (!second || !crypto::secure_equal(make_for(*second, client), nonce)) return false;
  const std::uint32_t age = second_of(now) - *second;  // modulo 2^32, as the time is kept
  return std::chrono::seconds(age) <= lifetime_;
}

}  // namespace dig::turn
