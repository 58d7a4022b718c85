// SPDX-License-Identifier: Apache-2.0
// The answer to one HTTP/1.1 request, read as it arrives. Bounded; no socket, no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig::net {

class HttpResponseReader {
 public:
  struct Limits {
    std::uint32_t max_head = 8 * 1024;
    std::size_t max_body = 64 * 1024;
  };
  enum class Body : std::uint8_t {
    expected,
    none,  // of CONNECT (RFC 9110 §9.3.6): what follows the head belongs to the tunnel
  };

  HttpResponseReader(Body body, Limits limits);
  ~HttpResponseReader();
  HttpResponseReader(HttpResponseReader&&) noexcept;

  // Takes bytes until the response is complete and returns what lies behind it. malformed, oversized.
  [[nodiscard]] Result<BytesView> put(BytesView bytes);
  // The other side will send no more: the end of a body without a length, else truncated.
  [[nodiscard]] Result<void> put_end();

  [[nodiscard]] bool is_complete() const noexcept;
  // Once complete.
  [[nodiscard]] unsigned status() const noexcept;
  [[nodiscard]] std::string take_body();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
