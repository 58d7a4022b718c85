// SPDX-License-Identifier: Apache-2.0
// Runs a TURN server and its model side by side: the input is a list of operations of several clients, peers,
// strangers, the shell and time. After each one the two must have said the same and stand the same. Test-only.
#pragma once

#include <map>
#include <string>

#include "base/bytes.hpp"

namespace dig::turn::testing {

struct ScheduleResult {
  std::string failure;                         // empty: server and model agreed to the end
  std::map<std::string, std::size_t> answers;  // how often the server said what
};

[[nodiscard]] ScheduleResult run_server_schedule(BytesView input);

}  // namespace dig::turn::testing
