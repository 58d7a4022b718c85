// SPDX-License-Identifier: Apache-2.0
// The whole command behind main().
#pragma once

#include <string>

namespace dig::cli {

// Parses the arguments of main(), runs the command and returns the exit code. Call it once, before threads start.
// Secrets in `argv` are overwritten.
[[nodiscard]] int run(int argc, char** argv, const std::string& version);

}  // namespace dig::cli
