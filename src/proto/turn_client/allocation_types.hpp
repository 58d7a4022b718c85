// SPDX-License-Identifier: Apache-2.0
// What an owner of a turn::ClientAllocation says to it and hears from it.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "proto/stun/response.hpp"
#include "proto/stun/transaction.hpp"
#include "proto/turn_client/credential.hpp"
#include "wire/stun_uri.hpp"

namespace dig::turn {

enum class RelayFamilies : std::uint8_t { ipv4, ipv6, both };  // both: ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §7.1)
enum class EvenPort : std::uint8_t { even, even_and_next_reserved };

struct AllocationConfig {
  Endpoint server;
  StunTransport transport = StunTransport::udp;  // of the leg to the server; the relayed transport is always UDP
  std::optional<Credentials> credentials;
  RelayFamilies families = RelayFamilies::ipv4;
  // Without a relayed address of this family the allocation is of no use to the owner and is given back.
  std::optional<IpFamily> expected_relay_family;
  std::optional<EvenPort> even_port;
  std::optional<std::uint64_t> reservation_token;
  bool dont_fragment = false;  // left out when the server does not know it (420)
  Duration lifetime = 600s;    // wanted; the server decides
  // Binds a channel to a peer after the first data sent to it.
  bool binds_channels = true;
  bool follows_redirect = true;
  bool requires_sha256 = false;  // refuses MD5 keys and MESSAGE-INTEGRITY: for servers known to speak RFC 8489
  // For the relayed address and for ALTERNATE-SERVER.
  stun::AddressPolicy address_policy = stun::AddressPolicy::global_only;
  stun::TransactionTimers timers{};

  [[nodiscard]] Result<void> validate() const;
};

struct AllocationLimits {
  std::size_t max_permissions = 32;
  std::size_t max_channels = 32;
  std::size_t max_transactions = 16;
  std::size_t max_batch = 8;            // peers in one CreatePermission
  std::size_t max_output = 256 * 1024;  // bytes of data that wait for the leg
  std::size_t max_payload = 65'000;     // of one send(): fits a Send indication in a UDP datagram over IPv6
  std::uint32_t max_challenges = 3;     // 401 and 438 in answer to one request
  Duration min_lifetime = 10s;          // a server that grants less makes work, not a relay
  Duration max_lifetime = 1h;           // a server that promises more is asked again after this time all the same
  Duration retry_delay = 5s;            // after a refresh that was answered, but not granted
};

// The relayed addresses are there. Permissions may be asked for.
struct Allocated {
  std::optional<Endpoint> relayed_v4;
  std::optional<Endpoint> relayed_v6;
  Endpoint mapped;  // where the server sees this end of the leg; may be private
  Duration lifetime{0};
  std::optional<std::uint64_t> reservation_token;
  std::optional<Error> missing_family;  // both were asked for and one was refused (ADDRESS-ERROR-CODE)
};
struct PermissionInstalled {
  IpAddress peer;
};
// Refused, or not renewed in time. Data to the peer asks for it again.
struct PermissionLost {
  IpAddress peer;
  Error error;
};
struct ChannelBound {
  Endpoint peer;
};
// Data to the peer goes in Send indications from now on.
struct ChannelLost {
  Endpoint peer;
  Error error;
};
// After a send() that returned would_block.
struct Writable {};
// After release(). Always the last event, as is Ended.
struct Released {};
// The allocation could not be made, or is no more (allocation_lost, with the cause in its detail). Two errors ask the
// owner for something:
//   turn_mismatch    the server still knows this five-tuple: try again from a new local port (RFC 8656 §7.4);
//   turn_redirected  with an alternate: connect there and try once more, with follows_redirect turned off.
struct Ended {
  Error error;
  std::optional<stun::Alternate> alternate;
};

enum class AllocationPhase : std::uint8_t { allocating, active, releasing, ended };

enum class SendResult : std::uint8_t {
  taken,
  would_block,    // the output is full: send again after Writable
  no_permission,  // it has been asked for: send again after PermissionInstalled. Nothing is kept meanwhile.
  refused,        // too large, no relayed address of the peer's family, no room for another permission, or not active
};

// What a peer sent. The view is into what the caller passed in, or valid until the next call.
struct PeerData {
  Endpoint peer;
  BytesView data;
};

struct AllocationStatus {
  AllocationPhase phase = AllocationPhase::allocating;
  std::optional<Endpoint> relayed_v4;
  std::optional<Endpoint> relayed_v6;
  std::optional<Duration> rtt;  // to the server
  Duration lifetime{0};         // as last granted
  Instant expires;              // meaningless until active
  // Data of peers, without the headers.
  std::uint64_t packets_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t packets_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t channel_packets_sent = 0;  // of packets_sent, those with the short header
  std::size_t waiting = 0;                 // bytes in the output
  // Received and dropped.
  std::uint64_t malformed = 0;
  std::uint64_t unexpected = 0;  // well-formed, and not a response or data
  std::uint64_t stray_responses = 0;
  std::uint64_t bad_integrity = 0;
  std::uint64_t unknown_channel = 0;
  std::uint64_t without_permission = 0;
  std::uint64_t refreshes = 0;
  std::uint64_t nonce_changes = 0;
  bool uses_sha256 = false;  // MESSAGE-INTEGRITY-SHA256
  bool uses_userhash = false;
  bool uses_dont_fragment = false;
  std::size_t permissions = 0;  // installed
  std::size_t channels = 0;     // bound
};

}  // namespace dig::turn
