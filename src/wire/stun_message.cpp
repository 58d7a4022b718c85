// SPDX-License-Identifier: Apache-2.0
#include "wire/stun_message.hpp"

#include <algorithm>
#include <cstring>

#include "base/byte_reader.hpp"

namespace dig::stun {
namespace {

constexpr std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

// RFC 8489 §5: the class bits C1 and C0 stand between the bits of the method.
constexpr std::uint16_t message_type(Method method, Class message_class) {
  const auto m = static_cast<std::uint16_t>(method);
  const auto c = static_cast<std::uint16_t>(message_class);
  return static_cast<std::uint16_t>((m & 0x0F80U) << 2U | (m & 0x0070U) << 1U | (m & 0x000FU) | (c & 2U) << 7U |
                                    (c & 1U) << 4U);
}
constexpr Method method_of(std::uint16_t type) {
  return static_cast<Method>((type & 0x3E00U) >> 2U | (type & 0x00E0U) >> 1U | (type & 0x000FU));
}
constexpr Class class_of(std::uint16_t type) {
  return static_cast<Class>((type & 0x0100U) >> 7U | (type & 0x0010U) >> 4U);
}
static_assert(message_type(Method::binding, Class::request) == 0x0001);
static_assert(message_type(Method::binding, Class::success) == 0x0101);
static_assert(message_type(Method::allocate, Class::error) == 0x0113);
static_assert(message_type(Method::send, Class::indication) == 0x0016);
static_assert(method_of(0x0113) == Method::allocate && class_of(0x0113) == Class::error);

void put_u16(std::byte* at, std::size_t value) noexcept {
  at[0] = static_cast<std::byte>(value >> 8U);
  at[1] = static_cast<std::byte>(value);
}
void put_u32(std::byte* at, std::uint32_t value) noexcept {
  put_u16(at, value >> 16U);
  put_u16(at + 2, value & 0xFFFFU);
}

}  // namespace

bool is_stun(BytesView datagram) noexcept {
  if (datagram.size() < k_header_size || (datagram[0] & std::byte{0xC0}) != std::byte{0}) return false;
  ByteReader reader(datagram.subspan(4, 4));
  return reader.u32() == k_magic_cookie;
}

Header header_of(BytesView datagram) noexcept {
  const std::uint16_t type = ByteReader(datagram).u16().value_or(0);
  Header header{method_of(type), class_of(type), {}};
  std::ranges::copy(datagram.subspan(8, header.transaction.size()), header.transaction.begin());
  return header;
}

Result<Message> Message::parse(BytesView bytes) {
  ByteReader reader(bytes);
  DIG_TRY(const std::uint16_t type, reader.u16());
  DIG_TRY(const std::uint16_t length, reader.u16());
  DIG_TRY(const std::uint32_t cookie, reader.u32());
  DIG_TRY(const BytesView transaction, reader.bytes(std::tuple_size_v<TransactionId>));
  if ((type & 0xC000U) != 0 || cookie != k_magic_cookie) return fail(Errc::malformed, "not a STUN message");
  if (length % 4 != 0) return fail(Errc::malformed, "a STUN length that is not a multiple of four");
  if (reader.remaining() < length) return fail(Errc::truncated, "a STUN message");
  if (reader.remaining() > length) return fail(Errc::malformed, "bytes behind a STUN message");

  Message message;
  message.bytes_ = bytes;
  message.header_.method = method_of(type);
  message.header_.message_class = class_of(type);
  std::ranges::copy(transaction, message.header_.transaction.begin());
  std::size_t count = 0;
  while (!reader.empty()) {
    if (++count > k_max_attributes) return fail(Errc::oversized, "attributes of a STUN message");
    const std::size_t offset = bytes.size() - reader.remaining();
    DIG_TRY(const std::uint16_t attribute, reader.u16());
    DIG_TRY(const std::uint16_t size, reader.u16());
    DIG_TRY(const BytesView value, reader.bytes(size));
    DIG_CHECK(reader.skip(padded(size) - size));
    DIG_CHECK(message.add({static_cast<Attribute>(attribute), value, offset}));
  }
  return message;
}

// Sorts an attribute in, or leaves it out because of its place.
Result<void> Message::add(const Item& item) {
  if (fingerprint_) return fail(Errc::malformed, "FINGERPRINT is not the last attribute");  // RFC 8489 §14.7
  if (item.type == Attribute::fingerprint) {
    if (item.value.size() != 4) return fail(Errc::malformed, "the size of FINGERPRINT");
    fingerprint_ = item;
  } else if (item.type == Attribute::message_integrity_sha256) {
    // RFC 8489 §14.6: 16 to 32 bytes, a multiple of four.
    if (item.value.size() < 16 || item.value.size() > 32 || item.value.size() % 4 != 0) {
      return fail(Errc::malformed, "the size of MESSAGE-INTEGRITY-SHA256");
    }
    if (!integrity_sha256_) integrity_sha256_ = item;
  } else if (item.type == Attribute::message_integrity) {
    if (item.value.size() != 20) return fail(Errc::malformed, "the size of MESSAGE-INTEGRITY");
    if (!integrity_ && !integrity_sha256_) integrity_ = item;
  } else if (!integrity_ && !integrity_sha256_) {
    items_[counted_++] = item;
  }
  return {};
}

std::optional<BytesView> Message::find(Attribute type) const noexcept {
  for (std::size_t i = 0; i < counted_; ++i) {
    if (items_[i].type == type) return items_[i].value;
  }
  return std::nullopt;
}

bool is_understood(Attribute type) noexcept {
  if (!is_comprehension_required(type)) return true;
  switch (type) {
    case Attribute::mapped_address:
    case Attribute::change_request:
    case Attribute::username:
    case Attribute::message_integrity:
    case Attribute::error_code:
    case Attribute::unknown_attributes:
    case Attribute::channel_number:
    case Attribute::lifetime:
    case Attribute::xor_peer_address:
    case Attribute::data:
    case Attribute::realm:
    case Attribute::nonce:
    case Attribute::xor_relayed_address:
    case Attribute::requested_address_family:
    case Attribute::even_port:
    case Attribute::requested_transport:
    case Attribute::dont_fragment:
    case Attribute::message_integrity_sha256:
    case Attribute::password_algorithm:
    case Attribute::userhash:
    case Attribute::xor_mapped_address:
    case Attribute::reservation_token:
    case Attribute::priority:
    case Attribute::use_candidate:
    case Attribute::padding:
    case Attribute::response_port:
      return true;
    default:
      return false;
  }
}

Writer::Writer(MutableBytes out, const Header& header) noexcept : out_(out) {
  if (out_.size() < k_header_size) {
    has_overflowed_ = true;
    return;
  }
  put_u16(out_.data(), message_type(header.method, header.message_class));
  put_u32(out_.data() + 4, k_magic_cookie);
  std::ranges::copy(header.transaction, out_.begin() + 8);
  used_ = k_header_size;
  set_length(0);
}

void Writer::set_length(std::size_t length) noexcept {
  if (!has_overflowed_) put_u16(out_.data() + 2, length);
}

MutableBytes Writer::place(Attribute type, std::size_t size, BytesView value) noexcept {
  const std::size_t total = k_attribute_header_size + padded(size);
  if (has_overflowed_ || size > 0xFFFF || total > out_.size() - used_ || used_ - k_header_size + total > 0xFFFC) {
    has_overflowed_ = true;
    return {};
  }
  std::byte* const at = out_.data() + used_;
  put_u16(at, static_cast<std::uint16_t>(type));
  put_u16(at + 2, size);
  if (!value.empty()) std::memcpy(at + k_attribute_header_size, value.data(), value.size());
  // Padding is zero: what was in the buffer before is nobody's business (RFC 8489 §14).
  std::memset(at + k_attribute_header_size + size, 0, padded(size) - size);
  used_ += total;
  set_length(used_ - k_header_size);
  return out_.subspan(used_ - total + k_attribute_header_size, size);
}

TransactionId Writer::transaction() const noexcept {
  TransactionId transaction{};
  if (!has_overflowed_ || used_ > 0) std::copy_n(out_.begin() + 8, transaction.size(), transaction.begin());
  return transaction;
}

std::optional<Writer::Head> Writer::finish_before(Attribute type, std::size_t value_size) noexcept {
  const std::size_t end = used_ + k_attribute_header_size + padded(value_size);
  if (has_overflowed_ || value_size > 0xFFFF || end - k_header_size > 0xFFFC ||
      out_.size() - used_ < k_attribute_header_size) {
    return std::nullopt;
  }
  put_u16(out_.data() + used_, static_cast<std::uint16_t>(type));
  put_u16(out_.data() + used_ + 2, value_size);
  used_ += k_attribute_header_size;
  set_length(end - k_header_size);
  return Head{written(), padded(value_size) - value_size};
}

void Writer::add_u32(Attribute type, std::uint32_t value) noexcept {
  std::array<std::byte, 4> raw;
  put_u32(raw.data(), value);
  add(type, raw);
}

void Writer::add_u64(Attribute type, std::uint64_t value) noexcept {
  std::array<std::byte, 8> raw;
  put_u32(raw.data(), static_cast<std::uint32_t>(value >> 32U));
  put_u32(raw.data() + 4, static_cast<std::uint32_t>(value));
  add(type, raw);
}

}  // namespace dig::stun
