// SPDX-License-Identifier: Apache-2.0
#include "service/suggestion.hpp"

#include <algorithm>
#include <vector>

namespace dig::service {
namespace {

constexpr std::size_t k_longest_typed = 64;  // nothing longer is near to a word of ours

// The optimal string alignment distance.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) table[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) table[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = table[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
      }
    }
  }
  return table[a.size()][b.size()];
}

}  // namespace

std::optional<std::string_view> nearest_word(std::string_view typed, std::span<const std::string_view> words) {
  if (typed.empty() || typed.size() > k_longest_typed) return std::nullopt;
  std::optional<std::string_view> best;
  std::size_t best_edits = 0;
  for (const std::string_view word : words) {
    const std::size_t distance = typed.size() > 2 && word.starts_with(typed) ? 1 : edits(typed, word);
    if (distance > (word.size() + 2) / 3 || (best && distance >= best_edits)) continue;
    best = word;
    best_edits = distance;
  }
  return best;
}

std::string did_you_mean(std::string_view typed, std::span<const std::string_view> words) {
  const auto word = nearest_word(typed, words);
  return word ? " (did you mean \"" + std::string(*word) + "\"?)" : std::string();
}

}  // namespace dig::service
