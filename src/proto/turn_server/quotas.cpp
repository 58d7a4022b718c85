// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/quotas.hpp"

namespace dig::turn {
namespace {

template <class Map, class Key>
std::size_t count_of(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? 0 : found->second;
}

template <class Map, class Key>
void decrease(Map& map, const Key& key) {
  const auto found = map.find(key);
  if (found != map.end() && --found->second == 0) map.erase(found);
}

}  // namespace

bool Quotas::take(const std::string& user, AcceptLimiter::Prefix source) {
  if (total_ >= limits_.total || count_of(users_, user) >= limits_.per_user ||
      count_of(sources_, source) >= limits_.per_source) {
    return false;
  }
  ++users_[user];
  ++sources_[source];
  ++total_;
  return true;
}

void Quotas::give_back(const std::string& user, AcceptLimiter::Prefix source) {
  decrease(users_, user);
  decrease(sources_, source);
  --total_;
}

}  // namespace dig::turn
