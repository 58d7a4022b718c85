// SPDX-License-Identifier: Apache-2.0
// Channels (RFC 8656 §12): a number of two bytes stands for a peer, so that a packet carries four bytes more instead of
// thirty-six. A binding lasts ten minutes and is refreshed before; after its end neither the number nor the peer may be
// bound otherwise for five minutes more. Slot i of the table is number 0x4000 + i: finding a channel costs no search.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "proto/stun/transaction.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::turn {

inline constexpr Duration k_channel_lifetime = 600s;  // RFC 8656 §12
inline constexpr Duration k_channel_refresh = 540s;   // leaves a minute for retries
inline constexpr Duration k_channel_rest = 300s;      // RFC 8656 §12: before another use

class Channels {
 public:
  // At most the numbers that there are.
  explicit Channels(std::size_t max_channels)
      : slots_(std::min<std::size_t>(max_channels, k_max_channel - k_min_channel + 1)) {}

  // Wants a channel to the peer. False when every number is taken or rests, or when the server has refused this peer
  // and the refusal rests too.
  bool add(const Endpoint& peer, Instant now);
  // Lets the channels to this address run out: the server has no way to unbind.
  void abandon(const IpAddress& address);

  // The number to send to the peer with.
  [[nodiscard]] std::optional<std::uint16_t> number_of(const Endpoint& peer, Instant now) const;
  // Whose data comes on a number: that of a binding, or of one whose ChannelBind may just have arrived at the server.
  [[nodiscard]] const Endpoint* peer_of(std::uint16_t number, Instant now) const;
  [[nodiscard]] bool is_wanted(const Endpoint& peer) const;

  struct Due {
    std::uint16_t number = 0;
    Endpoint peer;
  };
  [[nodiscard]] std::optional<Due> next_due() const;
  [[nodiscard]] std::optional<Due> of_request(stun::RequestId request) const;
  void mark_requested(std::uint16_t number, stun::RequestId request, Instant now);

  // Returns the peer if it had no channel before.
  std::optional<Endpoint> handle_success(stun::RequestId request, Instant sent, Instant now);
  // The server refused, or did not answer: a binding that stands is asked for again at `again`, if given, until it has
  // run out. Otherwise the peer is returned; the number rests, as the server may have bound it all the same.
  std::optional<Endpoint> handle_failure(stun::RequestId request, Instant now, std::optional<Instant> again);

  // Marks what is due. Returns the peers whose binding ran out although it was wanted.
  std::vector<Endpoint> handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::size_t bound(Instant now) const;

 private:
  struct Slot {
    bool is_used = false;
    bool is_wanted = false;   // false: it rests
    bool is_refused = false;  // not to be asked for again while it rests
    bool is_due = false;
    Endpoint peer;
    std::optional<Instant> expires;  // bound until then
    std::optional<Instant> refresh_at;
    std::optional<stun::RequestId> request;
    Instant receives_until;  // the server may have it bound until then
  };

  [[nodiscard]] static std::uint16_t number_at(std::size_t index) noexcept {
    return static_cast<std::uint16_t>(k_min_channel + index);
  }
  [[nodiscard]] static bool is_bound(const Slot& slot, Instant now) noexcept {
    return slot.is_used && slot.expires && now < *slot.expires;
  }
  [[nodiscard]] Slot* slot_of(stun::RequestId request);

  std::vector<Slot> slots_;
  mutable std::size_t last_sent_ = 0;  // where the search for a peer begins: most packets go where the last one went
};

}  // namespace dig::turn
