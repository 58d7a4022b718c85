// SPDX-License-Identifier: Apache-2.0
#include "sim/nat.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace dig::sim {
namespace {

constexpr NatSpec k_cgnat{.ports = PortAssignment::random,
                          .block_size = 1024,
                          .hairpinning = Hairpinning::external_source,
                          .max_mappings_per_host = 1024};

constexpr NatSpec with_mapping(NatSpec spec, Dependence mapping) {
  spec.mapping = mapping;
  return spec;
}

// The first four are the kinds of RFC 3489 §5.
constexpr std::array<NatPreset, 9> k_presets{{
    {"full_cone", {.filtering = Dependence::endpoint_independent, .hairpinning = Hairpinning::external_source}},
    {"address_restricted", {.filtering = Dependence::address_dependent}},
    {"port_restricted", {}},
    {"symmetric", {.mapping = Dependence::address_and_port_dependent, .ports = PortAssignment::random}},
    {"symmetric_sequential", {.mapping = Dependence::address_and_port_dependent, .ports = PortAssignment::sequential}},
    {"port_restricted_random", {.ports = PortAssignment::random}},
    {"address_dependent",
     {.mapping = Dependence::address_dependent,
      .filtering = Dependence::address_dependent,
      .ports = PortAssignment::random}},
    {"cgnat", k_cgnat},
    {"cgnat_symmetric", with_mapping(k_cgnat, Dependence::address_and_port_dependent)},
}};

void check(const NatSpec& spec, const std::vector<IpAddress>& outside) {
  const bool has_ports = spec.first_port != 0 && spec.first_port <= spec.last_port && spec.port_step != 0;
  const bool has_blocks = spec.block_size <= spec.last_port - spec.first_port + 1;
  if (outside.empty() || !has_ports || !has_blocks || spec.lifetime <= Duration{0} || spec.max_mappings_per_host == 0) {
    throw std::logic_error("a NAT that can translate nothing");
  }
}

}  // namespace

std::span<const NatPreset> nat_presets() { return k_presets; }

const NatSpec& nat_preset(std::string_view name) {
  const auto found = std::ranges::find(k_presets, name, &NatPreset::name);
  if (found == k_presets.end()) throw std::logic_error("no NAT preset is called " + std::string(name));
  return found->spec;
}

Nat::Nat(const NatSpec& spec, std::vector<IpAddress> outside, Rng& rng)
    : spec_(spec), outside_(std::move(outside)), rng_(rng) {
  check(spec_, outside_);
}

// --- datagrams ----------------------------------------------------------------------------------------------------

std::optional<Endpoint> Nat::outbound(Instant now, const Endpoint& inside, const Endpoint& remote) {
  const Key key{inside, relevant_part(spec_.mapping, remote)};
  auto found = mappings_.find(key);
  if (found != mappings_.end() && found->second.expires <= now) {
    ++status_.expired;
    remove(found);
    found = mappings_.end();
  }
  Mapping* const mapping = found == mappings_.end() ? create(now, key) : &found->second;
  if (mapping == nullptr) return std::nullopt;
  refresh(now, *mapping, remote);
  ++status_.outbound;
  return mapping->mapped;
}

std::optional<Endpoint> Nat::inbound(Instant now, const Endpoint& remote, const Endpoint& mapped) {
  const auto found = find(now, mapped);
  if (found == mappings_.end()) {
    ++status_.unmapped;
    return std::nullopt;
  }
  Mapping& mapping = found->second;
  if (!mapping.filter.admits(now, remote)) {
    ++status_.filtered;
    return std::nullopt;
  }
  if (spec_.inbound_refreshes) refresh(now, mapping, remote);
  ++status_.inbound;
  return found->first.inside;
}

std::optional<Nat::Hairpinned> Nat::hairpin(Instant now, const Endpoint& inside, const Endpoint& mapped) {
  const auto found = spec_.hairpinning == Hairpinning::none ? mappings_.end() : find(now, mapped);
  if (found == mappings_.end()) {
    ++status_.not_hairpinned;
    return std::nullopt;
  }
  const Key key = found->first;
  const bool shows_inside = spec_.hairpinning == Hairpinning::internal_source;
  const auto source = shows_inside ? std::optional(inside) : outbound(now, inside, mapped);
  // At the limit of its host, the mapping of the source may have taken the place of the target's.
  const auto target = mappings_.find(key);
  if (!source || target == mappings_.end()) {
    ++status_.not_hairpinned;
    return std::nullopt;
  }
  if (spec_.inbound_refreshes) refresh(now, target->second, *source);
  ++status_.hairpinned;
  return Hairpinned{*source, key.inside};
}

void Nat::flush() {
  mappings_.clear();
  by_mapped_.clear();
  hosts_.clear();
  next_outside_ = 0;
  cursor_ = 0;
  ++status_.flushes;
}

bool Nat::owns(const IpAddress& address) const { return std::ranges::find(outside_, address) != outside_.end(); }

Nat::Status Nat::snapshot() const {
  Status status = status_;
  status.mappings = mappings_.size();
  status.hosts = hosts_.size();
  return status;
}

// --- mappings -----------------------------------------------------------------------------------------------------

