// SPDX-License-Identifier: Apache-2.0
#include "ladder/tier_set.hpp"

#include <optional>
#include <string>

namespace dig::ladder {
namespace {

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<Tier> find_tier(std::string_view text) {
  for (std::uint8_t number = 1; number <= k_tier_count; ++number) {
    const Tier tier{number};
    if (text == tier_name(tier) || text == std::to_string(number)) return tier;
  }
  return std::nullopt;
}

// Names contain dashes, so a range is looked for only where the whole piece is no tier by itself.
Result<void> insert_piece(TierSet& set, std::string_view piece) {
  if (const auto tier = find_tier(piece)) {
    set.insert(*tier);
    return {};
  }
  for (std::size_t dash = piece.find('-'); dash != std::string_view::npos; dash = piece.find('-', dash + 1)) {
    const auto first = find_tier(trim(piece.substr(0, dash)));
    const auto last = find_tier(trim(piece.substr(dash + 1)));
    if (!first || !last) continue;
    if (*first > *last) return fail(Errc::invalid_argument, "the tier range '" + std::string(piece) + "' is backwards");
    for (auto number = static_cast<std::uint8_t>(*first); number <= static_cast<std::uint8_t>(*last); ++number) {
      set.insert(Tier{number});
    }
    return {};
  }
  return fail(Errc::invalid_argument,
              "unknown tier '" + std::string(piece) +
                  "'; tiers are 1-5 or direct, traversal, peer-turn, bootstrap-turn, public-turn");
}

}  // namespace

TierSet TierSet::all() {
  TierSet set;
  for (std::uint8_t number = 1; number <= k_tier_count; ++number) set.insert(Tier{number});
  return set;
}

Result<TierSet> TierSet::parse(std::string_view text) {
  if (trim(text).empty()) return all();
  TierSet set;
  for (;;) {
    const std::size_t comma = text.find(',');
    DIG_CHECK(insert_piece(set, trim(text.substr(0, comma))));
    if (comma == std::string_view::npos) return set;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace dig::ladder
