// SPDX-License-Identifier: Apache-2.0
// A TURN server with its sockets and threads: one shard a thread, all on the same ports (SO_REUSEPORT), sharing
// credentials and quotas.
//
// Thread-safety: every method may be called from the thread that made it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/turn_shard.hpp"

namespace dig::net {

struct TurnServiceOptions {
  std::vector<Endpoint> listen;  // UDP and TCP each; empty: every address, port 3478 or the next free one
  std::string realm = "dignet";
  std::shared_ptr<const turn::CredentialSource> credentials;
  std::vector<IpAddress> relay_ips;       // of this machine, one a family; empty: chosen from what is listened on
  std::vector<IpAddress> public_ips;      // told to clients in place of the relay addresses, one a family
  std::optional<IpAddress> alternate_ip;  // RFC 5780: a second address of this machine
  std::uint16_t min_port = 49152;
  std::uint16_t max_port = 65535;
  std::vector<Cidr> allowed_peers;
  std::optional<TlsContexts> tls;
  bool is_pair_relay = false;  // turn::ServerConfig::is_pair_relay; with one thread only
  std::size_t threads = 1;
  turn::QuotaBook::Limits quotas;
  turn::ServerConfig::Limits limits;
  std::function<void(const turn::ServerEvent&)> on_fact;  // called on the threads of the shards
};

// What a TURN server shows its clients: TLS and DTLS with this certificate, ALPN stun.turn (RFC 7443). Both may be in
// one PEM text. Errors: certificate_unreadable, invalid_argument.
[[nodiscard]] Result<TlsContexts> make_turn_tls(std::string_view certificates, std::string_view private_key);

class TurnService {
 public:
  // Errors: port_in_use, port_permission, port_forbidden, no_route, invalid_argument; no_credentials when nobody could
  // use it.
  [[nodiscard]] static Result<std::unique_ptr<TurnService>> start(TurnServiceOptions options);
  ~TurnService();

  [[nodiscard]] const std::vector<Endpoint>& listening() const;  // each stands for UDP and TCP
  [[nodiscard]] const std::vector<PortStatus>& ports() const;
  [[nodiscard]] std::vector<IpAddress> relayed_addresses() const;  // as clients see them
  // A renewed certificate, for clients that come from now on.
  void set_tls(const TlsContexts& contexts);
  // New clients are sent to `alternate`, or refused; those that are there go on. `on_drained` is called once, when the
  // last allocation has ended or there is none, on a thread of the shards. Once only.
  void drain(const std::optional<Endpoint>& alternate, std::function<void()> on_drained);
  // The sum over the shards.
  [[nodiscard]] TurnShardStatus snapshot() const;

 private:
  class Impl;
  explicit TurnService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
