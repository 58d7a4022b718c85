// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/quotas.hpp"

namespace dig::turn {

bool Quotas::take(const std::string& user, AcceptLimiter::Prefix source) {
  if (total_ >= limits_.total || users_.count(user) >= limits_.per_user ||
      sources_.count(source) >= limits_.per_source) {
    return false;
  }
  users_.add(user);
  sources_.add(source);
  ++total_;
  return true;
}

void Quotas::give_back(const std::string& user, AcceptLimiter::Prefix source) {
  users_.remove(user);
  sources_.remove(source);
  --total_;
}

}  // namespace dig::turn
