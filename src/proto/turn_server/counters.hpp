// SPDX-License-Identifier: Apache-2.0
// What a TURN server counts: traffic, answers, and every packet that went nowhere with its cause.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace dig::turn {

// DROP(name): names are labels of metrics.
#define DIG_TURN_DROPS(DROP)                                                                      \
  DROP(malformed)         /* neither STUN nor ChannelData, or broken */                           \
  DROP(reply_limit)       /* an answer larger than its request, to a source that had its share */ \
  DROP(unexpected_class)  /* a response, or an indication that no client sends */                 \
  DROP(unknown_attribute) /* an indication that must be understood and is not */                  \
  DROP(bad_fingerprint)                                                                           \
  DROP(no_allocation)  /* data of a client without one */                                         \
  DROP(no_channel)     /* ChannelData of a number that is not bound */                            \
  DROP(no_permission)  /* to or from a peer without one */                                        \
  DROP(peer_forbidden) /* an address that the policy refuses */                                   \
  DROP(own_address)    /* a port of this host that no allocation has */                           \
  DROP(family_mismatch)                                                                           \
  DROP(bandwidth)     /* beyond the rate of the allocation or of the server */                    \
  DROP(volume)        /* beyond the volume of the allocation */                                   \
  DROP(peer_error)    /* an ICMP error that clients are not told of, or beyond a rate */          \
  DROP(oversized)     /* more than fits into a message to the client */                           \
  DROP(unknown_relay) /* from a peer, for an allocation that is gone */

enum class Drop : std::uint8_t {
#define DIG_TURN_DROP(name) name,
  DIG_TURN_DROPS(DIG_TURN_DROP)
#undef DIG_TURN_DROP
      count
};
[[nodiscard]] std::string_view drop_name(Drop drop) noexcept;

// The error codes that requests are refused with; 401 and 438 are the challenges.
inline constexpr std::array<std::uint16_t, 13> k_refusals{300, 400, 401, 403, 420, 437, 438,
                                                          440, 441, 442, 443, 486, 508};

struct Counters {
  std::uint64_t packets_to_peers = 0;
  std::uint64_t bytes_to_peers = 0;
  std::uint64_t packets_to_clients = 0;
  std::uint64_t bytes_to_clients = 0;
  std::uint64_t peer_errors = 0;  // ICMP errors that clients were told of
  std::uint64_t bindings = 0;
  std::uint64_t allocations_made = 0;
  std::uint64_t allocations_ended = 0;
  std::array<std::uint64_t, k_refusals.size()> refusals{};  // as in k_refusals
  std::array<std::uint64_t, static_cast<std::size_t>(Drop::count)> drops{};

  Counters& operator+=(const Counters& more) noexcept;
  void refuse(std::uint16_t code) noexcept;
  [[nodiscard]] std::uint64_t refused(std::uint16_t code) const noexcept;
  void drop(Drop why) noexcept { ++drops[static_cast<std::size_t>(why)]; }
  [[nodiscard]] std::uint64_t dropped(Drop why) const noexcept { return drops[static_cast<std::size_t>(why)]; }
};

}  // namespace dig::turn
