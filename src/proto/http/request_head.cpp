// SPDX-License-Identifier: Apache-2.0
#include "proto/http/request_head.hpp"

#include <algorithm>
#include <array>

#include "base/decimal.hpp"
#include "base/endpoint.hpp"

namespace dig::http {
namespace {

constexpr std::size_t k_max_target = 2048;
constexpr std::size_t k_max_host = 253;  // RFC 1035 §2.3.4, as text
constexpr std::array<std::string_view, 7> k_other_methods = {"POST",    "PUT",   "DELETE", "CONNECT",
                                                             "OPTIONS", "TRACE", "PATCH"};

std::unexpected<Refusal> refuse(std::uint16_t status, Errc code, std::string_view what) {
  return std::unexpected(Refusal{status, Error(code, what)});
}

bool is_digit_or_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// RFC 3986 §3.3-3.4: what a path and a query are made of, and a slash first (the origin-form of RFC 9112 §3.2.1).
bool is_target(std::string_view text) {
  constexpr std::string_view k_marks = "-._~!$&'()*+,;=:@/?";
  if (!text.starts_with('/')) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (text.size() - i < 3 || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
    } else if (!is_digit_or_letter(text[i]) && !k_marks.contains(text[i])) {
      return false;
    }
  }
  return true;
}

bool is_host(std::string_view text) {
  if (text.starts_with('[')) {
    if (!text.ends_with(']')) return false;
    const auto address = IpAddress::parse(text.substr(1, text.size() - 2));
    return address && !address->is_v4();
  }
  return !text.empty() && text.size() <= k_max_host &&
         std::ranges::all_of(text, [](char c) { return is_digit_or_letter(c) || c == '-' || c == '.' || c == '_'; });
}

std::expected<void, Refusal> read_request_line(std::string_view line, RequestHead& head) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || !is_token(line.substr(0, first))) {
    return refuse(400, Errc::malformed, "not a request line of HTTP");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  head.is_http_1_0 = version == "HTTP/1.0";
  if (version != "HTTP/1.1" && !head.is_http_1_0) {
    const bool is_http = version.starts_with("HTTP/");
    return refuse(is_http ? 505 : 400, Errc::protocol_not_supported, "HTTP/1.1 is spoken here");
  }
  if (method != "GET" && method != "HEAD") {
    const bool is_known = std::ranges::find(k_other_methods, method) != k_other_methods.end();
    return refuse(is_known ? 405 : 501, Errc::protocol_not_supported, "a method of HTTP that is not served here");
  }
  if (target.size() > k_max_target) return refuse(414, Errc::oversized, "the target of a request");
  if (!is_target(target)) return refuse(400, Errc::malformed, "the target of a request");
  head.is_head = method == "HEAD";
  head.path = target.substr(0, target.find('?'));
  return {};
}

// RFC 9110 §7.2.
std::expected<void, Refusal> read_host(RequestHead& head) {
  const auto value = head.fields.only("host");
  if (!value) return refuse(400, Errc::malformed, "a request needs one Host");
  const std::size_t bracket = value->starts_with('[') ? value->find(']') : 0;
  const std::size_t colon = bracket == std::string_view::npos ? bracket : value->find(':', bracket);
  const std::string_view host = value->substr(0, colon);
  if (!is_host(host)) return refuse(400, Errc::malformed, "the Host of a request");
  head.host = to_lower(host);
  if (colon != std::string_view::npos && !parse_decimal(value->substr(colon + 1), 65535)) {
    return refuse(400, Errc::malformed, "the port of a Host");
  }
  return {};
}

// A request whose end two readers could see in different places is how one is smuggled past a proxy (RFC 9112 §11.2):
// no body in any form.
std::expected<void, Refusal> check_no_body(const Fields& fields) {
  if (fields.count("transfer-encoding") > 0) return refuse(501, Errc::unsupported, "a request with a body");
  if (fields.count("expect") > 0) return refuse(417, Errc::unsupported, "a request that expects something");
  if (fields.count("content-length") == 0) return {};
  const auto length = fields.only("content-length");
  if (!length || !parse_decimal(*length, ~std::uint64_t{0})) {
    return refuse(400, Errc::malformed, "the Content-Length of a request");
  }
  if (*length != "0") return refuse(413, Errc::unsupported, "a request with a body");
  return {};
}

Refusal refusal_of(const Error& error) {
  return {static_cast<std::uint16_t>(error.code() == Errc::oversized ? 431 : 400), error};
}

}  // namespace

std::expected<RequestHead, Refusal> parse_request_head(std::string_view text, const HeadLimits& limits) {
  RequestHead head;
  const std::size_t end = text.find("\r\n");
  if (end == std::string_view::npos) return refuse(400, Errc::truncated, "a head of HTTP");
  DIG_CHECK(read_request_line(text.substr(0, end), head));
  Result<Fields> fields = Fields::parse(text.substr(end + 2), limits.fields);
  if (!fields) return std::unexpected(refusal_of(fields.error()));
  head.fields = *std::move(fields);
  DIG_CHECK(read_host(head));
  DIG_CHECK(check_no_body(head.fields));
  return head;
}

std::size_t RequestReader::handle_bytes(BytesView bytes) {
  if (result_) return 0;
  const auto taken = head_.feed(bytes);
  if (!taken) {
    result_ = std::unexpected(refusal_of(taken.error()));
    return 0;
  }
  if (head_.is_complete()) result_ = parse_request_head(head_.text(), limits_.head);
  return *taken;
}

void RequestReader::handle_eof() {
  if (!result_) result_ = refuse(400, Errc::connection_closed, "while reading a request");
}

void RequestReader::handle_timeout(Instant now) {
  if (!result_ && now >= deadline_) result_ = refuse(408, Errc::phase_timeout, "a request of HTTP");
}

}  // namespace dig::http
