// SPDX-License-Identifier: Apache-2.0
// The UDP of the virtual world: sockets on addresses in realms. A realm is a network whose addresses reach each other
// directly; the public Internet is one, and every other one hangs behind a router with a NAT, a stateful firewall or
// neither. Realms can be nested, so that a home stands behind a carrier. Private addresses may be used again in
// another realm.
//
// A datagram goes hop by hop: from a host to its neighbour or router, from a router to the host or router that has the
// address it wants, each hop over a DatagramLink of its own. Within a realm a link is named by the two addresses as
// they are seen there; k_router_v4 and k_router_v6 stand for the realm's own router. What a router makes of a datagram
// is decided when it gets there.
//
// Not in this world: fragments and an MTU, ICMP errors (a closed port is silent), ECN, NAT64.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/machine.hpp"
#include "base/strong_id.hpp"
#include "sim/event_queue.hpp"
#include "sim/firewall.hpp"
#include "sim/link.hpp"
#include "sim/nat.hpp"
#include "sim/network.hpp"
#include "sim/trace.hpp"

namespace dig::sim {

using RealmId = StrongId<struct RealmIdTag>;
using DatagramSocketId = StrongId<struct DatagramSocketIdTag>;  // never used twice

inline constexpr RealmId k_internet{0};
inline constexpr IpAddress k_router_v4{};
inline constexpr IpAddress k_router_v6 = IpAddress::v6({});

// A program that has datagram sockets. It may send, open and close from within handle_datagram.
class DatagramOwner {
 public:
  virtual ~DatagramOwner() = default;
  [[nodiscard]] virtual OwnerNumber number() const = 0;
  // `in` holds one datagram and the time of the world.
  virtual void handle_datagram(DatagramSocketId socket, const Received& in) = 0;
};

// A realm and the router between it and its parent.
struct RealmSpec {
  RealmId parent = k_internet;
  std::optional<NatSpec> nat;      // translates IPv4
  std::vector<IpAddress> outside;  // the NAT's IPv4 addresses in the parent realm
  // For what is not translated: IPv6, and IPv4 where there is no NAT. Without one, everything passes.
  std::optional<FirewallSpec> firewall;
  bool blocks_udp = false;        // the router lets no UDP through
  bool isolates_clients = false;  // hosts of the realm do not reach each other (guest networks)
  LinkSpec link;                  // set_default_link()
};

class DatagramNetwork {
 public:
  static constexpr std::size_t max_datagram = 65'507;  // the most that UDP carries over IPv4

  struct Status {
    std::uint64_t sent = 0;
    std::uint64_t delivered = 0;
    std::uint64_t too_long = 0;
    std::uint64_t lost = 0;        // on links, with what a full queue dropped
    std::uint64_t doubled = 0;     // on links
    std::uint64_t unroutable = 0;  // nobody has the address, or clients are isolated
    std::uint64_t refused = 0;     // by a NAT, a firewall or a router without UDP
    std::uint64_t no_socket = 0;
    std::size_t sockets = 0;
    std::size_t under_way = 0;
  };

  DatagramNetwork(EventQueue& events, Trace& trace, Rng& rng);

  // --- topology. Mistakes in it throw std::logic_error: they are the test's own.
  [[nodiscard]] RealmId add_realm(const RealmSpec& spec);
  // A host of the realm has this address from now on; a host can have many.
  void attach(RealmId realm, const IpAddress& address);
  // The path between any two addresses of a realm that have none of their own, for what is sent from now on.
  void set_default_link(RealmId realm, const LinkSpec& spec);
  // The path between two addresses of a realm, both directions, for what is sent from now on.
  void set_link(RealmId realm, const IpAddress& a, const IpAddress& b, const LinkSpec& spec);
  // One direction only: links may differ in rate or loss.
  void set_link_one_way(RealmId realm, const IpAddress& from, const IpAddress& to, const LinkSpec& spec);

