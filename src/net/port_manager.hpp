// SPDX-License-Identifier: Apache-2.0
// Finds and holds ports: asked for a preferred number and a purpose, it takes TCP and UDP, IPv4 and IPv6, on that
// number or moves to the next free one, and says why.
//
// A port counts as taken by us only when listen() succeeded without SO_REUSEPORT (two programs that both set
// SO_REUSEADDR can bind() one TCP port, but only one can listen()); UDP is bound without SO_REUSEADDR, because that
// would let another program share it. Sharing with ourselves comes later, see BoundSocket::bind_alike().
//
// Thread-safety: none; use it from the thread of the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "net/unique_fd.hpp"

namespace dig::net {

enum class SocketKind : std::uint8_t { tcp, udp };

// A bound non-blocking socket (TCP: already listening) and the address it is bound to.
struct BoundSocket {
  UniqueFd fd;
  SocketKind kind = SocketKind::tcp;
  Endpoint local;

  // A second socket of the same kind on the same address and port: for an outgoing TCP connection or a UDP shard. Sets
  // SO_REUSEPORT on this socket first. What the kernel then holds (Linux): a bind without SO_REUSEPORT, or by
  // another user, still fails with EADDRINUSE; a program of the same user that itself sets SO_REUSEPORT may join.
  // So it is set only once it is needed.
  [[nodiscard]] Result<UniqueFd> bind_alike() const;
};

struct PortRequest {
  std::string purpose;          // "libp2p-main"
  std::uint16_t preferred = 0;  // 0: any
  bool exact = false;           // this port or an error: the user named it in --listen
  bool tcp = true;
  bool udp = true;
  std::vector<IpAddress> addresses{};  // empty: 0.0.0.0 and [::], and IPv4 alone where the machine has no IPv6
};

// One row of `dignet ports`.
struct PortStatus {
  std::string purpose;
  std::uint16_t preferred = 0;
  std::uint16_t port = 0;
  std::vector<std::string> protocols;  // "tcp4", "tcp6", "udp4", "udp6"
  std::string reason;                  // "4001 was free"; "4001 is taken (tcp4); 4002 was free"
};

class PortManager;

// The sockets of one held port. The port is free again when the lease and every socket taken out of it are destroyed.
class PortLease {
 public:
  PortLease(PortLease&&) noexcept;
  PortLease& operator=(PortLease&&) noexcept;
  ~PortLease();

  [[nodiscard]] const PortStatus& status() const noexcept;
  [[nodiscard]] std::uint16_t port() const noexcept { return status().port; }
  // The sockets move to the caller; the second call of each returns nothing.
  [[nodiscard]] std::vector<BoundSocket> take_tcp();
  [[nodiscard]] std::vector<BoundSocket> take_udp();

 private:
  friend class PortManager;
  struct Impl;
  explicit PortLease(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

// Ports that a node never takes unless told to: below 1024 (privileged), blocked by browsers (WHATWG Fetch "bad
// ports"), or inspected and rewritten by routers' application-layer gateways (FTP, SIP, H.323, RTSP, PPTP, …).
enum class PortClass : std::uint8_t { ordinary, privileged, browser_blocked, alg_inspected };
[[nodiscard]] PortClass classify_port(std::uint16_t port) noexcept;
[[nodiscard]] std::string_view to_text(PortClass port_class) noexcept;

class PortManager {
 public:
  struct Limits {
    std::uint16_t max_moves = 1000;  // ports tried after the preferred one
    int backlog = 512;
  };
  // socket(2); replaced in tests to play a machine without IPv6.
  using OpenSocket = std::function<int(int family, int type)>;

  PortManager();
  explicit PortManager(Limits limits, OpenSocket open_socket = {});
  ~PortManager();

  // Errors: port_in_use (exact only), port_forbidden (exact and never allowed: browser-blocked or ALG-inspected),
  // port_permission, no_free_port, no_route (the address is not one of this machine), invalid_argument.
  [[nodiscard]] Result<PortLease> acquire(const PortRequest& request);
  // The leases that live, in the order they were made.
  [[nodiscard]] std::vector<PortStatus> snapshot() const;

 private:
  friend class PortLease;
  struct Registry;
  Limits limits_;
  OpenSocket open_socket_;
  std::shared_ptr<Registry> registry_;
};

}  // namespace dig::net
