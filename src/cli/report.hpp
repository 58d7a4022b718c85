// SPDX-License-Identifier: Apache-2.0
// How a run ends, for scripts and for people: the last JSON line, the error with its hint, the table of attempts.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.hpp"
#include "dignet/error.hpp"
#include "service/backend.hpp"

namespace dig::cli {

// Text of a member, empty when it is absent; whole numbers, 0 when absent.
[[nodiscard]] std::string text_of(const boost::json::object& object, std::string_view name);
[[nodiscard]] std::uint64_t number_of(const boost::json::object& object, std::string_view name);
[[nodiscard]] double decimal_of(const boost::json::object& object, std::string_view name);

// The objects, or the texts, in a member that is a list; what is none is passed over. They live as long as `object`.
[[nodiscard]] std::vector<const boost::json::object*> objects_of(const boost::json::object& object,
                                                                 std::string_view name);
[[nodiscard]] std::vector<std::string> texts_of(const boost::json::object& object, std::string_view name);

// {"ok":false, …}, the error on stderr; returns the exit code.
[[nodiscard]] int report_failure(Console& console, const boost::json::object& error);
[[nodiscard]] int report_failure(Console& console, const Error& error);
// The same for commands that end with {"event":"done", …}; with the table of attempts.
[[nodiscard]] int report_failed_operation(Console& console, const boost::json::object& error);
// {"event":"done","ok":true, …}
void report_done(Console& console, const boost::json::object& result);

// A table of the "attempts" of a result or an error; nothing when there are none.
[[nodiscard]] std::string attempts_table(const boost::json::object& outcome);

}  // namespace dig::cli
