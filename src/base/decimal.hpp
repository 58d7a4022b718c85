// SPDX-License-Identifier: Apache-2.0
// The one strict reader of decimal numbers in text: digits only, no sign, no space, no leading zero, bounded.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace dig {

[[nodiscard]] Result<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max);

}  // namespace dig
