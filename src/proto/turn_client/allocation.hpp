// SPDX-License-Identifier: Apache-2.0
// One allocation on one TURN server over one leg (RFC 8656): makes it, keeps it, its permissions and its channels
// alive, and carries data to and from peers. Sans-I/O: the owner runs the leg, which is either
//   datagrams  UDP, or the plaintext of a DTLS session: handle_message() for each, poll_transmit() gives one;
//   a stream   TCP, or the plaintext of a TLS session: handle_bytes(), poll_transmit() gives some bytes.
// On a datagram leg the owner passes only what came from the server.
//
// Data of peers is returned where it is found, as a view and without a copy. Data to peers is copied once, into a
// bounded output; on a datagram leg write_datagram() frames it in the caller's buffer instead. Nothing is kept for a
// peer that has no permission yet: what runs over a relay is QUIC or ICE, which send again.
//
// A response whose integrity does not hold counts as never received over datagrams, and ends its request over a stream
// (RFC 8489 §9.2.5). With credentials configured, a server that grants without having asked for them is not believed.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "proto/turn_client/allocation_types.hpp"
#include "proto/turn_client/channels.hpp"
#include "proto/turn_client/leg_output.hpp"
#include "proto/turn_client/permissions.hpp"
#include "wire/stun_framer.hpp"

namespace dig::turn {

class ClientAllocation {
 public:
  using Limits = AllocationLimits;
  using Event = std::variant<Allocated, PermissionInstalled, PermissionLost, ChannelBound, ChannelLost, Writable,
                             Released, Ended>;

  // Sends Allocate at once. A configuration that is not valid ends with invalid_argument.
  ClientAllocation(Instant now, const AllocationConfig& config, Rng& rng, Limits limits);
  ClientAllocation(Instant now, const AllocationConfig& config, Rng& rng)
      : ClientAllocation(now, config, rng, Limits()) {}
  ClientAllocation(const ClientAllocation&) = delete;
  ClientAllocation& operator=(const ClientAllocation&) = delete;

  // Asks for a permission and renews it until revoke(). Several calls before the next poll_transmit() are one request.
  [[nodiscard]] Result<void> permit(Instant now, const IpAddress& peer);
  // Data of the peer is dropped from now on; the server forgets it, and its channels, after some minutes.
  void revoke(Instant now, const IpAddress& peer);
  // Binds a channel, with the permission.
  [[nodiscard]] Result<void> bind_channel(Instant now, const Endpoint& peer);
  // All or nothing.
  [[nodiscard]] SendResult send(Instant now, const Endpoint& peer, BytesView data);
  // As send(), but what is to be sent to the server stands in `out` (datagram legs only). `size` 0: nothing was
  // written.
  struct Framed {
    SendResult result = SendResult::refused;
    std::size_t size = 0;
  };
  [[nodiscard]] Framed write_datagram(Instant now, const Endpoint& peer, BytesView data, MutableBytes out);
  // Gives the relayed addresses back (Refresh with a lifetime of 0). Ends with Released, whatever the server says.
  void release(Instant now);

  // One datagram from the server.
  [[nodiscard]] std::optional<PeerData> handle_message(Instant now, BytesView datagram);
  // Bytes from the server. `bytes` is moved past what was taken: call again until nothing is returned.
  [[nodiscard]] std::optional<PeerData> handle_bytes(Instant now, BytesView& bytes);
  // The socket, the connection or the session under the leg is gone.
  void handle_leg_closed(Instant now, const Error& error);
  void handle_timeout(Instant now);

  // Writes one datagram, or bytes of the stream, and returns how many; 0: nothing to send now. A datagram waits until
  // `out` has room for it; k_max_datagram always does.
  static constexpr std::size_t k_max_datagram = 65'507;
  [[nodiscard]] std::size_t poll_transmit(Instant now, MutableBytes out);
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  [[nodiscard]] AllocationPhase phase() const noexcept { return phase_; }
  [[nodiscard]] AllocationStatus snapshot(Instant now) const;

 private:
  // Holds any request: a user name, realm and nonce of their greatest sizes, and the peers of a batch.
  static constexpr std::size_t k_max_request = 3072;

