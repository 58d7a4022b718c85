// SPDX-License-Identifier: Apache-2.0
#include "cli/serving_hint.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "cli/format.hpp"

namespace dig::cli {
namespace {

bool is_local_only(std::string_view address) {
  constexpr std::array<std::string_view, 3> k_local = {"/ip4/127.", "/ip6/::1/", "/ip6/fe80"};
  return std::ranges::any_of(k_local, [address](std::string_view prefix) { return address.starts_with(prefix); });
}

}  // namespace

std::string fetch_command(const boost::json::object& node, const std::string& urn) {
  const boost::json::value* addresses = node.if_contains("addresses");
  if (addresses == nullptr || !addresses->is_array()) return {};
  std::string chosen;
  for (const boost::json::value& value : addresses->get_array()) {
    if (!value.is_string()) continue;
    const std::string address(value.get_string());
    if (chosen.empty() || (is_local_only(chosen) && !is_local_only(address))) chosen = address;
  }
  return chosen.empty() ? std::string() : "dignet get --peer " + printable(chosen) + " " + printable(urn);
}

}  // namespace dig::cli
