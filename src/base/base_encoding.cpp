// SPDX-License-Identifier: Apache-2.0
#include "base/base_encoding.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace dig {
namespace {

constexpr std::string_view k_base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view k_base64url_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct Alphabet {
  std::string_view digits;
  unsigned bits = 0;   // per digit; 0: a number in this radix (base36, base58)
  unsigned block = 0;  // characters in a padded block; 0: no padding
  bool ignores_case = false;
};

constexpr Alphabet alphabet_of(Base base) {
  switch (base) {
    case Base::base16:
      return {"0123456789abcdef", 4, 0, true};
    case Base::base32:
      return {"abcdefghijklmnopqrstuvwxyz234567", 5, 0, true};
    case Base::base36:
      return {"0123456789abcdefghijklmnopqrstuvwxyz", 0, 0, true};
    case Base::base58:
      return {"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", 0, 0, false};
    case Base::base64:
      return {k_base64_digits, 6, 0, false};
    case Base::base64_padded:
      return {k_base64_digits, 6, 4, false};
    case Base::base64url:
      return {k_base64url_digits, 6, 0, false};
    case Base::base64url_padded:
      return {k_base64url_digits, 6, 4, false};
  }
  return {};
}

Result<unsigned> digit_value(const Alphabet& alphabet, char c) {
  if (alphabet.ignores_case && c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  const std::size_t value = alphabet.digits.find(c);
  if (value == std::string_view::npos) return fail(Errc::malformed, "a character outside the alphabet of the encoding");
  return static_cast<unsigned>(value);
}

// --- bases whose radix is a power of two ------------------------------------------------------------------------

std::string encode_bits(const Alphabet& alphabet, BytesView bytes) {
  std::string text;
  text.reserve(bytes.size() * 8 / alphabet.bits + 4);
  unsigned pending = 0;
  unsigned pending_bits = 0;
  for (const std::byte byte : bytes) {
    pending = (pending << 8 | std::to_integer<unsigned>(byte)) & 0xFFFF;
    pending_bits += 8;
    while (pending_bits >= alphabet.bits) {
      pending_bits -= alphabet.bits;
      text += alphabet.digits[(pending >> pending_bits) & ((1U << alphabet.bits) - 1)];
    }
  }
  if (pending_bits > 0) {
    text += alphabet.digits[(pending << (alphabet.bits - pending_bits)) & ((1U << alphabet.bits) - 1)];
  }
  while (alphabet.block != 0 && text.size() % alphabet.block != 0) text += '=';
  return text;
}

Result<std::string_view> without_padding(const Alphabet& alphabet, std::string_view text) {
  if (alphabet.block == 0) return text;
  if (text.size() % alphabet.block != 0) return fail(Errc::malformed, "padding is missing");
  const std::string_view padded = text;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (padded.size() - text.size() >= alphabet.block - 1) return fail(Errc::malformed, "too much padding");
  return text;
}

Result<Bytes> decode_bits(const Alphabet& alphabet, std::string_view text) {
  DIG_TRY(text, without_padding(alphabet, text));
  Bytes bytes;
  bytes.reserve(text.size() * alphabet.bits / 8);
  unsigned pending = 0;
  unsigned pending_bits = 0;
  for (const char c : text) {
    DIG_TRY(const unsigned value, digit_value(alphabet, c));
    pending = (pending << alphabet.bits | value) & 0xFFFF;
    pending_bits += alphabet.bits;
    if (pending_bits < 8) continue;
    pending_bits -= 8;
    bytes.push_back(static_cast<std::byte>(pending >> pending_bits));
  }
  if (pending_bits >= alphabet.bits) return fail(Errc::malformed, "a text of a length that no bytes have");
  if ((pending & ((1U << pending_bits) - 1)) != 0) return fail(Errc::malformed, "bits set beyond the last byte");
  return bytes;
}

// --- bases that read the bytes as one number ----------------------------------------------------------------------

// Multiplies the big number (least significant limb first) by `factor` and adds `addend`.
template <class Limb>
void multiply_add(std::vector<Limb>& number, unsigned radix, unsigned factor, unsigned addend) {
  unsigned carry = addend;
  for (Limb& limb : number) {
    carry += static_cast<unsigned>(limb) * factor;
    limb = static_cast<Limb>(carry % radix);
    carry /= radix;
  }
  while (carry > 0) {
    number.push_back(static_cast<Limb>(carry % radix));
    carry /= radix;
  }
}

// Leading zero bytes carry no value: each stands as one zero digit of its own.
std::string encode_number(const Alphabet& alphabet, BytesView bytes) {
  const auto radix = static_cast<unsigned>(alphabet.digits.size());
  const auto first = std::find_if(bytes.begin(), bytes.end(), [](std::byte byte) { return byte != std::byte{0}; });
  std::string text(static_cast<std::size_t>(first - bytes.begin()), alphabet.digits.front());
  std::vector<std::uint8_t> digits;
  for (auto byte = first; byte != bytes.end(); ++byte) {
    multiply_add(digits, radix, 256, std::to_integer<unsigned>(*byte));
  }
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) text += alphabet.digits[*digit];
  return text;
}

Result<Bytes> decode_number(const Alphabet& alphabet, std::string_view text) {
  if (text.size() > k_max_quadratic_text) return fail(Errc::oversized, "a text too long for its encoding");
  const auto radix = static_cast<unsigned>(alphabet.digits.size());
  const std::size_t zeros = std::min(text.find_first_not_of(alphabet.digits.front()), text.size());
  std::vector<std::uint8_t> number;
  for (const char c : text.substr(zeros)) {
    DIG_TRY(const unsigned value, digit_value(alphabet, c));
    multiply_add(number, 256, radix, value);
  }
  Bytes bytes(zeros);
  std::transform(number.rbegin(), number.rend(), std::back_inserter(bytes),
                 [](std::uint8_t b) { return std::byte{b}; });
  return bytes;
}

std::optional<Base> base_of_prefix(char prefix) {
  switch (prefix) {
    case 'F':
      return Base::base16;
    case 'B':
      return Base::base32;
    case 'K':
      return Base::base36;
    case 'f':
    case 'b':
    case 'k':
    case 'z':
    case 'm':
    case 'M':
    case 'u':
    case 'U':
      return static_cast<Base>(prefix);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string encode_base(Base base, BytesView bytes) {
  const Alphabet alphabet = alphabet_of(base);
  return alphabet.bits == 0 ? encode_number(alphabet, bytes) : encode_bits(alphabet, bytes);
}

Result<Bytes> decode_base(Base base, std::string_view text) {
  const Alphabet alphabet = alphabet_of(base);
  return alphabet.bits == 0 ? decode_number(alphabet, text) : decode_bits(alphabet, text);
}

std::string encode_multibase(Base base, BytesView bytes) { return static_cast<char>(base) + encode_base(base, bytes); }

Result<Bytes> decode_multibase(std::string_view text) {
  if (text.empty()) return fail(Errc::malformed, "a multibase prefix is missing");
  const std::optional<Base> base = base_of_prefix(text.front());
  if (!base) return fail(Errc::unsupported, "a multibase prefix that is not known");
  return decode_base(*base, text.substr(1));
}

}  // namespace dig
