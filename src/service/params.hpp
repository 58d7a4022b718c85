// SPDX-License-Identifier: Apache-2.0
// Reading the parameters of a call: each absent, or of the right type, or an error that names it.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dig::service {

// Errors: invalid_argument.
[[nodiscard]] Result<std::optional<std::string>> optional_text(const boost::json::object& params,
                                                               std::string_view name);
[[nodiscard]] Result<std::string> required_text(const boost::json::object& params, std::string_view name);
[[nodiscard]] Result<std::vector<std::string>> text_list(const boost::json::object& params, std::string_view name);
[[nodiscard]] Result<bool> flag(const boost::json::object& params, std::string_view name);
// From 0 to `max`; `fallback` when absent.
[[nodiscard]] Result<std::int64_t> number(const boost::json::object& params, std::string_view name,
                                          std::int64_t fallback, std::int64_t max);

}  // namespace dig::service
