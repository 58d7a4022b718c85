// SPDX-License-Identifier: Apache-2.0
// The head of an HTTP/1.1 request to a server that has a few fixed pages and WebSocket (RFC 9110, RFC 9112): GET and
// HEAD of a path, one Host, no body. One of HTTP/1.0, as simple clients and health checks send it, is read in the same
// way; it must have a Host too, without which nobody could tell that a foreign web page sends it (DNS rebinding).
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "proto/http/head.hpp"

namespace dig::http {

struct RequestHead {
  bool is_head = false;      // HEAD: the answer has no body (RFC 9110 §9.3.2)
  bool is_http_1_0 = false;  // it can ask for no other protocol (RFC 9110 §7.8)
  std::string path;          // begins with a slash; as it came, nothing decoded; without the query
  std::string host;          // without port, in lower case: a name, an IPv4 address, or an IPv6 address in brackets
  Fields fields;
};

// `text` ends with the empty line.
[[nodiscard]] std::expected<RequestHead, Refusal> parse_request_head(std::string_view text, const HeadLimits& limits);

// Reads one request as it comes. The owner answers, or closes the connection when there is nobody to answer.
class RequestReader {
 public:
  struct Limits {
    HeadLimits head;
    Duration timeout = std::chrono::seconds{10};  // for the whole head, however slowly it comes
  };
  struct Status {
    bool is_over = false;
    std::size_t buffered_bytes = 0;
  };

  explicit RequestReader(Instant now) : RequestReader(now, Limits()) {}
  RequestReader(Instant now, const Limits& limits)
      : limits_(limits), deadline_(now + limits.timeout), head_(limits.head.bytes) {}

  // Returns how many bytes it took: never one behind the head.
  [[nodiscard]] std::size_t handle_bytes(BytesView bytes);
  void handle_eof();
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept {
    return result_ ? std::nullopt : std::optional(deadline_);
  }

  // Absent: not over. phase_timeout comes with 408; connection_closed with nobody left to be answered.
  [[nodiscard]] const std::optional<std::expected<RequestHead, Refusal>>& result() const noexcept { return result_; }
  [[nodiscard]] Status snapshot() const noexcept { return {result_.has_value(), head_.size()}; }

 private:
  Limits limits_;
  Instant deadline_;
  HeadCollector head_;
  std::optional<std::expected<RequestHead, Refusal>> result_;
};

}  // namespace dig::http