  // --- sockets
  // On an attached address that has no socket at this port; port 0 takes a free one.
  [[nodiscard]] DatagramSocketId open(DatagramOwner& owner, RealmId realm, const Endpoint& local);
  void close(DatagramSocketId socket);
  [[nodiscard]] const Endpoint& local(DatagramSocketId socket) const;
  // Lost without a word when it can't be sent, like any datagram.
  void send(DatagramSocketId socket, const Endpoint& remote, BytesView bytes);
  // The owner is gone: killed or without power, which is the same for UDP.
  void forget(const DatagramOwner& owner);

  // --- faults
  // What is under way and what is sent is lost until the path is healed.
  void cut(RealmId realm, const IpAddress& a, const IpAddress& b);
  void cut_one_way(RealmId realm, const IpAddress& from, const IpAddress& to);
  void heal(RealmId realm, const IpAddress& a, const IpAddress& b);
  // The router of the realm forgets all mappings and states.
  void reboot_router(RealmId realm);
  void block_udp(RealmId realm, bool is_blocked) { find(realm).spec.blocks_udp = is_blocked; }

  [[nodiscard]] Status snapshot() const;
  [[nodiscard]] const Nat* nat(RealmId realm) const { return find(realm).nat.get(); }
  [[nodiscard]] const Firewall* firewall(RealmId realm) const { return find(realm).firewall.get(); }

 private:
  using Datagram = DatagramLink::Datagram;
  struct Realm {
    RealmSpec spec;
    std::unique_ptr<Nat> nat;
    std::unique_ptr<Firewall> firewall;
    std::set<IpAddress> addresses;
    std::vector<RealmId> children;
  };
  struct Socket {
    DatagramOwner* owner = nullptr;
    RealmId realm;
    Endpoint local;
  };
  struct Hop {
    RealmId realm;
    IpAddress from;
    IpAddress to;
    friend auto operator<=>(const Hop&, const Hop&) = default;
  };
  struct Link {
    explicit Link(DatagramLink made) : link(std::move(made)) {}
    DatagramLink link;
    std::optional<Instant> wakes_at;
  };
  enum class Drop : std::uint8_t { unroutable, refused, no_socket };

  [[nodiscard]] Realm& find(RealmId realm) { return realms_.at(realm.value); }
  [[nodiscard]] const Realm& find(RealmId realm) const { return realms_.at(realm.value); }
  [[nodiscard]] static bool translates(const Realm& realm, const IpAddress& address) {
    return realm.nat != nullptr && address.is_v4();
  }
  // Whether the address is in the realm or behind routers that do not translate it.
  [[nodiscard]] bool holds(const Realm& realm, const IpAddress& address) const;
  // Whether the router of `realm` takes what is sent to the address in the parent realm.
  [[nodiscard]] bool accepts(const Realm& realm, const IpAddress& address) const;
  void expect_unused(RealmId realm, const IpAddress& address) const;
  [[nodiscard]] std::optional<RealmId> child_with(const Realm& realm, const IpAddress& address) const;

  void forward(RealmId realm, bool is_from_router, Datagram datagram);
  void handle_hop(const Hop& hop, Datagram datagram);
  void handle_outbound(RealmId realm, Datagram datagram);
  void handle_inbound(RealmId realm, Datagram datagram);
  void deliver(RealmId realm, const Datagram& datagram);
  void drop(Drop cause, const Datagram& datagram);

  [[nodiscard]] Link& link_of(const Hop& hop);
  [[nodiscard]] const LinkSpec& spec_of(const Hop& hop) const;
  void schedule(const Hop& hop, Link& link);
  void handle_arrivals(const Hop& hop);
  [[nodiscard]] std::uint16_t free_port(RealmId realm, const IpAddress& address) const;

  EventQueue& events_;
  Trace& trace_;
  Rng& rng_;
  std::vector<Realm> realms_;
  std::map<DatagramSocketId, Socket> sockets_;
  std::map<std::pair<RealmId, Endpoint>, DatagramSocketId> bound_;
  std::map<Hop, LinkSpec> specs_;
  std::set<Hop> cut_;
  std::map<Hop, Link> links_;  // made when first used
  std::uint64_t next_socket_ = 1;
  Status status_;
};

}  // namespace dig::sim
