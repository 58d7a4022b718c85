// SPDX-License-Identifier: Apache-2.0
#include "proto/http/response_head.hpp"

#include <vector>

#include "base/byte_writer.hpp"
#include "base/decimal.hpp"

namespace dig::http {

std::string_view reason_of(std::uint16_t status) noexcept {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

void append_response_head(Bytes& out, std::uint16_t status, std::span<const NamedValue> fields) {
  ByteWriter writer(out);
  writer.text("HTTP/1.1 ");
  writer.text(std::to_string(status));
  writer.text(" ");
  writer.text(reason_of(status));
  writer.text("\r\n");
  for (const NamedValue& field : fields) {
    writer.text(field.name);
    writer.text(": ");
    writer.text(field.value);
    writer.text("\r\n");
  }
  writer.text("\r\n");
}

void append_page(Bytes& out, const Page& page, bool is_head) {
  const std::string length = std::to_string(page.body.size());
  std::vector<NamedValue> fields = {
      {"Content-Type", page.content_type},
      {"Content-Length", length},
      {"Connection", page.status == 426 ? "close, upgrade" : "close"},
      {"Cache-Control", "no-store"},
      {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"}};
  // What some statuses must say (RFC 9110 §15.5.6 and §15.5.22, RFC 6455 §4.4).
  if (page.status == 405) fields.push_back({"Allow", "GET, HEAD"});
  if (page.status == 426) fields.push_back({"Upgrade", "websocket"});
  if (page.status == 426) fields.push_back({"Sec-WebSocket-Version", "13"});
  append_response_head(out, page.status, fields);
  if (!is_head) append(out, as_bytes(page.body));
}

void append_refusal(Bytes& out, const Refusal& refusal) {
  const std::string body = refusal.error.message() + "\n";
  append_page(out, {.status = refusal.status, .body = body}, false);
}

Result<ResponseHead> parse_response_head(std::string_view text, const HeadLimits& limits) {
  const std::size_t end = text.find("\r\n");
  if (end == std::string_view::npos) return fail(Errc::truncated, "a head of HTTP");
  std::string_view line = text.substr(0, end);
  constexpr std::string_view k_version = "HTTP/1.1 ";
  if (!line.starts_with(k_version)) return fail(Errc::protocol_not_supported, "HTTP/1.1");
  line.remove_prefix(k_version.size());
  const std::string_view digits = line.substr(0, line.find(' '));
  const auto status = parse_decimal(digits, 599);
  if (!status || *status < 100) return fail(Errc::malformed, "the status of a response");
  DIG_TRY(Fields fields, Fields::parse(text.substr(end + 2), limits.fields));
  return ResponseHead{static_cast<std::uint16_t>(*status), std::move(fields)};
}

}  // namespace dig::http
