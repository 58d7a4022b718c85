// SPDX-License-Identifier: Apache-2.0
// A TURN server beside a model of it (proto/turn_server/testing/server_model.hpp): the input is a list of what clients,
// peers, strangers, the shell and time do. Whatever happens: both say the same, what is kept stays within its limits,
// nobody without credentials changes anything, and in the end every port is given back.
#include <cstdio>

#include "input.hpp"
#include "proto/turn_server/testing/server_schedule.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto result = dig::turn::testing::run_server_schedule(std::as_bytes(std::span(data, size)));
  if (!result.failure.empty()) std::fprintf(stderr, "%s\n", result.failure.c_str());
  dig::fuzz::require(result.failure.empty());
  return 0;
}
