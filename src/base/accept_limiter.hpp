// SPDX-License-Identifier: Apache-2.0
// Who may connect now: a token bucket and a count of half-open handshakes per source prefix (IPv4 /32, IPv6 /56), in a
// table of fixed size, so that one bad host never costs another. Pure: time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/endpoint.hpp"
#include "base/time.hpp"

namespace dig {

class AcceptLimiter {
 public:
  struct Limits {
    double rate_per_second = 20;  // connections of one source, sustained
    double burst = 64;            // and at once: an honest host may open 20, and several may share an address
    std::size_t half_open_per_source = 32;
    std::size_t half_open_total = 256;  // as many again: one of each source that has none
    std::size_t max_sources = 4096;     // further sources share one bucket
  };
  enum class Verdict : std::uint8_t { admitted, rate, half_open_source, half_open_total };

  struct Status {
    std::size_t sources = 0;
    std::size_t half_open = 0;
    std::uint64_t admitted = 0;
    std::uint64_t refused = 0;
  };

  AcceptLimiter() : AcceptLimiter(Limits()) {}
  explicit AcceptLimiter(Limits limits) : limits_(limits) {}

  // What counts as one source: an IPv4 address, the first 56 bits of an IPv6 address; and the family.
  using Prefix = std::uint64_t;
  [[nodiscard]] static Prefix prefix_of(const IpAddress& address);

  // Admitted counts as half-open until handshake_ended() is called for the same address, once.
  [[nodiscard]] Verdict admit(Instant now, const IpAddress& source);
  void handshake_ended(const IpAddress& source);
  [[nodiscard]] Status snapshot() const;

 private:
  struct Source {
    double tokens = 0;
    Instant updated;
    std::size_t half_open = 0;
  };

  void refill(Source& source, Instant now) const;
  [[nodiscard]] Source& find_or_add(Instant now, Prefix prefix);
  void forget_idle(Instant now);

  Limits limits_;
  std::unordered_map<Prefix, Source> sources_;
  Source overflow_;
  bool is_overflow_started_ = false;
  std::optional<Instant> next_sweep_;
  std::size_t half_open_ = 0;
  std::uint64_t admitted_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace dig
