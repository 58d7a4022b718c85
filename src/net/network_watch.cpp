// SPDX-License-Identifier: Apache-2.0
#include "net/network_watch.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/address_class.hpp"
#include "net/clock.hpp"

namespace dig::net {

UniqueFd open_network_events() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (fd && ::bind(fd.value(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

NetworkWatch::NetworkWatch(Loop& loop, UniqueFd events, List list, const Limits& limits, Handler on_change)
    : loop_(loop),
      list_(std::move(list)),
      limits_(limits),
      on_change_(std::move(on_change)),
      events_(std::move(events)),
      known_(look()),
      timer_(loop, [this](Instant now) { handle_quiet(now); }) {
  watch();
  set_timer(monotonic_now());
}

// What nobody else could dial comes and goes without this machine's being anywhere else: each virtual machine and
// container that starts has a link-local address on a link of its own.
std::vector<InterfaceAddress> NetworkWatch::look() const {
  std::vector<InterfaceAddress> found = list_();
  std::erase_if(found, [](const InterfaceAddress& one) {
    return one.is_loopback || classify(one.address) == AddressClass::link_local;
  });
  std::ranges::sort(found);
  return found;
}

void NetworkWatch::watch() {
  readable_.reset();
  if (events_) readable_.emplace(loop_, events_.value(), [this] { handle_events(); });
}

void NetworkWatch::handle_events() {
  const Instant now = monotonic_now();
  if (!first_event_) first_event_ = now;
  if (!drain_events()) {
    readable_.reset();
    events_.reset();
  }
  watch();
  set_timer(now);
}

bool NetworkWatch::drain_events() {
  std::array<char, 64> beginning;  // the rest of a datagram is dropped
  for (;;) {
    const ssize_t received = ::recv(events_.value(), beginning.data(), beginning.size(), MSG_DONTWAIT);
    if (received > 0) continue;
    if (received == 0) return false;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
    // rtnetlink(7): more came than the socket could hold; what was lost is in the list.
    if (errno != EINTR && errno != ENOBUFS) return false;
  }
}

void NetworkWatch::set_timer(Instant now) {
  if (first_event_) {
    timer_.set(std::min(now + limits_.quiet, *first_event_ + limits_.longest));
  } else {
    timer_.set(events_ ? std::nullopt : std::optional(now + limits_.poll));
  }
}

void NetworkWatch::handle_quiet(Instant now) {
  first_event_.reset();
  set_timer(now);
  std::vector<InterfaceAddress> found = look();
  if (found == known_) return;
  known_ = std::move(found);
  on_change_(now);
}

}  // namespace dig::net