  enum class Kind : std::uint8_t { allocate, refresh, release, create_permission, channel_bind };
  struct Pending {
    stun::RequestId id;
    Kind kind = Kind::allocate;
    bool is_authenticated = false;
    bool had_bad_integrity = false;
    std::uint32_t challenges = 0;
    std::uint64_t key_version = 0;
  };
  // Why a request failed. `code` is 0 when it was not an error response that says so.
  struct Failure {
    Error error;
    std::uint16_t code = 0;
    std::optional<stun::Alternate> alternate{};
  };

  // Requests (allocation_requests.cpp).
  template <class AddAttributes>
  std::optional<stun::RequestId> send_request(Instant now, Kind kind, std::uint32_t challenges, AddAttributes add);
  void send_allocate(Instant now, std::uint32_t challenges);
  void send_refresh(Instant now, Kind kind, std::uint32_t challenges);
  std::optional<stun::RequestId> send_create_permission(Instant now, const std::vector<IpAddress>& peers,
                                                        std::uint32_t challenges);
  std::optional<stun::RequestId> send_channel_bind(Instant now, const Channels::Due& channel, std::uint32_t challenges);
  // Permissions and channels that are due, as far as there is room for their requests.
  void send_due(Instant now);
  void send_again(Instant now, const Pending& request);

  // Responses (allocation_responses.cpp).
  void handle_response(Instant now, const stun::Message& response);
  [[nodiscard]] bool is_trusted(Instant now, Pending& request, const stun::Message& response, bool is_challenge);
  void handle_challenge(Instant now, Pending request, const stun::Message& response, const stun::ErrorCode& error);
  void handle_error(Instant now, const Pending& request, const stun::Message& response, const stun::ErrorCode& error);
  void handle_success(Instant now, const Pending& request, const stun::Message& response);
  void handle_allocated(Instant now, Instant sent, const stun::Message& response);
  [[nodiscard]] Result<Allocated> read_allocated(const stun::Message& response) const;
  [[nodiscard]] Result<Duration> read_lifetime(const stun::Message& response) const;
  void handle_refreshed(Instant now, Instant sent, const stun::Message& response);
  void handle_failure(Instant now, const Pending& request, const Failure& failure);
  void handle_refresh_failure(Instant now, const Failure& failure);
  void handle_permission_failure(Instant now, const Pending& request, const Failure& failure);
  void handle_channel_failure(Instant now, const Pending& request, const Failure& failure);
  [[nodiscard]] std::optional<Pending> take(stun::RequestId id);
  void set_lifetime(Instant sent, Duration lifetime);

  // Data (allocation_data.cpp).
  [[nodiscard]] SendResult may_send(Instant now, const Endpoint& peer, std::size_t size);
  [[nodiscard]] std::size_t frame_size(std::optional<std::uint16_t> channel, const Endpoint& peer,
                                       std::size_t size) const;
  void write_frame(std::optional<std::uint16_t> channel, const Endpoint& peer, BytesView data, MutableBytes out);
  void count_sent(Instant now, std::optional<std::uint16_t> channel, const Endpoint& peer, std::size_t size);
  [[nodiscard]] std::optional<PeerData> handle_channel_data(Instant now, BytesView datagram);
  [[nodiscard]] std::optional<PeerData> handle_data_indication(const stun::Message& message);
  [[nodiscard]] std::optional<PeerData> deliver(const Endpoint& peer, BytesView data);

  [[nodiscard]] bool can_reach(const IpAddress& peer) const noexcept;
  // A channel to the address would be of no use either.
  void lose_permission(const IpAddress& peer, const Error& cause);
  // Everything is over; the last event says why.
  void end(Event last);
  void lose(const Error& cause);

  AllocationConfig config_;
  Limits limits_;
  Rng& rng_;
  bool is_stream_;
  std::optional<LongTermCredential> credential_;
  stun::TransactionTable transactions_;
  std::vector<Pending> pending_;
  stun::Framer framer_;
  LegOutput output_;
  Permissions permissions_;
  Channels channels_;
  AllocationPhase phase_ = AllocationPhase::allocating;
  bool uses_dont_fragment_;
  bool wants_writable_ = false;
  Instant expires_;
  std::optional<Instant> refresh_at_;  // none while a Refresh is under way
  // Of the last request of the kind, if it failed: the reason to give when time runs out.
  std::optional<Error> refresh_failure_;
  std::optional<Error> permission_failure_;
  std::optional<Error> channel_failure_;
  AllocationStatus status_;
  std::deque<Event> events_;
};

}  // namespace dig::turn
