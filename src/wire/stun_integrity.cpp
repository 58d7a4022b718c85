// SPDX-License-Identifier: Apache-2.0
#include "wire/stun_integrity.hpp"

#include <zlib.h>

#include <algorithm>

#include "base/base_encoding.hpp"
#include "base/byte_reader.hpp"

namespace dig::stun {
namespace {

constexpr std::string_view k_cookie = "obMatJos2";
constexpr std::uint32_t k_password_algorithms_bit = 1U << 0U;
constexpr std::uint32_t k_username_anonymity_bit = 1U << 1U;
constexpr std::uint32_t k_fingerprint_mask = 0x5354554E;  // RFC 8489 §14.7: "STUN"

// The header of a message whose length field says that it ends `end` bytes from its beginning.
std::array<std::byte, k_header_size> header_ending_at(const Message& message, std::size_t end) {
  std::array<std::byte, k_header_size> header;
  std::copy_n(message.bytes().begin(), k_header_size, header.begin());
  const std::size_t length = end - k_header_size;
  header[2] = static_cast<std::byte>(length >> 8U);
  header[3] = static_cast<std::byte>(length);
  return header;
}

// What an attribute of the message covers: everything before it (RFC 8489 §14.5).
BytesView covered_after_header(const Message& message, const Message::Item& item) {
  return message.bytes().subspan(k_header_size, item.offset - k_header_size);
}

std::size_t end_of(const Message::Item& item) {
  return item.offset + k_attribute_header_size + item.value.size();  // their sizes are multiples of four
}

std::uint32_t crc32_of(std::initializer_list<BytesView> parts) {
  uLong crc = crc32_z(0, nullptr, 0);
  for (const BytesView part : parts) {
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(part.data()), part.size());
  }
  return static_cast<std::uint32_t>(crc);
}

Result<std::uint16_t> read_algorithm(ByteReader& reader) {
  DIG_TRY(const std::uint16_t number, reader.u16());
  DIG_TRY(const std::uint16_t size, reader.u16());
  DIG_CHECK(reader.skip((size + 3U) & ~3U));
  return number;
}

}  // namespace

LongTermKey::LongTermKey(PasswordAlgorithm algorithm, std::string_view username, std::string_view realm,
                         std::string_view password) {
  // RFC 8489 §18.5.1: the key is a hash of username ":" realm ":" password.
  const std::initializer_list<BytesView> parts = {as_bytes(username), as_bytes(":"), as_bytes(realm), as_bytes(":"),
                                                  as_bytes(password)};
  if (algorithm == PasswordAlgorithm::md5) {
    auto digest = crypto::md5(parts);
    std::ranges::copy(digest, key_.mutable_view().begin());
    size_ = digest.size();
    crypto::wipe(digest);
  } else {
    auto digest = crypto::sha256(parts);
    std::ranges::copy(digest, key_.mutable_view().begin());
    size_ = digest.size();
    crypto::wipe(digest);
  }
}

crypto::Sha256Digest userhash(std::string_view username, std::string_view realm) {
  return crypto::sha256({as_bytes(username), as_bytes(":"), as_bytes(realm)});
}

void add_integrity(Writer& writer, BytesView key) {
  writer.set_length_ahead(k_attribute_header_size + sizeof(crypto::Sha1Digest));
  writer.add(Attribute::message_integrity, crypto::hmac_sha1(key, {writer.written()}));
}

void add_integrity_sha256(Writer& writer, BytesView key) {
  writer.set_length_ahead(k_attribute_header_size + sizeof(crypto::Sha256Digest));
  writer.add(Attribute::message_integrity_sha256, crypto::hmac_sha256(key, {writer.written()}));
}

void add_fingerprint(Writer& writer) {
  writer.set_length_ahead(k_attribute_header_size + 4);
  writer.add_u32(Attribute::fingerprint, crc32_of({writer.written()}) ^ k_fingerprint_mask);
}

bool has_valid_integrity(const Message& message, BytesView key) {
  const auto& item = message.integrity();
  if (!item) return false;
  const auto header = header_ending_at(message, end_of(*item));
  return crypto::secure_equal(crypto::hmac_sha1(key, {header, covered_after_header(message, *item)}), item->value);
}

bool has_valid_integrity_sha256(const Message& message, BytesView key) {
  const auto& item = message.integrity_sha256();
  if (!item) return false;
  const auto header = header_ending_at(message, end_of(*item));
  const auto digest = crypto::hmac_sha256(key, {header, covered_after_header(message, *item)});
  // RFC 8489 §14.6: the sender may have cut it, to 16 bytes at least.
  return crypto::secure_equal(BytesView(digest).first(item->value.size()), item->value);
}

bool has_valid_fingerprint(const Message& message) {
  const auto& item = message.fingerprint();
  if (!item) return false;
  const auto header = header_ending_at(message, end_of(*item));
  ByteReader reader(item->value);
  return reader.u32() == (crc32_of({header, covered_after_header(message, *item)}) ^ k_fingerprint_mask);
}

Result<std::vector<std::uint16_t>> decode_password_algorithms(BytesView value) {
  constexpr std::size_t k_max_algorithms = 16;
  std::vector<std::uint16_t> numbers;
  for (ByteReader reader(value); !reader.empty();) {
    DIG_TRY(const std::uint16_t number, read_algorithm(reader));
    if (numbers.size() == k_max_algorithms) return fail(Errc::oversized, "PASSWORD-ALGORITHMS");
    numbers.push_back(number);
  }
  return numbers;
}

Result<std::uint16_t> decode_password_algorithm(BytesView value) {
  ByteReader reader(value);
  DIG_TRY(const std::uint16_t number, read_algorithm(reader));
  DIG_CHECK(reader.expect_end());
  return number;
}

void add_password_algorithms(Writer& writer, std::span<const PasswordAlgorithm> algorithms) noexcept {
  const MutableBytes out = writer.reserve(Attribute::password_algorithms, 4 * algorithms.size());
  for (std::size_t i = 0; 4 * i < out.size(); ++i) {
    out[4 * i] = std::byte{0};
    out[4 * i + 1] = static_cast<std::byte>(algorithms[i]);
    out[4 * i + 2] = out[4 * i + 3] = std::byte{0};  // no parameters
  }
}

void add_password_algorithm(Writer& writer, PasswordAlgorithm algorithm) noexcept {
  writer.add_u32(Attribute::password_algorithm, static_cast<std::uint32_t>(algorithm) << 16U);
}

std::string nonce_cookie(const SecurityFeatures& features) {
  const std::uint32_t bits = (features.password_algorithms ? k_password_algorithms_bit : 0) |
                             (features.username_anonymity ? k_username_anonymity_bit : 0);
  const std::array raw{static_cast<std::byte>(bits >> 16U), static_cast<std::byte>(bits >> 8U),
                       static_cast<std::byte>(bits)};
  return std::string(k_cookie) + encode_base(Base::base64, raw);
}

std::optional<SecurityFeatures> features_of_nonce(BytesView nonce) {
  const std::string_view text = as_text(nonce);
  if (!text.starts_with(k_cookie) || text.size() < k_nonce_cookie_size) return std::nullopt;
  const auto raw = decode_base(Base::base64, text.substr(k_cookie.size(), 4));
  if (!raw || raw->size() != 3) return std::nullopt;
  const auto lowest = std::to_integer<std::uint32_t>((*raw)[2]);
  return SecurityFeatures{.password_algorithms = (lowest & k_password_algorithms_bit) != 0,
                          .username_anonymity = (lowest & k_username_anonymity_bit) != 0};
}

}  // namespace dig::stun
