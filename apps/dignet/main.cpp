// SPDX-License-Identifier: Apache-2.0
// The command `dignet`.
#include "cli/run.hpp"
#include "dignet/version.hpp"

int main(int argc, char** argv) { return dig::cli::run(argc, argv, dignet::k_version); }
