// SPDX-License-Identifier: Apache-2.0
// URIs of STUN and TURN servers: what is accepted reads back as itself.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/stun_uri.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto uri = dig::StunUri::parse(dig::as_text(std::as_bytes(std::span(data, size))));
  if (!uri) return 0;
  if (uri->port == 0 || uri->host.empty()) std::abort();
  const auto again = dig::StunUri::parse(uri->to_string());
  if (!again || *again != *uri) std::abort();
  return 0;
}
