// SPDX-License-Identifier: Apache-2.0
// An HTTP proxy for outgoing TCP connections (CONNECT, RFC 9110 §9.3.6), as HTTPS_PROXY and NO_PROXY name it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/http_response.hpp"

namespace dig::net {

// "host:port" as CONNECT and Host have it: an IPv6 address stands in brackets (RFC 3986 §3.2).
[[nodiscard]] std::string authority_of(std::string_view host, std::uint16_t port);

struct HttpProxy {
  std::string host;  // a name, or an IP address without brackets
  std::uint16_t port = 0;
  std::string authorization;  // "user:password", or empty

  // http://[user:password@]host[:port]; "host:port" as curl takes it too. bad_config.
  [[nodiscard]] static Result<HttpProxy> parse(std::string_view text);
};

// Hosts that are reached without the proxy: names with everything below them, addresses, or "*" for all.
class ProxyExceptions {
 public:
  ProxyExceptions() = default;
  // Separated by commas, as NO_PROXY has them.
  explicit ProxyExceptions(std::string_view list);
  [[nodiscard]] bool contains(std::string_view host) const;

 private:
  std::vector<std::string> suffixes_;
};

// Asks the proxy for a tunnel to one server. No socket, no clock.
class HttpConnect {
 public:
  HttpConnect(const HttpProxy& proxy, std::string_view host, std::uint16_t port);

  // The request, once. Then nothing.
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out);
  // Takes the answer, and returns what the server behind the tunnel has already said. proxy_refused,
  // proxy_unauthorized, malformed, oversized.
  [[nodiscard]] Result<BytesView> handle_bytes(BytesView bytes);
  [[nodiscard]] bool is_open() const noexcept { return response_.is_complete(); }

 private:
  std::string request_;
  std::size_t sent_ = 0;
  HttpResponseReader response_;
};

}  // namespace dig::net
