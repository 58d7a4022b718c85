// SPDX-License-Identifier: Apache-2.0
// JSON as one line of text, and back within caps. Used on stdout and on the control socket.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace dig::service {

// One line without its end. Numbers are written plainly (0.84, not 8.4E-1); control characters are escaped.
[[nodiscard]] std::string to_line(const boost::json::value& value);

// Parses one object, at most 16 levels deep. Errors: malformed. The caller caps the length of the line.
[[nodiscard]] Result<boost::json::object> parse_line(std::string_view line);

// Rounds for output: three decimals are enough for seconds and milliseconds.
[[nodiscard]] double rounded(double value);

}  // namespace dig::service
