// SPDX-License-Identifier: Apache-2.0
// What a node listens on, as whom, and what of it is told to others.
#include <algorithm>
#include <iterator>
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
// Beside those of libp2p: clients of TURN, pages that are read, and who has not said yet what he is.
constexpr std::size_t k_other_streams = 1024;

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

// The addresses that do not depend on the interfaces.
void append_public(std::vector<Multiaddr>& addresses, const ShellOptions& options,
                   const std::vector<Endpoint>& listening, Multiaddr::Carrier carrier) {
  using Carrier = Multiaddr::Carrier;
  const std::string end = carrier == Carrier::plain ? "" : carrier == Carrier::websocket ? "/ws" : "/tls/ws";
  std::set<std::uint16_t> ports;
  for (const Endpoint& bound : listening) ports.insert(bound.port);
  for (const std::uint16_t port : ports) {
    const auto named = Multiaddr::parse("/dns/" + options.domain + "/tcp/" + std::to_string(port) + end);
    if (!options.domain.empty() && named) addresses.push_back(*named);
    for (const IpAddress& ip : options.public_ips) addresses.push_back(Multiaddr::tcp({ip, port}, carrier));
  }
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
  limits.tcp.max_transports = max_connections + k_other_streams;
  streams_ = std::make_unique<PortStreams>(*loop_, static_cast<PortOwner&>(*this), rng_, limits);
  make_turn(options);
  streams_->set_turn(turn_.get());
  streams_->set_pages(options.pages);
  if (options.listen) {
    DIG_TRY(const TlsContexts tls, make_port_tls(identity_, options.tls_certificates, options.tls_key));
    streams_->set_tls(tls.stream);
    turn_->set_tls({.stream = nullptr, .datagram = tls.datagram});
    DIG_CHECK(bind(options));
  }
  find_addresses(options);
  allow_hosts(options);
  return {};
}

void NodeShell::make_turn(const ShellOptions& options) {
  TurnRole role = options.turn.value_or(TurnRole{});
  if (!role.credentials) role.credentials = std::make_shared<Nobody>();
  role.shard.server.limits.max_channel_number = k_max_shared_channel;
  role.shard.offload = options.turn ? test_udp_offload() : UdpOffload{};
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

// The plain addresses first, as they cost least and are the ones to be read.
std::vector<Multiaddr> NodeShell::listening_addresses(const ShellOptions& options) const {
  const auto listening = streams_->listening();
  const auto interfaces = options.public_ips.empty() ? interface_addresses() : std::vector<InterfaceAddress>();
  std::vector<Multiaddr> addresses;
  const auto add = [&](Multiaddr::Carrier carrier) {
    append_public(addresses, options, listening, carrier);
    for (const Endpoint& bound : listening) {
      if (!options.public_ips.empty()) break;
      for (const Endpoint& endpoint : dialable_endpoints(bound, interfaces)) {
        addresses.push_back(Multiaddr::tcp(endpoint, carrier));
      }
    }
  };
  add(Multiaddr::Carrier::plain);
  if (options.announces_websocket) add(Multiaddr::Carrier::websocket);
  if (options.announces_websocket && !options.tls_certificates.empty()) add(Multiaddr::Carrier::secure_websocket);
  return addresses;
}

void NodeShell::find_addresses(const ShellOptions& options) {
  const std::vector<Multiaddr> listening = listening_addresses(options);
  core_->set_addresses(monotonic_now(), listening, options.announce_addresses);
  for (const Multiaddr& address : options.announce_addresses.empty() ? listening : options.announce_addresses) {
    // Only an address that names another peer refuses the own id; such a one is not ours to publish.
    if (auto own = address.with_peer_id(identity_.peer_id())) addresses_.push_back(std::move(*own));
  }
}

void NodeShell::allow_hosts(const ShellOptions& options) {
  std::set<std::string> hosts;
  const auto add = [&](const std::string& host) { hosts.insert(http::to_lower(host)); };
  for (const std::string& host : options.http_hosts) add(host);
  for (const Multiaddr& address : addresses_) add(address.host());
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
