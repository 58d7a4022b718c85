// SPDX-License-Identifier: Apache-2.0
// How much of the directory each source prefix holds, and which holds most: when the directory is full, the largest
// gives way, so that one source with many keys never costs another one its place.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/accept_limiter.hpp"
#include "proto/directory/sorted_blocks.hpp"

namespace dig::directory {

using SourcePrefix = AcceptLimiter::Prefix;

// The network around a source, of which one owner may have all the sources: an IPv4 /16 or an IPv6 /32.
[[nodiscard]] constexpr SourcePrefix network_of(SourcePrefix source) noexcept {
  const bool is_ipv6 = source >> 56U != 0;  // see AcceptLimiter::prefix_of
  return source >> (is_ipv6 ? 24U : 16U);
}

struct Usage {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  friend Usage operator+(const Usage& a, const Usage& b) { return {a.records + b.records, a.bytes + b.bytes}; }
};

class SourceShares {
 public:
  struct Share {
    std::uint64_t amount = 0;
    SourcePrefix source = 0;
    friend auto operator<=>(const Share&, const Share&) = default;
  };

  void add(SourcePrefix source, std::uint64_t bytes);
  void remove(SourcePrefix source, std::uint64_t bytes);

  [[nodiscard]] Usage of(SourcePrefix source) const;
  [[nodiscard]] const Usage& total() const noexcept { return total_; }
  [[nodiscard]] std::size_t sources() const noexcept { return usages_.size(); }
  [[nodiscard]] Share most_records() const { return by_records_.empty() ? Share() : by_records_.back(); }
  [[nodiscard]] Share most_bytes() const { return by_bytes_.empty() ? Share() : by_bytes_.back(); }

 private:
  void set(SourcePrefix source, const Usage& before, const Usage& after);

  std::unordered_map<SourcePrefix, Usage> usages_;
  SortedBlocks<Share> by_records_;
  SortedBlocks<Share> by_bytes_;
  Usage total_;
};

}  // namespace dig::directory