Nat::Mapping* Nat::create(Instant now, const Key& key) {
  remove_expired(now);
  InsideHost* const host = place(key.inside.address);
  if (host == nullptr) {
    ++status_.denied_by_ports;
    return nullptr;
  }
  if (host->mappings >= spec_.max_mappings_per_host) {
    if (spec_.at_limit == MappingLimit::deny) {
      ++status_.denied_by_limit;
      return nullptr;
    }
    evict_oldest(key.inside.address);
  }
  const auto mapped = assign(*host, key.inside.port);
  if (!mapped) {
    ++status_.denied_by_ports;
    return nullptr;
  }
  ++host->mappings;
  ++status_.created;
  by_mapped_.emplace(*mapped, key);
  const RemoteFilter filter({.dependence = spec_.filtering, .lifetime = spec_.lifetime});
  return &mappings_.emplace(key, Mapping{*mapped, now + spec_.lifetime, filter}).first->second;
}

Nat::Mappings::iterator Nat::find(Instant now, const Endpoint& mapped) {
  const auto key = by_mapped_.find(mapped);
  if (key == by_mapped_.end()) return mappings_.end();
  const auto found = mappings_.find(key->second);
  if (now < found->second.expires) return found;
  ++status_.expired;
  remove(found);
  return mappings_.end();
}

void Nat::refresh(Instant now, Mapping& mapping, const Endpoint& remote) {
  mapping.expires = now + spec_.lifetime;
  mapping.filter.allow(now, remote);
}

void Nat::evict_oldest(const IpAddress& inside) {
  const auto begin = mappings_.lower_bound(Key{{inside, 0}, {}});
  const auto end = std::find_if(begin, mappings_.end(),
                                [&inside](const auto& entry) { return entry.first.inside.address != inside; });
  ++status_.evicted;
  remove(
      std::min_element(begin, end, [](const auto& a, const auto& b) { return a.second.expires < b.second.expires; }));
}

void Nat::remove_expired(Instant now) {
  for (auto mapping = mappings_.begin(); mapping != mappings_.end();) {
    if (now < mapping->second.expires) {
      ++mapping;
    } else {
      ++status_.expired;
      mapping = remove(mapping);
    }
  }
  // An inside host without mappings gives its block back and may get another outside address next time.
  std::erase_if(hosts_, [](const auto& host) { return host.second.mappings == 0; });
}

Nat::Mappings::iterator Nat::remove(Mappings::iterator mapping) {
  --hosts_.at(mapping->first.inside.address).mappings;
  by_mapped_.erase(mapping->second.mapped);
  return mappings_.erase(mapping);
}

// --- outside addresses and ports ------------------------------------------------------------------------------------

Nat::InsideHost* Nat::place(const IpAddress& inside) {
  if (const auto found = hosts_.find(inside); found != hosts_.end()) return &found->second;
  for (std::size_t i = 0; i < outside_.size(); ++i) {
    const std::size_t outside = (next_outside_ + i) % outside_.size();
    const auto block = free_block(outside);
    if (!block) continue;
    if (is_paired()) next_outside_ = outside + 1;
    return &hosts_.emplace(inside, InsideHost{.outside = outside, .block = *block}).first->second;
  }
  return nullptr;
}

std::optional<std::uint32_t> Nat::free_block(std::size_t outside) const {
  if (spec_.block_size == 0) return 0;
  const std::uint32_t blocks = (spec_.last_port - spec_.first_port + 1U) / spec_.block_size;
  std::set<std::uint32_t> taken;
  for (const auto& [address, host] : hosts_) {
    if (host.outside == outside) taken.insert(host.block);
  }
  for (std::uint32_t block = 0; block < blocks; ++block) {
    if (!taken.contains(block)) return block;
  }
  return std::nullopt;
}

std::optional<Endpoint> Nat::assign(InsideHost& host, std::uint16_t inside_port) {
  Ports ports{spec_.first_port, spec_.last_port - spec_.first_port + 1U};
  if (spec_.block_size != 0) ports = {spec_.first_port + host.block * spec_.block_size, spec_.block_size};
  std::uint32_t& cursor = spec_.block_size != 0 ? host.cursor : cursor_;
  const std::size_t outside = is_paired() ? host.outside : next_outside_++ % outside_.size();
  const std::uint32_t start = first_candidate(ports, cursor, inside_port);
  for (std::uint32_t i = 0; i < ports.count; ++i) {
    const std::uint32_t offset = (start + i) % ports.count;
    const Endpoint mapped{outside_[outside], static_cast<std::uint16_t>(ports.first + offset)};
    if (by_mapped_.contains(mapped)) continue;
    cursor = (offset + spec_.port_step) % ports.count;
    return mapped;
  }
  return std::nullopt;
}

std::uint32_t Nat::first_candidate(const Ports& ports, std::uint32_t cursor, std::uint16_t inside_port) const {
  switch (spec_.ports) {
    case PortAssignment::preserving:
      return inside_port >= ports.first && inside_port < ports.first + ports.count ? inside_port - ports.first : 0;
    case PortAssignment::sequential:
      return cursor;
    case PortAssignment::random:
      break;
  }
  return static_cast<std::uint32_t>(rng_.below(ports.count));
}

}  // namespace dig::sim
