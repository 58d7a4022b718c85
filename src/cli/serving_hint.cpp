// SPDX-License-Identifier: Apache-2.0
#include "cli/serving_hint.hpp"

#include <algorithm>
#include <tuple>

#include "cli/format.hpp"
#include "cli/report.hpp"
#include "proto/autonat/address_scope.hpp"
#include "wire/multiaddr.hpp"

namespace dig::cli {
namespace {

// Greater is better.
std::tuple<bool, bool, autonat::AddressScope, bool> reach_of(const std::string& text) {
  const auto address = Multiaddr::parse(text);
  if (!address) return {};
  const auto ip = IpAddress::parse(address->host());
  if (!ip) return {true, true, {}, false};  // a name
  const autonat::AddressScope scope = autonat::scope_of(*ip);
  return {false, scope != autonat::AddressScope::loopback, scope, ip->is_v4()};
}

}  // namespace

std::string best_address(const boost::json::object& node) {
  const auto addresses = texts_of(node, "addresses");
  const auto best = std::ranges::max_element(addresses, {}, reach_of);  // the first of equals
  return best == addresses.end() ? std::string() : *best;
}

std::string fetch_command(const boost::json::object& node, const std::string& urn) {
  const std::string address = best_address(node);
  return address.empty() ? std::string() : "dignet get --peer " + printable(address) + " " + printable(urn);
}

}  // namespace dig::cli
