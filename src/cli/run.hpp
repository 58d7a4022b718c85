// SPDX-License-Identifier: Apache-2.0
// The whole command behind main().
#pragma once

#include <string>

namespace dig::cli {

// Parses the arguments, runs the command and returns the exit code. Call it once, before threads start.
[[nodiscard]] int run(int argc, const char* const* argv, const std::string& version);

}  // namespace dig::cli
