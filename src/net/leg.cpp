// SPDX-License-Identifier: Apache-2.0
#include "net/leg.hpp"

#include "net/leg_kinds.hpp"

namespace dig::net {

std::unique_ptr<Leg> open_leg(Loop& loop, Resolver& resolver, LegTarget target, LegOptions options, LegOwner& owner) {
  const bool is_stream = target.transport == StunTransport::tcp || target.transport == StunTransport::tls;
  if (is_stream) return open_stream_leg(loop, resolver, std::move(target), std::move(options), owner);
  return open_datagram_leg(loop, resolver, std::move(target), std::move(options), owner);
}

Result<std::shared_ptr<const crypto::TlsContext>> make_client_tls(crypto::TlsTransport transport,
                                                                  crypto::TlsTrust trust,
                                                                  std::vector<std::string> alpn) {
  return crypto::TlsContext::create(
      transport, {.role = crypto::TlsRole::client, .trust = std::move(trust), .alpn = std::move(alpn)});
}

void look_up(Loop& loop, Resolver& resolver, const std::string& host, std::optional<IpFamily> family,
             const std::optional<IpAddress>& pinned, Resolver::Handler handler) {
  const auto literal = pinned ? Result<IpAddress>(*pinned) : IpAddress::parse(host);
  if (!literal) return resolver.resolve(host, family, std::move(handler));
  loop.post([address = *literal, handler = std::move(handler)]() mutable { handler(Resolver::Addresses{address}); });
}

}  // namespace dig::net
