// SPDX-License-Identifier: Apache-2.0
// One NAT for UDP: what it makes of a datagram, in the terms of RFC 4787 (with RFC 6888 for carriers, and RFC 7857).
// Pure: time and randomness are arguments, and a datagram is its two endpoints.
//
// A datagram that is not translated is dropped without a word, as NATs do. There is no port overloading (RFC 4787
// REQ-3): one mapped endpoint belongs to one mapping.
//
// Filters are kept with their mapping, as session tables keep them. RFC 4787 §5 words them for the inside endpoint;
// that is the same where the mapping is endpoint-independent. Where it is not, who sends to a mapping that was made
// for somebody else is filtered even if the inside endpoint has sent to it by another mapping.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "sim/remote_filter.hpp"

namespace dig::sim {

enum class PortAssignment : std::uint8_t {
  preserving,  // the inside port, or the next one that is free (RFC 4787 §4.2.1)
  sequential,  // `port_step` after the one before
  random,
};

// The source that a host sees when a neighbour sends to its mapped endpoint (RFC 4787 §6).
enum class Hairpinning : std::uint8_t {
  none,
  internal_source,  // the neighbour's inside endpoint: bad form, the answer goes straight over the LAN
  external_source,  // the neighbour's mapped endpoint, as REQ-9 wants it
};

enum class MappingLimit : std::uint8_t { deny, evict_oldest };

struct NatSpec {
  Dependence mapping = Dependence::endpoint_independent;
  Dependence filtering = Dependence::address_and_port_dependent;

  PortAssignment ports = PortAssignment::preserving;
  std::uint16_t port_step = 1;
  std::uint16_t first_port = 1024;
  std::uint16_t last_port = 65'535;
  std::uint16_t block_size = 0;  // ports of each inside host, contiguous, as carriers give them (RFC 6888 §5); 0: none

  bool is_paired = true;  // all mappings of an inside host have one outside address (RFC 4787 REQ-2); blocks always do
  Duration lifetime = 120s;  // without refresh (RFC 4787 REQ-5)
  // What goes out always refreshes (RFC 4787 REQ-6); what comes in should not where anybody may send (RFC 7857 §7).
  bool inbound_refreshes = false;
  Hairpinning hairpinning = Hairpinning::none;

  std::size_t max_mappings_per_host = 1024;
  MappingLimit at_limit = MappingLimit::deny;  // or the host's own mapping that was refreshed longest ago goes
};

struct NatPreset {
  std::string_view name;
  NatSpec spec;
};
// full_cone, address_restricted, port_restricted, port_restricted_random, address_dependent, symmetric,
// symmetric_sequential, cgnat, cgnat_symmetric
[[nodiscard]] std::span<const NatPreset> nat_presets();
// Throws std::logic_error for a name that is not in the list.
[[nodiscard]] const NatSpec& nat_preset(std::string_view name);

class Nat {
 public:
  struct Hairpinned {
    Endpoint source;
    Endpoint inside;  // who gets it
    friend bool operator==(const Hairpinned&, const Hairpinned&) = default;
  };
  struct Status {
    std::size_t mappings = 0;  // with those whose end has not been noticed yet
    std::size_t hosts = 0;
    std::uint64_t created = 0;
    std::uint64_t expired = 0;
    std::uint64_t evicted = 0;
    std::uint64_t denied_by_limit = 0;
    std::uint64_t denied_by_ports = 0;  // no port or block was free
    std::uint64_t outbound = 0;         // translated
    std::uint64_t inbound = 0;
    std::uint64_t hairpinned = 0;
    std::uint64_t filtered = 0;
    std::uint64_t unmapped = 0;  // came to an endpoint without mapping
    std::uint64_t not_hairpinned = 0;
    std::uint64_t flushes = 0;
  };

  // `outside` is not empty; `rng` must outlive the NAT. Throws std::logic_error for a spec without sense.
  Nat(const NatSpec& spec, std::vector<IpAddress> outside, Rng& rng);

  // The source under which a datagram leaves.
  [[nodiscard]] std::optional<Endpoint> outbound(Instant now, const Endpoint& inside, const Endpoint& remote);
  // Whom a datagram is for.
  [[nodiscard]] std::optional<Endpoint> inbound(Instant now, const Endpoint& remote, const Endpoint& mapped);
  // The same for a datagram from inside to one of the outside addresses. Filters do not apply: RFC 4787 §6 asks for
  // an active mapping only.
  [[nodiscard]] std::optional<Hairpinned> hairpin(Instant now, const Endpoint& inside, const Endpoint& mapped);
  // A reboot: all mappings are gone and ports are counted from the beginning.
  void flush();

  [[nodiscard]] bool owns(const IpAddress& address) const;
  [[nodiscard]] const NatSpec& spec() const noexcept { return spec_; }
  [[nodiscard]] Status snapshot() const;

 private:
  struct Key {
    Endpoint inside;
    Endpoint remote;  // the relevant part
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Mapping {
    Endpoint mapped;
    Instant expires;
    RemoteFilter filter;
  };
  using Mappings = std::map<Key, Mapping>;
  struct InsideHost {
    std::size_t outside = 0;  // index of its address
    std::uint32_t block = 0;
    std::uint32_t cursor = 0;  // in its block
    std::size_t mappings = 0;
  };
  struct Ports {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };

  [[nodiscard]] Mapping* create(Instant now, const Key& key);
  // The mapping behind a mapped endpoint, if it lives.
  [[nodiscard]] Mappings::iterator find(Instant now, const Endpoint& mapped);
  [[nodiscard]] InsideHost* place(const IpAddress& inside);
  [[nodiscard]] std::optional<std::uint32_t> free_block(std::size_t outside) const;
  [[nodiscard]] std::optional<Endpoint> assign(InsideHost& host, std::uint16_t inside_port);
  [[nodiscard]] std::uint32_t first_candidate(const Ports& ports, std::uint32_t cursor,
                                              std::uint16_t inside_port) const;
  [[nodiscard]] bool is_paired() const noexcept { return spec_.is_paired || spec_.block_size != 0; }
  void refresh(Instant now, Mapping& mapping, const Endpoint& remote);
  void evict_oldest(const IpAddress& inside);
  void remove_expired(Instant now);
  Mappings::iterator remove(Mappings::iterator mapping);

  NatSpec spec_;
  std::vector<IpAddress> outside_;
  Rng& rng_;
  Mappings mappings_;
  std::map<Endpoint, Key> by_mapped_;
  std::map<IpAddress, InsideHost> hosts_;
  std::size_t next_outside_ = 0;
  std::uint32_t cursor_ = 0;
  Status status_;
};

}  // namespace dig::sim
