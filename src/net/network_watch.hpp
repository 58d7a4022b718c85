// SPDX-License-Identifier: Apache-2.0
// Notices that this machine is in another network: its interfaces have other addresses than before, or a link has come
// or gone. Told by the kernel (rtnetlink(7)); where it tells nothing, the list is looked at now and then.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "net/interfaces.hpp"
#include "net/loop.hpp"
#include "net/unique_fd.hpp"

namespace dig::net {

// Readable whenever a link or an address of this machine may have changed; what can be read there is of no use. Invalid
// where the system has no such thing or denies it.
[[nodiscard]] UniqueFd open_network_events();

class NetworkWatch {
 public:
  struct Limits {
    // Changes come in bursts (a link, its IPv4 address, one IPv6 address after the other): they are told once it has
    // been quiet for so long, but not later than `longest` after the first.
    Duration quiet = 1s;
    Duration longest = 5s;
    Duration poll = 30s;  // where there are no events
  };
  using List = std::function<std::vector<InterfaceAddress>()>;
  using Handler = std::move_only_function<void(Instant now)>;

  // `on_change` is called once for all that has changed, and not for addresses that nobody else could dial.
  NetworkWatch(Loop& loop, Handler on_change)
      : NetworkWatch(loop, open_network_events(), interface_addresses, Limits(), std::move(on_change)) {}
  // Of datagrams that come at `events`, and of what `list` says then.
  NetworkWatch(Loop& loop, UniqueFd events, List list, const Limits& limits, Handler on_change);
  NetworkWatch(const NetworkWatch&) = delete;
  NetworkWatch& operator=(const NetworkWatch&) = delete;

 private:
  [[nodiscard]] std::vector<InterfaceAddress> look() const;
  void watch();
  void handle_events();
  // False: there will be none any more.
  [[nodiscard]] bool drain_events();
  void handle_quiet(Instant now);
  void set_timer(Instant now);

  Loop& loop_;
  List list_;
  Limits limits_;
  Handler on_change_;
  UniqueFd events_;
  std::vector<InterfaceAddress> known_;
  std::optional<Instant> first_event_;  // of those that were not looked into yet
  Timer timer_;
  std::optional<ReadableWatch> readable_;  // goes before the descriptor
};

}  // namespace dig::net
