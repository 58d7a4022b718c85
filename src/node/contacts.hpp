// SPDX-License-Identifier: Apache-2.0
// With which addresses this node has, or lately had, something to do: to NATs and firewalls on the way they are no
// strangers.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "base/endpoint.hpp"
#include "base/time.hpp"

namespace dig::node {

// Each call takes a time that grows with the logarithm of how many addresses there are.
class Contacts {
 public:
  // A NAT that was told by a packet of ours that somebody is welcome may remember it for so long after the end of their
  // connection (RFC 5382 REQ-5: not less than 4 minutes). Until then he is no stranger.
  static constexpr Duration memory = 4min;
  // Beyond it the one that is forgotten soonest goes, never one with a connection: those are bounded elsewhere.
  static constexpr std::size_t max_contacts = 4096;

  void handle_opened(Instant now, const IpAddress& address);
  // Once for each that was opened.
  void handle_closed(Instant now, const IpAddress& address);
  // This node has sent something to the address, or is about to.
  void note(Instant now, const IpAddress& address);

  // The connection that has come from there, if there is one, is the only one.
  [[nodiscard]] bool is_stranger(Instant now, const IpAddress& address) const;
  [[nodiscard]] std::size_t size() const noexcept { return contacts_.size(); }

 private:
  struct Contact {
    std::size_t open = 0;  // connections
    Instant until{};       // somebody welcome, though no connection is open
  };

  // Out of closed_, and back where it belongs.
  [[nodiscard]] Contact& take(Instant now, const IpAddress& address);
  void put_back(const IpAddress& address, const Contact& contact);
  void make_room(Instant now);

  std::map<IpAddress, Contact> contacts_;
  std::set<std::pair<Instant, IpAddress>> closed_;  // without a connection; the one that is forgotten soonest first
};

}  // namespace dig::node
