// SPDX-License-Identifier: Apache-2.0
// Which addresses a server dials back.
#pragma once

#include <optional>

#include "base/endpoint.hpp"
#include "proto/stun/response.hpp"
#include "wire/multiaddr.hpp"
#include "wire/peer_id.hpp"

namespace dig::autonat {

struct DialPolicy {
  // Whether this server reaches the Internet over IPv4 and IPv6. Without, it could only say wrongly that nobody is
  // there (autonat-v2, Implementation Suggestions).
  bool has_v4 = true;
  bool has_v6 = true;
  stun::AddressPolicy addresses = stun::AddressPolicy::global_only;
  // The owner says that this server is on the Internet. Who seems to be in its own network may then be anybody, whose
  // connection a proxy has passed on.
  bool is_public = false;
};

// Where to dial, or nothing when the address must not or cannot be dialled: it is no TCP address of this family, not of
// the public Internet (autonat-v2: "SHOULD NOT dial any private address"), has no port, or names a peer other than
// `client`. One exception: an address of a private network or of loopback is dialled when it is the one where the
// client itself was seen (`observed`; absent: nobody has seen it), unless the server is public. The client is in the
// same network then, and nobody else is hit.
[[nodiscard]] std::optional<Endpoint> dialable(const Multiaddr& address, const PeerId& client,
                                               const std::optional<IpAddress>& observed, const DialPolicy& policy);
// The same of an endpoint, whatever is sent there.
[[nodiscard]] bool is_dialable(const Endpoint& endpoint, const std::optional<IpAddress>& observed,
                               const DialPolicy& policy);

}  // namespace dig::autonat
