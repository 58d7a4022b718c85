// SPDX-License-Identifier: Apache-2.0
// Which tiers a user allows: the value of --tiers ("1-4", "direct,peer-turn", "2").
#pragma once

#include <bitset>
#include <string_view>

#include "base/result.hpp"
#include "ladder/methods.hpp"

namespace dig::ladder {

class TierSet {
 public:
  [[nodiscard]] static TierSet all();
  // Numbers, names and ranges of both, separated by commas; spaces are allowed around them. Empty text means all.
  [[nodiscard]] static Result<TierSet> parse(std::string_view text);

  [[nodiscard]] bool contains(Tier tier) const { return tiers_.test(static_cast<std::size_t>(tier)); }
  void insert(Tier tier) { tiers_.set(static_cast<std::size_t>(tier)); }
  friend bool operator==(const TierSet&, const TierSet&) = default;

 private:
  std::bitset<k_tier_count + 1> tiers_;
};

}  // namespace dig::ladder
