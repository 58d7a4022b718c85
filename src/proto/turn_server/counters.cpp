// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/counters.hpp"

namespace dig::turn {

std::string_view drop_name(Drop drop) noexcept {
  static constexpr std::string_view k_names[] = {
#define DIG_TURN_DROP(name) #name,
      DIG_TURN_DROPS(DIG_TURN_DROP)
#undef DIG_TURN_DROP
  };
  return drop < Drop::count ? k_names[static_cast<std::size_t>(drop)] : "";
}

}  // namespace dig::turn
