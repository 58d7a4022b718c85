// SPDX-License-Identifier: Apache-2.0
#include "crypto/der.hpp"

namespace dig::crypto::der {
namespace {

// X.690 §10.1: the shortest form. Lengths over 65535 are far beyond everything that is read here.
Result<std::size_t> read_length(ByteReader& reader) {
  DIG_TRY(const std::uint8_t first, reader.u8());
  if (first < 0x80) return first;
  if (first == 0x81) {
    DIG_TRY(const std::uint8_t length, reader.u8());
    if (length < 0x80) return fail(Errc::malformed, "DER length is not minimal");
    return length;
  }
  if (first != 0x82) return fail(Errc::malformed, "DER length form");
  DIG_TRY(const std::uint16_t length, reader.u16());
  if (length < 0x100) return fail(Errc::malformed, "DER length is not minimal");
  return length;
}

}  // namespace

Result<BytesView> read_element(ByteReader& reader, Tag tag) {
  DIG_TRY(const std::uint8_t found, reader.u8());
  if (found != static_cast<std::uint8_t>(tag)) return fail(Errc::malformed, "DER tag");
  DIG_TRY(const std::size_t length, read_length(reader));
  return reader.bytes(length);
}

Result<BytesView> read_positive_integer(ByteReader& reader) {
  DIG_TRY(const BytesView content, read_element(reader, Tag::integer));
  if (content.empty()) return fail(Errc::malformed, "empty DER integer");
  const auto is_high = [](std::byte b) { return (b & std::byte{0x80}) != std::byte{0}; };
  if (content[0] != std::byte{0}) {
    if (is_high(content[0])) return fail(Errc::malformed, "negative DER integer");
    return content;
  }
  if (content.size() == 1 || !is_high(content[1])) return fail(Errc::malformed, "DER integer is zero or padded");
  return content.subspan(1);
}

void append_element(Bytes& out, Tag tag, BytesView content) {
  out.push_back(static_cast<std::byte>(tag));
  const std::size_t length = content.size();
  if (length >= 0x100) {
    out.push_back(std::byte{0x82});
    out.push_back(static_cast<std::byte>(length >> 8U));
  } else if (length >= 0x80) {
    out.push_back(std::byte{0x81});
  }
  out.push_back(static_cast<std::byte>(length));
  append(out, content);
}

}  // namespace dig::crypto::der
