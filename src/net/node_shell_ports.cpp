// SPDX-License-Identifier: Apache-2.0
// What a node listens on, as whom, and what of it is told to others.
#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "net/clock.hpp"
#include "net/interfaces.hpp"
#include "net/node_shell.hpp"
#include "proto/one_port/stream_sniffer.hpp"
#include "wire/peer_certificate.hpp"

namespace dig::net {
namespace {

// RFC 8656 ends there, and so do those with whom QUIC shares a port.
constexpr std::uint16_t k_max_shared_channel = 0x4FFF;

// Beside those of libp2p: half of it for clients of TURN; the rest for who has not said yet what he is (see
// NodeCore::Limits::accepts), pages that are read, and those who are told goodbye.
std::size_t other_streams(std::size_t max_connections) { return std::max(std::size_t{1024}, max_connections / 2); }

// A server without users: it answers Binding requests, and has nothing to allocate for.
class Nobody final : public turn::CredentialSource {
 public:
  [[nodiscard]] turn::UserCredentials find(std::string_view /*username*/, UnixTime /*now*/) const override {
    return {};
  }
  [[nodiscard]] turn::UserCredentials find_by_hash(BytesView /*userhash*/, UnixTime /*now*/) const override {
    return {};
  }
};

// What libp2p is carried by, as the addresses say it.
std::string_view suffix_of(Multiaddr::Carrier carrier) {
  switch (carrier) {
    case Multiaddr::Carrier::websocket:
      return "/ws";
    case Multiaddr::Carrier::secure_websocket:
      return "/tls/ws";
    case Multiaddr::Carrier::plain:
      break;
  }
  return "";
}

// Where others dial: what the owner says in place of the interfaces' addresses, once a port, whatever it stands on.
std::vector<Endpoint> endpoints_of(const std::vector<IpAddress>& public_ips, const std::vector<Endpoint>& listening,
                                   const std::set<std::uint16_t>& ports) {
  std::vector<Endpoint> endpoints;
  for (const std::uint16_t port : ports) {
    for (const IpAddress& ip : public_ips) endpoints.push_back({ip, port});
  }
  if (!public_ips.empty()) return endpoints;
  const auto interfaces = interface_addresses();
  for (const Endpoint& bound : listening) {
    std::ranges::copy(dialable_endpoints(bound, interfaces), std::back_inserter(endpoints));
  }
  return endpoints;
}

}  // namespace

Result<TlsContexts> make_port_tls(const Identity& identity, std::string_view certificates,
                                  std::string_view private_key) {
  std::shared_ptr<const crypto::TlsIdentity> certificate;
  if (certificates.empty()) {
    certificate = make_peer_certificate(identity);
  } else {
    DIG_TRY(certificate, crypto::TlsIdentity::from_pem(certificates, private_key));
  }
  crypto::TlsConfig config{.role = crypto::TlsRole::server, .identity = certificate, .alpn = one_port::alpn_names()};
  TlsContexts contexts;
  DIG_TRY(contexts.stream, crypto::TlsContext::create(crypto::TlsTransport::stream, config));
  config.alpn = {"stun.turn", "stun.nat-discovery"};  // RFC 7443; DTLS carries nothing else here
  DIG_TRY(contexts.datagram, crypto::TlsContext::create(crypto::TlsTransport::datagram, std::move(config)));
  return contexts;
}

Result<void> NodeShell::prepare_ports(const ShellOptions& options, std::size_t max_connections) {
  PortStreams::Limits limits;
  // Of libp2p, with those that are on their way in or out: nobody else takes their places.
  limits.tcp.max_transports = 2 * max_connections + other_streams(max_connections);
  streams_ = std::make_unique<PortStreams>(*loop_, static_cast<PortOwner&>(*this), rng_, limits);
  if (options.turn_relay) DIG_CHECK(check_relay(*options.turn_relay));
  make_turn(options, other_streams(max_connections) / 2);
  streams_->set_turn(turn_.get());
  streams_->set_pages(options.pages);
  streams_->set_authorities(options.authorities);
  if (options.listen) {
    DIG_TRY(const TlsContexts tls, make_port_tls(identity_, options.tls_certificates, options.tls_key));
    streams_->set_tls(tls.stream);
    turn_->set_tls({.stream = nullptr, .datagram = tls.datagram});
    DIG_CHECK(bind(options));
    // Before the addresses are looked up: none is missed.
    network_watch_ = std::make_unique<NetworkWatch>(*loop_, [this](Instant now) { handle_network_changed(now); });
  }
  address_options_ = {options.announce_addresses, options.domain, options.public_ips, options.announces_websocket,
                      options.announces_websocket && !options.tls_certificates.empty()};
  auto [listening, announced] = find_addresses();
  core_->set_addresses(monotonic_now(), std::move(listening), std::move(announced));
  allow_hosts();
  return {};
}

void NodeShell::make_turn(const ShellOptions& options, std::size_t max_streams) {
  TurnRole role = turn_role(options);
  if (!role.credentials) role.credentials = std::make_shared<Nobody>();
  role.shard.max_streams = std::min(role.shard.max_streams, max_streams);
  role.shard.server.limits.max_channel_number = k_max_shared_channel;
  role.shard.offload = options.turn || options.turn_relay ? test_udp_offload() : UdpOffload{};
  turn_credentials_ = std::move(role.credentials);
  turn_quotas_ = std::make_unique<turn::Quotas>(role.quotas);
  const UdpOffload offload = role.shard.offload;
  turn_ = std::make_unique<TurnShard>(*loop_, std::move(role.shard), *turn_credentials_, *turn_quotas_, rng_);
  datagrams_ = std::make_unique<PortDatagrams>(*loop_, *turn_, offload);
}

Result<void> NodeShell::bind(const ShellOptions& options) {
  if (options.listen_addresses.empty()) {
    DIG_TRY(PortLease lease, port_manager_.acquire({.purpose = "libp2p-main", .preferred = options.preferred_port}));
    leases_.push_back(std::move(lease));
  }
  for (const Multiaddr& address : options.listen_addresses) {
    DIG_TRY(const Endpoint endpoint, address.tcp_endpoint());
    DIG_TRY(PortLease lease, port_manager_.acquire({.purpose = "libp2p-" + std::to_string(leases_.size() + 1),
                                                    .preferred = endpoint.port,
                                                    .exact = endpoint.port != 0,
                                                    .addresses = {endpoint.address}}));
    leases_.push_back(std::move(lease));
  }
  for (const std::uint16_t port : options.extra_ports) bind_extra(port);
  for (PortLease& lease : leases_) {
    for (BoundSocket& socket : lease.take_tcp()) streams_->listen(std::move(socket));
    for (BoundSocket& socket : lease.take_udp()) datagrams_->listen(std::move(socket));
  }
  return {};
}

// Ports that are there for those behind firewalls; a node does its work without them.
void NodeShell::bind_extra(std::uint16_t port) {
  const bool is_held = std::ranges::any_of(leases_, [&](const PortLease& lease) { return lease.port() == port; });
  if (is_held) return;
  PortRequest request{.purpose = "one-port-" + std::to_string(port), .preferred = port, .exact = true};
  auto lease = port_manager_.acquire(request);
  if (!lease) {
    // Another program may have the UDP half alone, such as a web server with HTTP/3.
    request.udp = false;
    auto tcp_only = port_manager_.acquire(request);
    const Error& why = lease.error();
    warnings_.emplace_back(
        why.code(), why.detail() + (tcp_only ? "; it is used for TCP only" : "; the node goes on without this port"));
    if (!tcp_only) return;
    lease = std::move(tcp_only);
  }
  leases_.push_back(*std::move(lease));
}

std::vector<Multiaddr> NodeShell::listening_addresses() const {
  const auto listening = streams_->listening();
  std::set<std::uint16_t> ports;
  for (const Endpoint& bound : listening) ports.insert(bound.port);
  const auto endpoints = endpoints_of(address_options_.public_ips, listening, ports);
  std::vector<Multiaddr> addresses;
  const auto add = [&](Multiaddr::Carrier carrier) {
    for (const std::uint16_t port : ports) {
      const auto named = Multiaddr::parse("/dns/" + address_options_.domain + "/tcp/" + std::to_string(port) +
                                          std::string(suffix_of(carrier)));
      if (!address_options_.domain.empty() && named) addresses.push_back(*named);
    }
    for (const Endpoint& endpoint : endpoints) addresses.push_back(Multiaddr::tcp(endpoint, carrier));
  };
  add(Multiaddr::Carrier::plain);
  if (address_options_.announces_websocket) add(Multiaddr::Carrier::websocket);
  if (address_options_.announces_secure_websocket) add(Multiaddr::Carrier::secure_websocket);
  return addresses;
}

NodeShell::Addresses NodeShell::find_addresses() {
  Addresses found{.listening = listening_addresses(), .announced = address_options_.announce_addresses};
  // What the owner says of where this node is needs no proof.
  const bool is_placed = !address_options_.public_ips.empty() || !address_options_.domain.empty();
  if (found.announced.empty() && is_placed) found.announced = found.listening;
  std::vector<Multiaddr> addresses;
  for (const Multiaddr& address : found.announced.empty() ? found.listening : found.announced) {
    // Only an address that names another peer refuses the own id; such a one is not ours to publish.
    if (auto own = address.with_peer_id(identity_.peer_id())) addresses.push_back(std::move(*own));
  }
  const std::lock_guard lock(addresses_mutex_);
  addresses_ = std::move(addresses);
  return found;
}

std::vector<Multiaddr> NodeShell::addresses() const {
  const std::lock_guard lock(addresses_mutex_);
  return addresses_;
}

void NodeShell::handle_network_changed(Instant now) {
  auto [listening, announced] = find_addresses();
  core_->handle_network_changed(now, std::move(listening), std::move(announced));
  allow_hosts();
  pump(now);
}

void NodeShell::allow_hosts() {
  std::set<std::string> hosts;
  const auto add = [&](const std::string& host) { hosts.insert(http::to_lower(host)); };
  for (const Multiaddr& address : addresses()) add(address.host());
  for (const InterfaceAddress& interface : interface_addresses()) add(interface.address.to_string());
  streams_->set_hosts(std::move(hosts));
}

void NodeShell::set_tls(const TlsContexts& contexts) {
  loop_->post([this, contexts] {
    if (!streams_) return;
    streams_->set_tls(contexts.stream);
    turn_->set_tls({.stream = nullptr, .datagram = contexts.datagram});
  });
}

}  // namespace dig::net
