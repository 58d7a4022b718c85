// SPDX-License-Identifier: Apache-2.0
// "Did you mean …?": the known word nearest to what was typed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dig::service {

// The word with the fewest edits (insert, delete, replace, swap neighbours), if that is at most a third of its length
// rounded up. Words that begin with what was typed count as near.
[[nodiscard]] std::optional<std::string_view> nearest_word(std::string_view typed,
                                                           std::span<const std::string_view> words);
// " (did you mean \"word\"?)" or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view typed, std::span<const std::string_view> words);

}  // namespace dig::service
