// SPDX-License-Identifier: Apache-2.0
// STUN messages (RFC 8489): a checked view of one that was received, and a writer into a buffer of the caller. Neither
// allocates. What an attribute means to a protocol is the protocol's business; typed attributes are in
// stun_attributes.hpp, their integrity in stun_integrity.hpp.
//
// Rules kept for every reader (RFC 8489 §14): only attributes before the integrity attribute count (after
// MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT do), the first of several equal ones counts, and
// padding is ignored when read and zero when written.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"

namespace dig::stun {

inline constexpr std::uint32_t k_magic_cookie = 0x2112A442;
inline constexpr std::size_t k_header_size = 20;
inline constexpr std::size_t k_attribute_header_size = 4;
inline constexpr std::size_t k_max_attributes = 64;  // of one message; no message of this field has half as many

// RFC 8489 §18.2, RFC 8656 §17.
enum class Method : std::uint16_t {
  binding = 0x001,
  allocate = 0x003,
  refresh = 0x004,
  send = 0x006,
  data = 0x007,
  create_permission = 0x008,
  channel_bind = 0x009,
};

enum class Class : std::uint8_t { request = 0, indication = 1, success = 2, error = 3 };

// RFC 8489 §18.3, RFC 8656 §18, RFC 5780 §9.1, RFC 8445 §16.1. Below 0x8000 a reader must understand it.
enum class Attribute : std::uint16_t {
  mapped_address = 0x0001,
  change_request = 0x0003,  // RFC 5780
  username = 0x0006,
  message_integrity = 0x0008,
  error_code = 0x0009,
  unknown_attributes = 0x000A,
  channel_number = 0x000C,
  lifetime = 0x000D,
  xor_peer_address = 0x0012,
  data = 0x0013,
  realm = 0x0014,
  nonce = 0x0015,
  xor_relayed_address = 0x0016,
  requested_address_family = 0x0017,
  even_port = 0x0018,
  requested_transport = 0x0019,
  dont_fragment = 0x001A,
  message_integrity_sha256 = 0x001C,
  password_algorithm = 0x001D,
  userhash = 0x001E,
  xor_mapped_address = 0x0020,
  reservation_token = 0x0022,
  priority = 0x0024,       // RFC 8445
  use_candidate = 0x0025,  // RFC 8445
  padding = 0x0026,        // RFC 5780
  response_port = 0x0027,  // RFC 5780
  additional_address_family = 0x8000,
  address_error_code = 0x8001,
  password_algorithms = 0x8002,
  alternate_domain = 0x8003,
  icmp = 0x8004,
  software = 0x8022,
  alternate_server = 0x8023,
  fingerprint = 0x8028,
  ice_controlled = 0x8029,   // RFC 8445
  ice_controlling = 0x802A,  // RFC 8445
  response_origin = 0x802B,  // RFC 5780
  other_address = 0x802C,    // RFC 5780
};

[[nodiscard]] constexpr bool is_comprehension_required(Attribute type) noexcept {
  return static_cast<std::uint16_t>(type) < 0x8000;
}

// Whether an attribute is known here, or may be ignored by whoever does not know it (RFC 8489 §14).
[[nodiscard]] bool is_understood(Attribute type) noexcept;

using TransactionId = std::array<std::byte, 12>;

struct Header {
  Method method = Method::binding;
  Class message_class = Class::request;
  TransactionId transaction{};
  friend bool operator==(const Header&, const Header&) = default;
};

// Whether a datagram may be STUN: the first two bits are zero and the magic cookie is in its place (RFC 8489 §5). For
// demultiplexers; parse() says whether it is.
[[nodiscard]] bool is_stun(BytesView datagram) noexcept;
// The header of a datagram that is_stun().
[[nodiscard]] Header header_of(BytesView datagram) noexcept;

// A well-formed message. Refers to the bytes it was parsed from.
class Message {
 public:
  struct Item {
    Attribute type;
    BytesView value;     // without padding
    std::size_t offset;  // of the attribute's header in the message
  };

  // The whole of `bytes` must be one message.
  [[nodiscard]] static Result<Message> parse(BytesView bytes);

