// SPDX-License-Identifier: Apache-2.0
// Addresses as text: what is accepted prints in one canonical form; every address has a class.
#include <cstdint>
#include <cstdlib>

#include "base/address_class.hpp"
#include "base/bytes.hpp"
#include "base/endpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  const std::string_view text = dig::as_text(input);
  if (const auto address = dig::IpAddress::parse(text)) {
    if (dig::IpAddress::parse(address->to_string()) != *address) std::abort();
  }
  if (const auto endpoint = dig::Endpoint::parse(text)) {
    if (dig::Endpoint::parse(endpoint->to_string()) != *endpoint) std::abort();
  }
  if (const auto address = dig::IpAddress::from_bytes(input)) {
    if (dig::IpAddress::parse(address->to_string()) != *address) std::abort();
    // A spelling may make an address less trusted, never more.
    if (dig::is_global(*address) && !dig::is_global(dig::canonical(*address))) std::abort();
  }
  return 0;
}
