// SPDX-License-Identifier: Apache-2.0
// Text that came from a peer, made fit for logs and terminals: bounded, valid UTF-8, no control or
// bidirectional-override characters. The only form in which peer-supplied text leaves a parser.
#pragma once

#include <string>
#include <string_view>

namespace dig {

class SafeText {
 public:
  static constexpr std::size_t default_limit = 128;

  SafeText() = default;
  // Keeps at most `limit` bytes (cut at a character boundary); every unfit character becomes '?'.
  explicit SafeText(std::string_view raw, std::size_t limit = default_limit);

  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
  friend bool operator==(const SafeText&, const SafeText&) = default;
  friend auto operator<=>(const SafeText&, const SafeText&) = default;

 private:
  std::string text_;
};

// Whether text is fit as it stands, so that a name may be kept unchanged: SafeText would alter nothing but its length.
[[nodiscard]] bool is_safe_text(std::string_view text);

}  // namespace dig
