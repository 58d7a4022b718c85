// SPDX-License-Identifier: Apache-2.0
// /dignet/dial-back/1.0.0: an AutoNAT server has another one dial back in its place.
//
// A client that has dialled a server from its listening port has opened its NAT for what comes from that server's
// address. A NAT that filters by address then lets the server's dial-back in, from whatever port, and nobody else's:
// the client would look reachable and is not (libp2p specs issues 713, 714). A dial-back from an address that the
// client has never sent anything to tells the truth. So servers that are configured to work together do each other this
// favour:
//
//   client -> A     dial-request                       A -> B     DialBackOrder{peer, address, nonce}
//   B -> client     dial-back with the nonce           B -> A     DialBackReport{outcome}
//   A -> client     response
//
// B serves only the peers of its configuration, and A has been paid in dial data before it asks (which B cannot check:
// that is why strangers are not served). B dials by its own policy all the same.
//
// For the owner of A (DialBackOrderClient): choose a helper that is connected, at another IP address than A's own, and
// that can have no connection of the client; when the report is not_tried, or there is none, dial oneself. With a
// value: finish() the stream; with an error: reset it. For the owner of B (DialBackOrderServer): accept the protocol
// from configured peers only. Answer WantDialBack with not_tried when the client is connected to B: to its NAT B is no
// stranger.
#pragma once

#include <optional>
#include <set>
#include <string_view>

#include "proto/autonat/dial_policy.hpp"
#include "proto/autonat/dial_request_server.hpp"
#include "proto/autonat/question.hpp"
#include "proto/autonat/request_book.hpp"
#include "wire/dial_back_order.hpp"

namespace dig::autonat {

inline constexpr std::string_view k_dial_back_order_protocol = "/dignet/dial-back/1.0.0";
// Each less than the next: whoever waits hears why. And all not more than half of the 10 s that A has for a dial: when
// B says nothing, A still has the other half to dial itself.
inline constexpr Duration k_ordered_dial = 4s;
inline constexpr Duration k_ordered_stream = 4500ms;
inline constexpr Duration k_dial_back_order_timeout = 5s;  // of a DialBackOrderClient

using DialBackOrderClient = Question<DialBackOrder, DialBackReport>;

struct HelperConfig {
  std::set<PeerId> partners;  // for whom this server dials back
  DialPolicy policy;
  // Of the book: a partner speaks for all its clients.
  static constexpr RequestBook::Limits k_limits{
      .total = 240, .per_peer = 60, .per_source = 60, .running = 32, .running_per_peer = 16, .running_per_source = 16};
};

class DialBackOrderServer {
 public:
  // `partner` was seen at `observed`. The book must outlive the machine.
  DialBackOrderServer(Instant now, const PeerId& partner, const IpAddress& observed, const HelperConfig& config,
                      RequestBook& book);

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  void handle_dial_back_result(DialBackOutcome outcome);
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out) { return stream_.poll_bytes(out); }
  [[nodiscard]] std::optional<Instant> next_timeout() const { return earliest(stream_.next_timeout(), dial_deadline_); }

  // What the owner is to do, once; or an error, which is the end: reset the stream.
  [[nodiscard]] std::optional<Result<WantDialBack>> take_result() { return std::exchange(result_, std::nullopt); }
  // The report was handed out: finish the write half.
  [[nodiscard]] bool is_done() const noexcept { return stream_.is_done(); }

 private:
  void drain(Instant now);
  void report(DialBackOutcome outcome);

  DialPolicy policy_;
  Answer<DialBackOrder, DialBackReport> stream_;
  std::optional<RequestBook::Place> place_;
  std::optional<Instant> dial_deadline_;  // while the owner dials
  std::optional<Result<WantDialBack>> result_;
};

}  // namespace dig::autonat
