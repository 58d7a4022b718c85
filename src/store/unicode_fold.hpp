// SPDX-License-Identifier: Apache-2.0
// UTF-8 decoding, and a folding that maps texts to one key when they differ only in case or normalisation form.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dig::store {

// Takes one code point off the front. Nothing for overlong forms, surrogates, values above U+10FFFF and cut sequences
// (RFC 3629 §3).
[[nodiscard]] std::optional<char32_t> take_utf8(std::string_view& text);

void append_utf8(std::string& out, char32_t code_point);

// Canonical decomposition of the case-folded text; runs of combining marks are sorted, so that the order in which
// they were typed does not matter. `text` must be valid UTF-8; an invalid rest is kept as it is.
[[nodiscard]] std::string unicode_fold(std::string_view text);

}  // namespace dig::store
