// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/observed_addresses.hpp"

#include <algorithm>
#include <utility>

namespace dig::autonat {
namespace {

// Those who can see the same address of ours.
using Realm = std::pair<IpFamily, AddressScope>;
Realm realm_of(const IpAddress& address) { return {address.family(), scope_of(address)}; }

}  // namespace

void ObservedAddresses::observe(Instant now, const Observation& observation) {
  // Over IPv4 an observer sees our IPv4 address.
  if (observation.observer.family() != observation.observed.address.family()) return;
  if (observation.observed.port == 0 || !is_same_scope(observation.observer, observation.observed.address)) return;
  const auto prefix = AcceptLimiter::prefix_of(observation.observer);
  const auto found = votes_.find(prefix);
  if (found == votes_.end() && votes_.size() >= limits_.max_votes) {
    votes_.erase(std::ranges::min_element(votes_, {}, [](const auto& entry) { return entry.second.at; }));
  }
  // The port that one connection tells is not forgotten for another that tells none.
  const bool keeps_port = found != votes_.end() && found->second.is_listening_port && is_alive(found->second, now) &&
                          !observation.is_listening_port &&
                          found->second.observed.address == observation.observed.address;
  if (keeps_port) {
    found->second.at = now;
  } else {
    votes_[prefix] = {observation.observed, observation.is_listening_port, now};
  }
}

std::size_t ObservedAddresses::wanted_of(std::size_t observers) const {
  return std::max<std::size_t>(1, std::min(limits_.wanted_votes, observers));
}

std::vector<ObservedAddress> ObservedAddresses::addresses(Instant now) const {
  std::map<Endpoint, std::size_t> counts;
  std::map<Realm, std::size_t> observers;
  for (const auto& [prefix, vote] : votes_) {
    if (!vote.is_listening_port || !is_alive(vote, now)) continue;
    ++counts[vote.observed];
    ++observers[realm_of(vote.observed.address)];
  }
  std::vector<ObservedAddress> found;
  for (const auto& [endpoint, votes] : counts) {
    if (votes >= wanted_of(observers[realm_of(endpoint.address)])) found.push_back({endpoint, votes});
  }
  std::ranges::stable_sort(found, std::greater(), &ObservedAddress::votes);
  return found;
}

std::vector<ObservedHost> ObservedAddresses::hosts(Instant now) const {
  std::map<IpAddress, std::size_t> counts;
  std::map<Realm, std::size_t> observers;
  for (const auto& [prefix, vote] : votes_) {
    if (!is_alive(vote, now)) continue;
    ++counts[vote.observed.address];
    ++observers[realm_of(vote.observed.address)];
  }
  std::vector<ObservedHost> found;
  for (const auto& [address, votes] : counts) {
    if (votes >= wanted_of(observers[realm_of(address)])) found.push_back({address, votes});
  }
  std::ranges::stable_sort(found, std::greater(), &ObservedHost::votes);
  return found;
}

}  // namespace dig::autonat
