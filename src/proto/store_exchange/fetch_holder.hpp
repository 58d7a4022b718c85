// SPDX-License-Identifier: Apache-2.0
// What a fetch knows about one holder: what it has, what it was asked, and how fast it is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/strong_id.hpp"
#include "base/time.hpp"
#include "proto/store_exchange/range_set.hpp"
#include "wire/hash256.hpp"
#include "wire/store_message.hpp"

namespace dig::exchange {

// Chosen by the owner, one per peer: a peer that comes back over another connection keeps its id, and so its ban.
using HolderId = StrongId<struct HolderIdTag>;

// Bytes per second while there is something to deliver, smoothed.
class SpeedMeter {
 public:
  void begin(Instant now) {  // the holder was idle until now
    since_ = now;
    bytes_ = 0;
  }
  void add(Instant now, std::uint64_t bytes) {
    bytes_ += bytes;
    const double seconds = std::chrono::duration<double>(now - since_).count();
    if (seconds < k_sample_seconds) return;
    const double sample = static_cast<double>(bytes_) / seconds;
    bytes_per_second_ = bytes_per_second_ == 0 ? sample : (bytes_per_second_ + sample) / 2;
    begin(now);
  }
  [[nodiscard]] double bytes_per_second() const noexcept { return bytes_per_second_; }  // 0: not known yet

 private:
  static constexpr double k_sample_seconds = 0.05;  // shorter ones measure how reads are batched

  Instant since_;
  std::uint64_t bytes_ = 0;
  double bytes_per_second_ = 0;
};

struct AskedRange {
  std::uint64_t next = 0;  // chunks come in order
  std::uint64_t end = 0;
  Instant asked;
};

struct FetchHolder {
  HolderId id;

  std::optional<Instant> have_asked;      // unanswered since
  std::optional<Instant> manifest_asked;  // unanswered since
  std::optional<RootHash> asked_root;     // with the last have
  bool is_have_due = false;               // to be asked again after BUSY
  bool is_manifest_due = false;
  std::optional<HaveResponse> have;
  RangeSet chunks;                       // of `have`
  std::optional<std::size_t> candidate;  // the manifest it gave

  std::deque<AskedRange> asked;
  std::uint64_t in_flight = 0;  // chunks asked and not delivered
  std::uint64_t in_flight_bytes = 0;
  Instant last_progress;  // the last whole chunk, or the ask after which nothing came yet
  std::optional<Instant> busy_until;
  std::uint32_t busy_count = 0;

  std::uint64_t bytes = 0;
  SpeedMeter speed;
  std::optional<Duration> rtt;

  void note_rtt(Duration sample) { rtt = rtt ? std::min(*rtt, sample) : sample; }
};

}  // namespace dig::exchange