  [[nodiscard]] const Header& header() const noexcept { return header_; }
  [[nodiscard]] Method method() const noexcept { return header_.method; }
  [[nodiscard]] Class message_class() const noexcept { return header_.message_class; }
  [[nodiscard]] const TransactionId& transaction() const noexcept { return header_.transaction; }
  [[nodiscard]] bool is(Method method, Class message_class) const noexcept {
    return header_.method == method && header_.message_class == message_class;
  }
  [[nodiscard]] BytesView bytes() const noexcept { return bytes_; }

  // The first attribute of the type that counts.
  [[nodiscard]] std::optional<BytesView> find(Attribute type) const noexcept;
  [[nodiscard]] bool has(Attribute type) const noexcept { return find(type).has_value(); }
  // The attributes of the type that count, in order; calls visit(BytesView) until it returns false.
  template <class Visit>
  void for_each(Attribute type, Visit visit) const {
    for (std::size_t i = 0; i < counted_; ++i) {
      if (items_[i].type == type && !visit(items_[i].value)) return;
    }
  }
  // All that count, for those who check that they understand every one.
  [[nodiscard]] std::span<const Item> attributes() const noexcept { return std::span(items_).first(counted_); }

  [[nodiscard]] const std::optional<Item>& integrity() const noexcept { return integrity_; }
  [[nodiscard]] const std::optional<Item>& integrity_sha256() const noexcept { return integrity_sha256_; }
  [[nodiscard]] const std::optional<Item>& fingerprint() const noexcept { return fingerprint_; }

 private:
  [[nodiscard]] Result<void> add(const Item& item);

  Header header_;
  BytesView bytes_;
  std::array<Item, k_max_attributes> items_;
  std::size_t counted_ = 0;
  std::optional<Item> integrity_;
  std::optional<Item> integrity_sha256_;
  std::optional<Item> fingerprint_;
};

// Writes one message. What does not fit makes finish() fail; nothing is written past the buffer.
class Writer {
 public:
  Writer(MutableBytes out, const Header& header) noexcept;

  void add(Attribute type, BytesView value) noexcept { place(type, value.size(), value); }
  void add_text(Attribute type, std::string_view text) noexcept { add(type, as_bytes(text)); }
  void add_u32(Attribute type, std::uint32_t value) noexcept;
  void add_u64(Attribute type, std::uint64_t value) noexcept;
  // A flag: an attribute without a value.
  void add_flag(Attribute type) noexcept { add(type, {}); }
  // `size` bytes to be filled by the caller; empty when there is no room.
  [[nodiscard]] MutableBytes reserve(Attribute type, std::size_t size) noexcept { return place(type, size, {}); }

  // The message as it is so far, its length field correct.
  [[nodiscard]] BytesView written() const noexcept { return out_.first(used_); }
  [[nodiscard]] TransactionId transaction() const noexcept;

  // Ends the message with an attribute whose value is not in the buffer: `bytes` go out, then the value, then so many
  // zero bytes. Nothing if the message would be too long.
  struct Head {
    BytesView bytes;
    std::size_t padding = 0;
  };
  [[nodiscard]] std::optional<Head> finish_before(Attribute type, std::size_t value_size) noexcept;
  // Makes the length field count `more` bytes beyond what is written, as the MAC of an attribute wants it that is
  // still to be added (RFC 8489 §14.5).
  void set_length_ahead(std::size_t more) noexcept { set_length(used_ - k_header_size + more); }
  [[nodiscard]] bool has_overflowed() const noexcept { return has_overflowed_; }
  // The size of the message, or nothing if it did not fit.
  [[nodiscard]] std::optional<std::size_t> finish() const noexcept {
    return has_overflowed_ ? std::nullopt : std::optional(used_);
  }

 private:
  MutableBytes place(Attribute type, std::size_t size, BytesView value) noexcept;
  void set_length(std::size_t length) noexcept;

  MutableBytes out_;
  std::size_t used_ = 0;
  bool has_overflowed_ = false;
};

[[nodiscard]] inline TransactionId random_transaction(Rng& rng) { return rng.array<12>(); }

}  // namespace dig::stun
