// SPDX-License-Identifier: Apache-2.0
#include "net/port_manager.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "net/sockaddr.hpp"

namespace dig::net {
namespace {

constexpr int k_any_port_tries = 64;
constexpr std::uint16_t k_first_ordinary = 1024;  // those below are privileged

// WHATWG Fetch, "bad port" list, from 1024 up; those below are privileged anyway.
constexpr std::array<std::uint16_t, 14> k_browser_blocked = {1719, 1720, 1723, 2049, 3659, 4045, 4190,
                                                             5060, 5061, 6000, 6566, 6679, 6697, 10080};
// Also blocked by browsers, as a range.
constexpr std::uint16_t k_irc_first = 6665;
constexpr std::uint16_t k_irc_last = 6669;
// Ports whose payload routers' application-layer gateways read and rewrite (NAT slipstreaming): FTP, TFTP, NetBIOS,
// SNMP, RTSP, H.323, PPTP, SIP, SANE, Amanda.
constexpr std::array<std::uint16_t, 12> k_alg_inspected = {21,   69,   137,  161,  554,  1719,
                                                           1720, 1723, 5060, 5061, 6566, 10080};

struct Failure {
  int error_number = 0;
  std::string protocol;  // "tcp4"
};

std::string protocol_name(SocketKind kind, IpFamily family) {
  return std::string(kind == SocketKind::tcp ? "tcp" : "udp") + (family == IpFamily::v4 ? "4" : "6");
}

bool set_flag(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

bool is_family_missing(int error_number) {
  return error_number == EAFNOSUPPORT || error_number == EADDRNOTAVAIL || error_number == EPROTONOSUPPORT;
}

}  // namespace

PortClass classify_port(std::uint16_t port) noexcept {
  if (std::ranges::find(k_alg_inspected, port) != k_alg_inspected.end()) return PortClass::alg_inspected;
  if (port != 0 && port < k_first_ordinary) return PortClass::privileged;
  const bool is_blocked = std::ranges::find(k_browser_blocked, port) != k_browser_blocked.end() ||
                          (port >= k_irc_first && port <= k_irc_last);
  return is_blocked ? PortClass::browser_blocked : PortClass::ordinary;
}

std::string_view to_text(PortClass port_class) noexcept {
  switch (port_class) {
    case PortClass::ordinary:
      return "ordinary";
    case PortClass::privileged:
      return "privileged";
    case PortClass::browser_blocked:
      return "blocked by browsers";
    case PortClass::alg_inspected:
      return "rewritten by routers";
  }
  return "";
}

Result<UniqueFd> BoundSocket::bind_alike() const {
  const SocketAddress address(local);
  const int type = (kind == SocketKind::tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  UniqueFd other(::socket(address.family(), type, 0));
  if (!other) return fail(Errc::network_error, std::strerror(errno));
  bool is_ready = set_flag(fd.value(), SOL_SOCKET, SO_REUSEPORT) && set_flag(other.value(), SOL_SOCKET, SO_REUSEPORT);
  if (kind == SocketKind::tcp) is_ready = is_ready && set_flag(other.value(), SOL_SOCKET, SO_REUSEADDR);
  if (!local.address.is_v4()) is_ready = is_ready && set_flag(other.value(), IPPROTO_IPV6, IPV6_V6ONLY);
  if (!is_ready || ::bind(other.value(), address.get(), address.size()) != 0) {
    return fail(errno == EADDRINUSE ? Errc::port_in_use : Errc::network_error, std::strerror(errno));
  }
  return other;
}

// The statuses of the leases that live; shared, so that a lease may outlive its manager.
struct PortManager::Registry {
  std::vector<const PortStatus*> live;
};

struct PortLease::Impl {
  std::shared_ptr<PortManager::Registry> registry;
  PortStatus status;
  std::vector<BoundSocket> tcp;
  std::vector<BoundSocket> udp;

  ~Impl() { std::erase(registry->live, &status); }
};

PortLease::PortLease(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
PortLease::PortLease(PortLease&&) noexcept = default;
PortLease& PortLease::operator=(PortLease&&) noexcept = default;
PortLease::~PortLease() = default;

const PortStatus& PortLease::status() const noexcept { return impl_->status; }
std::vector<BoundSocket> PortLease::take_tcp() { return std::exchange(impl_->tcp, {}); }
std::vector<BoundSocket> PortLease::take_udp() { return std::exchange(impl_->udp, {}); }

namespace {

// One search for one request: takes all sockets on one number, or none.
class Search {
 public:
  Search(const PortRequest& request, const PortManager::Limits& limits, const PortManager::OpenSocket& open_socket)
      : request_(request), limits_(limits), open_socket_(open_socket), addresses_(request.addresses) {
    is_default_ = addresses_.empty();
    if (is_default_) addresses_ = {IpAddress::any(IpFamily::v4), IpAddress::any(IpFamily::v6)};
  }

  // Fills sockets, port and reason.
  Result<void> run() {
    if (!request_.tcp && !request_.udp) return fail(Errc::invalid_argument, "a port request without a protocol");
    DIG_CHECK(request_.preferred == 0 ? take_any() : request_.exact ? take_exact() : take_near());
    if (!missing_.empty()) reason += "; IPv6 is missing on this machine, so IPv4 only";
    return {};
  }

  std::vector<BoundSocket> sockets;
  std::uint16_t port = 0;
  std::string reason;

 private:
  Result<void> take_any() {
    std::optional<Failure> failure;
    for (int i = 0; i < k_any_port_tries; ++i) {
      failure = take(0);
      if (!failure && classify_port(port) == PortClass::ordinary) {
        reason = "any port was asked for; " + std::to_string(port) + " was free";
        return {};
      }
      if (failure && failure->error_number != EADDRINUSE) return error_of(*failure, 0);
    }
    return fail(Errc::no_free_port, "any");
  }

  Result<void> take_exact() {
    const PortClass port_class = classify_port(request_.preferred);
    if (port_class == PortClass::browser_blocked || port_class == PortClass::alg_inspected) {
      return fail(Errc::port_forbidden, std::to_string(request_.preferred) + " is " + std::string(to_text(port_class)));
    }
    if (const auto failure = take(request_.preferred)) return error_of(*failure, request_.preferred);
    reason = std::to_string(port) + " was asked for and free";
    return {};
  }

  Result<void> take_near() {
    int first = request_.preferred;
    if (first < k_first_ordinary) {
      skip(request_.preferred, std::string(to_text(classify_port(request_.preferred))));
      first = k_first_ordinary;
    }
    const int last = std::min(0xffff, first + limits_.max_moves);
    for (int number = first; number <= last; ++number) {
      const auto candidate = static_cast<std::uint16_t>(number);
      const PortClass port_class = classify_port(candidate);
      if (port_class != PortClass::ordinary) {
        skip(candidate, std::string(to_text(port_class)));
        continue;
      }
      const auto failure = take(candidate);
      if (!failure) {
        reason = skipped_text() + std::to_string(port) + " was free";
        return {};
      }
      if (failure->error_number != EADDRINUSE && failure->error_number != EACCES) return error_of(*failure, candidate);
      skip(candidate,
           failure->error_number == EACCES ? "not allowed by the system" : "taken (" + failure->protocol + ")");
    }
    return fail(Errc::no_free_port, std::to_string(request_.preferred) + " to " + std::to_string(last));
  }

  // All sockets on this number (0: the first decides); on failure none is kept.
  std::optional<Failure> take(std::uint16_t number) {
    sockets.clear();
    port = number;
    missing_.clear();
    for (const SocketKind kind : {SocketKind::tcp, SocketKind::udp}) {
      if (kind == SocketKind::tcp ? !request_.tcp : !request_.udp) continue;
      for (const IpAddress& address : addresses_) {
        const int error_number = take_one(kind, address);
        if (error_number == 0) continue;
        const bool may_miss = is_default_ && !address.is_v4() && is_family_missing(error_number);
        if (may_miss) {
          missing_.push_back(kind);
          continue;
        }
        sockets.clear();
        return Failure{error_number, protocol_name(kind, address.family())};
      }
    }
    return std::nullopt;
  }

  // 0 or errno.
  int take_one(SocketKind kind, const IpAddress& address) {
    const SocketAddress wanted(Endpoint{address, port});
    const bool is_tcp = kind == SocketKind::tcp;
    UniqueFd fd(open_socket_(wanted.family(), (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return errno;
    // SO_REUSEADDR on TCP only gets past connections in TIME_WAIT; on UDP it would share the port.
    if (is_tcp && !set_flag(fd.value(), SOL_SOCKET, SO_REUSEADDR)) return errno;
    if (!address.is_v4() && !set_flag(fd.value(), IPPROTO_IPV6, IPV6_V6ONLY)) return errno;
    if (::bind(fd.value(), wanted.get(), wanted.size()) != 0) return errno;
    if (is_tcp && ::listen(fd.value(), limits_.backlog) != 0) return errno;
    const auto local = local_endpoint(fd.value());
    if (!local) return EIO;
    port = local->port;
    sockets.push_back({std::move(fd), kind, *local});
    return 0;
  }

  void skip(std::uint16_t number, std::string why) {
    if (skipped_count_ == 0) first_skipped_ = std::to_string(number) + " is " + std::move(why);
    last_skipped_ = number;
    ++skipped_count_;
  }
  std::string skipped_text() const {
    if (skipped_count_ == 0) return {};
    if (skipped_count_ == 1) return first_skipped_ + "; ";
    return first_skipped_ + ", and nothing up to " + std::to_string(last_skipped_) + " may be used or is free; ";
  }

  static std::unexpected<Error> error_of(const Failure& failure, std::uint16_t number) {
    const std::string detail =
        std::to_string(number) + " (" + failure.protocol + "): " + std::strerror(failure.error_number);
    switch (failure.error_number) {
      case EADDRINUSE:
        return fail(Errc::port_in_use, detail);
      case EACCES:
      case EPERM:
        return fail(Errc::port_permission, detail);
      case EADDRNOTAVAIL:
      case EAFNOSUPPORT:
        return fail(Errc::no_route, "not an address of this machine: " + detail);
      default:
        return fail(Errc::network_error, detail);
    }
  }

  const PortRequest& request_;
  const PortManager::Limits& limits_;
  const PortManager::OpenSocket& open_socket_;
  std::vector<IpAddress> addresses_;
  bool is_default_ = false;
  std::vector<SocketKind> missing_;
  std::string first_skipped_;
  std::uint16_t last_skipped_ = 0;
  int skipped_count_ = 0;
};

}  // namespace

PortManager::PortManager() : PortManager(Limits()) {}

PortManager::PortManager(Limits limits, OpenSocket open_socket)
    : limits_(limits), open_socket_(std::move(open_socket)), registry_(std::make_shared<Registry>()) {
  if (!open_socket_) open_socket_ = [](int family, int type) { return ::socket(family, type, 0); };
}

PortManager::~PortManager() = default;

Result<PortLease> PortManager::acquire(const PortRequest& request) {
  Search search(request, limits_, open_socket_);
  DIG_CHECK(search.run());
  auto impl = std::make_unique<PortLease::Impl>();
  impl->registry = registry_;
  impl->status = {.purpose = request.purpose,
                  .preferred = request.preferred,
                  .port = search.port,
                  .protocols = {},
                  .reason = std::move(search.reason)};
  for (BoundSocket& socket : search.sockets) {
    impl->status.protocols.push_back(protocol_name(socket.kind, socket.local.address.family()));
    (socket.kind == SocketKind::tcp ? impl->tcp : impl->udp).push_back(std::move(socket));
  }
  registry_->live.push_back(&impl->status);
  return PortLease(std::move(impl));
}

std::vector<PortStatus> PortManager::snapshot() const {
  std::vector<PortStatus> rows;
  for (const PortStatus* status : registry_->live) rows.push_back(*status);
  return rows;
}

}  // namespace dig::net
