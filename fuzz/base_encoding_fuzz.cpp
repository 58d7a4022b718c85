// SPDX-License-Identifier: Apache-2.0
// Text encodings: the first byte picks the base; decoding gives back what was encoded, and nothing has two spellings.
#include <cstdint>
#include <cstdlib>

#include "base/base_encoding.hpp"
#include "base/bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  constexpr dig::Base bases[] = {dig::Base::base16,    dig::Base::base32,          dig::Base::base36,
                                 dig::Base::base58,    dig::Base::base64,          dig::Base::base64_padded,
                                 dig::Base::base64url, dig::Base::base64url_padded};
  (void)dig::decode_multibase(dig::as_text(input));
  if (size == 0 || size > 600) return 0;
  const dig::Base base = bases[data[0] % std::size(bases)];
  const dig::BytesView rest = input.subspan(1);
  if (const auto decoded = dig::decode_base(base, dig::as_text(rest))) {
    const bool ignores_case = base == dig::Base::base16 || base == dig::Base::base32 || base == dig::Base::base36;
    std::string text(dig::as_text(rest));
    if (ignores_case) {
      for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    }
    if (dig::encode_base(base, *decoded) != text) std::abort();
  }
  const auto back = dig::decode_base(base, dig::encode_base(base, rest));
  if (!back || !dig::equal(*back, rest)) std::abort();
  return 0;
}
