// SPDX-License-Identifier: Apache-2.0
// Bytes and text of addresses: what is accepted reads back as itself in both forms.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/multiaddr.hpp"

using dig::Multiaddr;

namespace {

void check(const Multiaddr& address) {
  const auto from_text = Multiaddr::parse(address.to_string());
  if (!from_text || *from_text != address) std::abort();
  const auto from_bytes = Multiaddr::from_bytes(address.bytes());
  if (!from_bytes || *from_bytes != address) std::abort();
  if (address.bytes().size() > Multiaddr::max_size || address.components().size() > Multiaddr::max_components)
    std::abort();
  if (const auto peer = address.peer_id()) {
    const auto again = address.without_peer_id().with_peer_id(*peer);
    if (!again || *again != address) std::abort();
  }
  if (const auto endpoint = address.tcp_endpoint()) {
    if (Multiaddr::tcp(*endpoint).tcp_endpoint().value() != *endpoint) std::abort();
  }
  if (const auto target = address.stream_target()) {
    const bool is_secure = target->carrier == Multiaddr::Carrier::secure_websocket;
    const bool is_plain = target->carrier == Multiaddr::Carrier::plain;
    if (is_plain != target->http_host.empty() || is_secure == target->tls_name.empty()) std::abort();
    if (is_plain != (address.tcp_endpoint().has_value() || address.dns_tcp().has_value())) std::abort();
  }
  (void)address.host();
  (void)address.port();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  if (const auto address = Multiaddr::from_bytes(input)) check(*address);
  if (const auto address = Multiaddr::parse(dig::as_text(input))) check(*address);
  return 0;
}
