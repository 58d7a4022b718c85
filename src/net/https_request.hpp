// SPDX-License-Identifier: Apache-2.0
// One HTTPS request and its answer, over a connection of its own (RFC 9112). Small answers only: this asks providers of
// TURN servers for credentials.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/http_response.hpp"
#include "net/leg.hpp"

namespace dig::net {

// https://host[:port]/target. invalid_argument.
struct HttpsUrl {
  std::string host;
  std::uint16_t port = 443;
  std::string target = "/";  // path and query

  [[nodiscard]] static Result<HttpsUrl> parse(std::string_view text);
};

struct HttpsAnswer {
  unsigned status = 0;
  std::string body;
};

class HttpsRequest {
 public:
  struct Config {
    std::string method = "GET";
    HttpsUrl url;
    std::vector<std::pair<std::string, std::string>> headers;  // beside Host, Connection and Content-Length
    std::string body{};
    LegOptions leg;  // with a TLS context whose ALPN names are "http/1.1" or none
    HttpResponseReader::Limits limits{};
    Duration timeout = 15s;
  };
  using Handler = std::move_only_function<void(Result<HttpsAnswer>)>;

  // Calls back once, from a task of the loop; the request may be destroyed in it. Whatever the status is, it is an
  // answer. Errors: those of the leg; malformed, oversized, truncated, timed_out; invalid_argument for a header that
  // does not fit into a line.
  HttpsRequest(Loop& loop, Resolver& resolver, Config config, Handler on_done);
  ~HttpsRequest();
  HttpsRequest(const HttpsRequest&) = delete;
  HttpsRequest& operator=(const HttpsRequest&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
