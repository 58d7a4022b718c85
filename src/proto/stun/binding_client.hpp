// SPDX-License-Identifier: Apache-2.0
// A Binding request to one STUN server (RFC 8489 §2): which address does the server see this socket at, and how far is
// it. One request, one outcome; a client is made anew for every question.
//
// The mapped address is what the server says. Whether to believe it is the owner's decision: see check_reflexive().
#pragma once

#include <optional>
#include <variant>

#include "base/machine.hpp"
#include "base/rng.hpp"
#include "proto/stun/response.hpp"
#include "proto/stun/transaction.hpp"
#include "wire/stun_framer.hpp"
#include "wire/stun_uri.hpp"

namespace dig::stun {

struct BindingConfig {
  Endpoint server{};
  StunTransport transport = StunTransport::udp;
  TransactionTimers timers{};
  // Try Alternate (300): at most one hop, over the same transport, to an address that the policy allows.
  bool follows_redirect = true;
  AddressPolicy redirect_policy = AddressPolicy::global_only;
};

struct BindingSucceeded {
  Endpoint server;  // the one that answered
  BindingAnswer answer;
  std::optional<Duration> rtt;
};
struct BindingFailed {
  Error error;
  // With stun_redirected over anything but UDP: where the owner may connect to and ask once more, with follows_redirect
  // turned off. (Over UDP the client has followed it by itself.)
  std::optional<Alternate> alternate;
};

class BindingClient {
 public:
  using Event = std::variant<BindingSucceeded, BindingFailed>;

  BindingClient(Instant now, const BindingConfig& config, Rng& rng);

  // UDP, or the plaintext of DTLS. What does not come from the server is ignored.
  void handle_datagram(const Received& in);
  // TCP, or the plaintext of TLS.
  void handle_bytes(Instant now, BytesView bytes);
  // The socket or the connection is gone, or the system reported that the server cannot be reached.
  void handle_closed(Instant now, Error error);
  void handle_timeout(Instant now);
  // One whole request; `out` has room for it from 28 bytes on.
  [[nodiscard]] std::optional<Transmit> poll_transmit(Instant now, MutableBytes out);
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const { return transactions_.next_timeout(); }
  [[nodiscard]] bool is_done() const noexcept { return is_done_; }

 private:
  static constexpr std::size_t k_max_response = 2048;

  void ask(Instant now);
  void handle_message(Instant now, const Endpoint& source, BytesView bytes);
  [[nodiscard]] Event outcome_of(const Message& message, std::optional<Duration> rtt);
  [[nodiscard]] Event refusal_of(const Message& message);
  void end(Event event);

  BindingConfig config_;
  Rng& rng_;
  TransactionTable transactions_;
  Framer framer_{k_max_response};
  Endpoint server_;
  bool may_redirect_;
  bool is_done_ = false;
  std::optional<Event> event_;
};

}  // namespace dig::stun
