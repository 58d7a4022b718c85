// SPDX-License-Identifier: Apache-2.0
// The value of --tiers: it becomes a set with a tier in it, which reads back from its numbers and from its names, or an
// error that says what is wrong.
#include <string>

#include "input.hpp"
#include "ladder/tier_set.hpp"

namespace {

using namespace dig::ladder;
using dig::fuzz::require;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto set = TierSet::parse({reinterpret_cast<const char*>(data), size});
  if (!set) {
    require(set.error().code() == dig::Errc::invalid_argument && !set.error().detail().empty());
    return 0;
  }
  std::string numbers;
  std::string names;
  for (std::uint8_t number = 1; number <= k_tier_count; ++number) {
    if (!set->contains(Tier{number})) continue;
    const std::string_view separator = numbers.empty() ? "" : ",";
    numbers.append(separator).append(std::to_string(number));
    names.append(separator).append(tier_name(Tier{number}));
  }
  require(!numbers.empty());
  require(TierSet::parse(numbers) == *set && TierSet::parse(names) == *set);
  return 0;
}
