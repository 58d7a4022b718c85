// SPDX-License-Identifier: Apache-2.0
// What the heads of HTTP/1.1 requests and responses have in common (RFC 9112 §2, §5): collected up to their empty line,
// bounded, and read strictly. A line ends with CR LF; no folded lines, no space before a colon, no control characters.
// Whatever two readers might take differently is refused, so that nobody can say one thing to us and another to a
// proxy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig::http {

struct HeadLimits {
  std::size_t bytes = std::size_t{8} * 1024;  // of the whole head
  std::size_t fields = 64;
};

// The bytes of one head as they come.
class HeadCollector {
 public:
  explicit HeadCollector(std::size_t max_size) noexcept : max_size_(max_size) {}

  // Takes bytes up to the end of the head and returns how many it took. malformed, oversized: final, ask no more.
  [[nodiscard]] Result<std::size_t> feed(BytesView input);
  [[nodiscard]] bool is_complete() const noexcept { return is_complete_; }
  [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }
  // Up to and with the empty line.
  [[nodiscard]] std::string_view text() const noexcept { return text_; }

 private:
  [[nodiscard]] Result<void> add(char next);

  std::size_t max_size_;
  std::string text_;
  bool is_complete_ = false;
};

class Fields {
 public:
  // The lines behind the first one, up to and with the empty line. malformed, oversized.
  [[nodiscard]] static Result<Fields> parse(std::string_view lines, std::size_t max_fields);

  // `name` in lower case. The value of the field that is there once; absent when there is none or more than one.
  [[nodiscard]] std::optional<std::string_view> only(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  // Whether a list of tokens (RFC 9110 §5.6.1), on one line or several, has one; in any case of letters.
  [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const;

 private:
  struct Field {
    std::string name;  // in lower case
    std::string value;
  };
  std::vector<Field> fields_;
};

// Why a request is not served, and the status that says so to who sent it (RFC 9110 §15).
struct Refusal {
  std::uint16_t status = 400;
  Error error;
};

// RFC 9110 §5.6.2.
[[nodiscard]] bool is_token(std::string_view text) noexcept;
[[nodiscard]] std::string to_lower(std::string_view text);

}  // namespace dig::http
