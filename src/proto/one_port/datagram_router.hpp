// SPDX-License-Identifier: Apache-2.0
// Whose a datagram on the one UDP port is (design §9): by what is known of its remote 5-tuple, then by its first byte
// (RFC 7983 §7, RFC 9443). Keeps nothing but counters; what others know is asked for through DatagramState.
//
// ChannelData begins with 0x40-0x4F (RFC 8656 §12), half of all QUIC packets with a short header do too, and on a
// 5-tuple with an allocation and a QUIC connection both may come. There, a datagram is ChannelData if its channel is
// bound, its length fits and the bytes behind the first one are no connection id of ours. Connection ids have 8 bytes
// or more and are random, so that nobody meets one by chance. For this the TURN server binds no channel above 0x4FFF
// (ServerConfig::Limits::max_channel_number), and QUIC does not offer to grease its bit (RFC 9287): without it a first
// byte below 0x40 is never QUIC.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "base/machine.hpp"
#include "wire/stun_message.hpp"

namespace dig::one_port {

// What other machines know. Asked for each datagram: answers from tables, nothing is kept.
class DatagramState {
 public:
  virtual ~DatagramState() = default;
  struct Tuple {
    bool has_allocation = false;       // of our TURN server, over UDP
    bool has_quic_connection = false;  // a live one
    bool is_ice_validated = false;     // a connectivity check has succeeded (RFC 8445 §7.2.5.3)
  };
  [[nodiscard]] virtual Tuple find(const Endpoint& local, const Endpoint& remote) const = 0;
  // By the allocation of the 5-tuple.
  [[nodiscard]] virtual bool is_channel_bound(Instant now, const Endpoint& local, const Endpoint& remote,
                                              std::uint16_t channel) const = 0;
  // Whether the bytes behind the first one of a QUIC packet begin with a live connection id that we gave out.
  [[nodiscard]] virtual bool begins_with_connection_id(BytesView bytes) const = 0;
  // Whether an ICE agent of ours is named by this fragment (RFC 8445 §7.2.2: the one before the colon).
  [[nodiscard]] virtual bool is_ice_fragment(std::string_view fragment) const = 0;
  // Whether the request that is answered was a connectivity check of ours.
  [[nodiscard]] virtual bool is_ice_transaction(const stun::TransactionId& transaction) const = 0;
};

enum class Destination : std::uint8_t {
  refused,
  stun_server,   // requests to it, and what TURN clients send to it
  stun_client,   // answers to requests of ours other than ICE's
  ice,           // connectivity checks and their answers
  channel_data,  // for the TURN server
  turn_dtls,     // DTLS around STUN and TURN
  webrtc,        // DTLS inside a pair that ICE has validated
  quic,
};
inline constexpr std::size_t k_destinations = 8;

enum class Refusal : std::uint8_t {
  empty,
  not_stun,  // a first byte of STUN, but no magic cookie: also STUN of RFC 3489
  reserved,  // first bytes 4 to 19: nobody's, or ZRTP's
  rtp,       // first bytes 128 to 191: media, which nobody speaks here
};
inline constexpr std::size_t k_refusals = 4;
[[nodiscard]] std::string_view to_text(Refusal refusal) noexcept;

class DatagramRouter {
 public:
  struct Status {
    std::array<std::uint64_t, k_destinations> datagrams{};  // by Destination
    std::array<std::uint64_t, k_refusals> refused{};        // by Refusal
  };

  // `state` must outlive the router.
  explicit DatagramRouter(const DatagramState& state) noexcept : state_(state) {}

  // Calls deliver(Destination, const Received&) for what is not refused: segments of one batch that follow each other
  // and go the same way stay together. A STUN message may change what is known of its 5-tuple, so it is delivered by
  // itself, before the segments behind it are looked at.
  template <class Deliver>
  void route(const Received& in, Deliver deliver);

  [[nodiscard]] const Status& snapshot() const noexcept { return status_; }

 private:
  using Tuple = DatagramState::Tuple;

  [[nodiscard]] Destination destination_of(const Received& in, const Tuple& tuple, BytesView datagram);
  [[nodiscard]] Destination of_stun(const Tuple& tuple, BytesView datagram) const;
  [[nodiscard]] bool is_ice_check(BytesView request) const;
  [[nodiscard]] Destination of_channel_or_quic(const Received& in, const Tuple& tuple, BytesView datagram) const;
  [[nodiscard]] Destination refuse(Refusal why) noexcept;

  const DatagramState& state_;
  Status status_;
};

template <class Deliver>
void DatagramRouter::route(const Received& in, Deliver deliver) {
  const std::size_t segment = in.segment_size == 0 ? in.bytes.size() : in.segment_size;
  Tuple tuple = state_.find(in.local, in.remote);
  Destination run = Destination::refused;  // where the segments from `begin` to `end` go
  std::size_t begin = 0;
  std::size_t end = 0;
  const auto deliver_run = [&] {
    Received part = in;
    part.bytes = in.bytes.subspan(begin, end - begin);
    if (part.bytes.size() <= segment) part.segment_size = 0;
    if (run != Destination::refused && begin != end) deliver(run, part);
    begin = end;
  };
  do {
    const BytesView datagram = in.bytes.subspan(end, std::min(segment, in.bytes.size() - end));
    const Destination destination = destination_of(in, tuple, datagram);
    if (destination != run) deliver_run();
    run = destination;
    end += datagram.size();
    if (run != Destination::stun_server && run != Destination::stun_client && run != Destination::ice) continue;
    deliver_run();
    tuple = state_.find(in.local, in.remote);
  } while (end < in.bytes.size());
  deliver_run();
}

}  // namespace dig::one_port
