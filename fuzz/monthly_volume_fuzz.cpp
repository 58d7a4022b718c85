// SPDX-License-Identifier: Apache-2.0
// The file in which a node keeps how much it has relayed this month: what is accepted is written in just one way.
#include "base/bytes.hpp"
#include "input.hpp"
#include "proto/turn_server/monthly_volume.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
  const auto state = turn::parse_monthly_volume(text);
  if (!state) return 0;
  fuzz::require(turn::to_text(*state) == text);
  turn::MonthlyVolume volume(1000, *state);
  volume.add({1'800'000'000}, 1);
  fuzz::require(*volume.left({1'800'000'000}) < 1000);
  return 0;
}
