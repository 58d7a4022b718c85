// SPDX-License-Identifier: Apache-2.0
// What every client checks before it believes a response. A lying server could name the address of a victim, or send us
// to a host in our own network: addresses are refused here unless they are on the public Internet or the owner of the
// client allows others (tests, a server in the same private network).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/endpoint.hpp"
#include "base/machine.hpp"
#include "base/safe_text.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/stun_message.hpp"

namespace dig::stun {

enum class AddressPolicy : std::uint8_t { global_only, any_unicast };

// A unicast address with a port, and a global one where the policy says so.
[[nodiscard]] bool is_usable(const Endpoint& endpoint, AddressPolicy policy) noexcept;

// For the owner of a client: whether a reflexive address that a server named may be told to others.
[[nodiscard]] Result<void> check_reflexive(const Endpoint& mapped, AddressPolicy policy);

// The first comprehension-required attribute that is in none of the specifications this client follows: a response with
// one has failed (RFC 8489 §6.3.3, §6.3.4).
[[nodiscard]] std::optional<std::uint16_t> unknown_required(const Message& message) noexcept;

// The ERROR-CODE of an error response.
[[nodiscard]] Result<ErrorCode> error_of(const Message& message);
// "486 Allocation Quota Reached": for the detail of an Error, which makes it fit to be shown.
[[nodiscard]] std::string describe(const ErrorCode& error);

// What a success response to a Binding request says.
struct BindingAnswer {
  Endpoint mapped;  // XOR-MAPPED-ADDRESS: a unicast address and a port, of whatever class
  // RFC 5780 §7.3, §7.4: of servers for NAT discovery.
  std::optional<Endpoint> response_origin;
  std::optional<Endpoint> other_address;
};
[[nodiscard]] Result<BindingAnswer> read_binding(const Message& success);

// Where an error response 300 (Try Alternate, RFC 8489 §10) points.
struct Alternate {
  Endpoint server;
  SafeText domain;  // ALTERNATE-DOMAIN, for TLS and DTLS; empty when it is not there
};
// Nothing when it must not be followed: no address, one of another family (RFC 8489 §14.15), the server itself, or one
// that the policy refuses.
[[nodiscard]] std::optional<Alternate> alternate_of(const Message& message, const Endpoint& server,
                                                    AddressPolicy policy);

// Calls visit(BytesView) for each datagram of a batch (base/machine.hpp).
template <class Visit>
void for_each_segment(const Received& in, Visit visit) {
  BytesView rest = in.bytes;
  while (!rest.empty()) {
    const std::size_t size = in.segment_size == 0 || in.segment_size > rest.size() ? rest.size() : in.segment_size;
    visit(rest.first(size));
    rest = rest.subspan(size);
  }
}

}  // namespace dig::stun
