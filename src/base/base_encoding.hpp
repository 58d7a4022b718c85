// SPDX-License-Identifier: Apache-2.0
// Bytes as text: base16, 32, 36, 58 and 64, bare or with their multibase prefix. Decoders are strict: no spaces, no
// foreign characters, no stray bits, padding exactly where the base has it; so a text has one meaning.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

// The value is the multibase prefix.
enum class Base : char {
  base16 = 'f',
  base32 = 'b',  // RFC 4648, lower case, no padding
  base36 = 'k',
  base58 = 'z',  // the bitcoin alphabet
  base64 = 'm',  // RFC 4648 §4, no padding
  base64_padded = 'M',
  base64url = 'u',  // RFC 4648 §5, no padding
  base64url_padded = 'U',
};

// Converting base36 and base58 takes time that grows with the square of the size, so their decoders take at most this
// many characters.
inline constexpr std::size_t k_max_quadratic_text = 1024;

[[nodiscard]] std::string encode_base(Base base, BytesView bytes);
// Letters of base16, base32 and base36 may be in either case.
[[nodiscard]] Result<Bytes> decode_base(Base base, std::string_view text);

[[nodiscard]] std::string encode_multibase(Base base, BytesView bytes);
// Also takes the prefixes F, B and K for upper-case text. Other bases are `unsupported`.
[[nodiscard]] Result<Bytes> decode_multibase(std::string_view text);

[[nodiscard]] inline std::string to_hex(BytesView bytes) { return encode_base(Base::base16, bytes); }
[[nodiscard]] inline Result<Bytes> from_hex(std::string_view text) { return decode_base(Base::base16, text); }

}  // namespace dig
