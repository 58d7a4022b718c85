// SPDX-License-Identifier: Apache-2.0
// Requests that wait for a response (RFC 8489 §6.2): retransmitted over datagrams, given up after a time over streams.
// A response is matched by its transaction id, its method and the address it comes from; what matches nothing, as a
// second response or a stranger's, is only counted.
//
// The table knows nothing of what a request means. Its owner keeps the RequestId, judges the response, and then calls
// finish() or, if the response is to count as never received (RFC 8489 §9.2.5), does nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "base/machine.hpp"
#include "base/result.hpp"
#include "base/strong_id.hpp"
#include "base/time.hpp"
#include "wire/stun_message.hpp"

namespace dig::stun {

struct TransactionTimers {
  Duration initial_rto = 500ms;    // RFC 8489 §6.2.1: until the round-trip time of the server has been measured
  Duration min_rto = 100ms;        // a server may take this long for no bad reason; below, requests go out twice
  Duration max_rto = 3s;           // one slow answer must not make the next loss cost minutes
  std::uint32_t max_requests = 7;  // Rc
  std::uint32_t last_wait = 16;    // Rm: how many RTO to wait after the last request
  // Ti. RFC 8489 §6.2.2 says 39.5 s. Here a server is one of several ways to a peer, tried one after the other: one
  // that has taken the connection and is silent for 10 s is not the way, and the next must have its turn.
  Duration reliable_timeout = 10s;
  Duration rto_lifetime = 10min;  // RFC 8489 §6.2.1: an RTO older than this is forgotten
};

// The RTO towards one server (RFC 6298 §2, with the exceptions of RFC 8489 §6.2.1).
class RttEstimator {
 public:
  void add(Instant now, Duration rtt) noexcept;
  [[nodiscard]] Duration rto(Instant now, const TransactionTimers& timers) const noexcept;
  // SRTT, once there was a sample.
  [[nodiscard]] std::optional<Duration> smoothed() const noexcept { return smoothed_; }
  [[nodiscard]] Instant updated() const noexcept { return updated_; }

 private:
  std::optional<Duration> smoothed_;
  Duration variation_{0};
  Instant updated_;
};

using RequestId = StrongId<struct StunRequestTag, std::uint32_t>;

class TransactionTable {
 public:
  static constexpr std::size_t k_max_servers = 8;  // whose RTO is remembered

  TransactionTable(bool is_reliable, const TransactionTimers& timers, std::size_t max_transactions)
      : is_reliable_(is_reliable), timers_(timers), max_transactions_(max_transactions) {}

  // Takes an encoded request to `destination`. Its response must come from `source`: for CHANGE-REQUEST (RFC 5780 §7.2)
  // that is another address of the server. The RTO is that of `measured`, which is at least as far away.
  [[nodiscard]] Result<RequestId> start(Instant now, BytesView message, const Endpoint& destination,
                                        const Endpoint& source, const IpAddress& measured);
  [[nodiscard]] Result<RequestId> start(Instant now, BytesView message, const Endpoint& server) {
    return start(now, message, server, server, server.address);
  }

  // The request that this header of a response, received from `source`, answers.
  [[nodiscard]] std::optional<RequestId> find(const Header& response, const Endpoint& source);

  struct Completion {
    Instant first_sent;           // the server cannot have seen the request earlier
    std::optional<Duration> rtt;  // only if the request was sent once (Karn's algorithm, RFC 8489 §6.2.1)
  };
  // The response to the request was accepted.
  Completion finish(Instant now, RequestId id);
  // No response is wanted any more.
  void cancel(RequestId id);
  void clear() noexcept { entries_.clear(); }

  void handle_timeout(Instant now);
  // A request that got no response in its time; it is out of the table.
  [[nodiscard]] std::optional<RequestId> poll_expired();
  // A request that is due, if `out` has room for it.
  [[nodiscard]] std::optional<Transmit> poll_transmit(MutableBytes out);
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool is_full() const noexcept { return entries_.size() >= max_transactions_; }
  [[nodiscard]] std::optional<Duration> smoothed_rtt(const IpAddress& server) const;
  [[nodiscard]] std::uint64_t stray_responses() const noexcept { return stray_responses_; }

 private:
  struct Entry {
    RequestId id;
    Header header;
    Endpoint destination;
    Endpoint source;
    Bytes message;
    Duration rto;
    Instant first_sent;
    Instant deadline;  // of the next retransmission, or of the transaction
    std::uint32_t sent = 1;
    bool is_due = true;
    bool has_expired = false;
  };
  struct Server {
    IpAddress address;
    RttEstimator estimator;
  };

  [[nodiscard]] std::vector<Entry>::iterator position(RequestId id);
  [[nodiscard]] Duration rto_towards(Instant now, const IpAddress& server) const;
  void add_sample(Instant now, const IpAddress& server, Duration rtt);

  bool is_reliable_;
  TransactionTimers timers_;
  std::size_t max_transactions_;
  std::uint32_t next_id_ = 1;
  std::vector<Entry> entries_;
  std::vector<Server> servers_;
  std::uint64_t stray_responses_ = 0;
};

}  // namespace dig::stun
