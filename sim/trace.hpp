// SPDX-License-Identifier: Apache-2.0
// What happened in a run, as one rolling hash: two runs with the same seed must give the same one. It covers every byte
// that was sent and every output of every core, with its time.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "wire/hash256.hpp"

namespace dig::sim {

enum class TraceKind : std::uint8_t {
  sent,
  arrived,
  dialled,
  accepted,
  refused,
  failed,
  output,
  disk,
  timer,
  datagram_sent,
  datagram_arrived,
  datagram_dropped,
};

class Trace {
 public:
  // `detail` is what a kind has besides bytes: an id, a number.
  void add(Instant now, std::uint64_t host, TraceKind kind, std::uint64_t detail, BytesView bytes = {});

  [[nodiscard]] const Hash256& hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint64_t records() const noexcept { return records_; }

 private:
  Hash256 hash_;
  std::uint64_t records_ = 0;
};

}  // namespace dig::sim
