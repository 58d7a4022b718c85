// SPDX-License-Identifier: Apache-2.0
// Responses of HTTP/1.1 (RFC 9112 §4): writing them, and reading the head of one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "proto/http/head.hpp"

namespace dig::http {

// The phrase of RFC 9110 §15 for the statuses that are used here.
[[nodiscard]] std::string_view reason_of(std::uint16_t status) noexcept;

struct NamedValue {
  std::string_view name;
  std::string_view value;
};
// The status line, the fields and the empty line. Names and values are ours, never a peer's.
void append_response_head(Bytes& out, std::uint16_t status, std::span<const NamedValue> fields);

struct Page {
  std::uint16_t status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";
  std::string_view body;
};
// A whole response, after which the connection is closed. Nobody may keep it, frame it or take it for something else,
// and it loads nothing. `is_head`: without the body, but with its length.
void append_page(Bytes& out, const Page& page, bool is_head);
// The page of a refusal: what it says in words of ours.
void append_refusal(Bytes& out, const Refusal& refusal);

struct ResponseHead {
  std::uint16_t status = 0;
  Fields fields;
};
// `text` ends with the empty line. malformed, oversized, protocol_not_supported (another version of HTTP).
[[nodiscard]] Result<ResponseHead> parse_response_head(std::string_view text, const HeadLimits& limits);

}  // namespace dig::http
