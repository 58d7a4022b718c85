// SPDX-License-Identifier: Apache-2.0
// Every program of a machine can read the arguments of every other one. Passwords among ours are overwritten as soon as
// they are parsed. Until then, for a few milliseconds, they can be seen: environment variables and files have no such
// gap.
#pragma once

#include <span>

namespace dig::cli {

// Overwrites with asterisks the values of --pass, what follows the colon in those of --user, and user and password in
// the URLs of --redis. The arguments are those of main(), which may be written to (C standard, 5.1.2.2.1).
void hide_secret_arguments(std::span<char* const> arguments);

}  // namespace dig::cli
