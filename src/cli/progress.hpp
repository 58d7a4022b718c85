// SPDX-License-Identifier: Apache-2.0
// The progress of a transfer as one line of text: share, bar, bytes, rate, time left and path. Pure: the time and the
// width are arguments.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/time.hpp"

namespace dig::cli {

class ProgressMeter {
 public:
  static constexpr Duration k_rate_memory = std::chrono::seconds(5);  // time constant of the moving average
  static constexpr Duration k_stalled_after = std::chrono::seconds(10);

  // `waiting`: what is shown before there is any progress.
  explicit ProgressMeter(Instant start, std::string waiting = "connecting")
      : rate_at_(start), grew_at_(start), waiting_(std::move(waiting)) {}

  // `bytes` of `total` are done; `fetched` of them came in this run and make the rate.
  void update(Instant now, std::uint64_t bytes, std::uint64_t total, std::uint64_t fetched);
  void set_path(std::string path) { path_ = std::move(path); }

  [[nodiscard]] bool is_stalled(Instant now) const { return now - grew_at_ >= k_stalled_after; }
  // Bytes per second.
  [[nodiscard]] double rate() const noexcept { return rate_; }
  // At most `width` characters, for a line that is drawn over and over.
  [[nodiscard]] std::string bar(Instant now, std::size_t width) const;
  // For a log or a pipe.
  [[nodiscard]] std::string plain(Instant now) const;

 private:
  [[nodiscard]] int percent() const;
  [[nodiscard]] std::string counts() const;
  [[nodiscard]] std::string speed(Instant now) const;

  std::uint64_t bytes_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t fetched_ = 0;
  std::uint64_t rate_from_ = 0;  // fetched bytes at rate_at_
  double rate_ = 0;
  bool has_rate_ = false;
  Instant rate_at_;
  Instant grew_at_;
  std::string waiting_;
  std::string path_;
};

}  // namespace dig::cli
