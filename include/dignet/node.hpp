// SPDX-License-Identifier: Apache-2.0
// A node: an identity, listeners, connections to peers, and the stores it holds and fetches.
//
// Asynchronous at its core. The node runs its own threads; nothing of yours is called from them. Poll event_handle()
// and call process() when it is readable: completions, observers and event handlers run inside process(), on your
// thread. Every function may be called from any one thread at a time. dignet/blocking.hpp has a simpler form for small
// programs.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dignet/connection.hpp"
#include "dignet/error.hpp"
#include "dignet/events.hpp"
#include "dignet/ports.hpp"
#include "dignet/status.hpp"
#include "dignet/store.hpp"

namespace dignet {

struct NodeOptions {
  std::filesystem::path home{};                   // holds the identity and the stores; made if missing
  bool listen = true;                             // false: a short-lived node that publishes nothing
  std::uint16_t preferred_port = 4001;            // the next free one is taken if this is not free; 0: any
  std::vector<std::string> listen_addresses{};    // multiaddrs; replaces "all interfaces, preferred_port"
  std::vector<std::string> announce_addresses{};  // published in place of the addresses found
  std::string tiers{};                            // "1-4", "direct,peer-turn"; empty: all
  std::vector<std::string> relays{};              // multiaddrs with /p2p: circuit relays to be reached through
  std::vector<std::string> bootstraps{};          // multiaddrs with /p2p: servers that know who holds which store
  bool is_bootstrap = false;                      // is such a server, and known to be reachable
  std::string domain{};                           // a name of this machine, published beside its addresses
  std::vector<std::string> public_ips{};          // published in place of the interfaces' addresses
  std::vector<std::uint16_t> extra_ports{};       // listened on, too; a Warning tells which could not be had
  std::string tls_certificates{};                 // PEM, its own first, for TLS on every port; else one is made
  std::string tls_key{};                          // PEM
  std::string authorities{};                      // PEM; trusted beside the system's, for TLS servers that are dialled
  std::string redis{};  // redis://…: where it shares its directory with other bootstrap servers
  // A TURN server for peers, offered while it can be reached (see TurnRoleChanged): between two peers who both ask for
  // it, or, open, to any public address from ports of its own. An open one is offered once a datagram that
  // another node sent has reached one of these ports; a bootstrap server's, and with forces_roles, at once.
  bool is_turn_relay = false;
  bool is_turn_open = false;
  // Open: addresses of this machine to relay from, one a family; empty: one is chosen.
  std::vector<std::string> turn_relay_ips{};
  std::uint16_t turn_min_port = 49152;  // open: the relay ports, from 1024 up
  std::uint16_t turn_max_port = 65535;
  std::uint64_t turn_max_bits_per_second = 10'000'000;      // of all together; 0: no limit
  std::uint64_t turn_max_bytes_per_month = 50'000'000'000;  // of data, each byte once; 0: no limit
  // Roles for others. Each is on only while others were seen to reach this node, or `announce_addresses` says so.
  bool is_relay = false;          // relays for others, within limits
  bool is_autonat_server = true;  // tells others whether they can be reached, within limits (AutoNAT v2)
  bool forces_roles = false;      // this node is known to be reachable: its roles need no proof. For bootstrap servers
};

struct NodeIdentity {
  std::string peer_id;      // 12D3KooW…
  std::string crypto_ipv6;  // fd00:…, derived from the key; an index, not an address to send to
  std::string public_key;   // 32 bytes, hex
};

struct ConnectRequest {
  std::vector<std::string> addresses{};  // multiaddrs of one peer, each ending in /p2p/<peer id>
  std::chrono::milliseconds timeout{30'000};
};

struct PingReport {
  double rtt_ms = 0;
};

using OperationId = std::uint64_t;
using Observer = std::move_only_function<void(const OperationEvent&)>;

class Node {
 public:
  // Opens the home, loads or makes the identity and starts listening. Errors: identity_*, home_in_use (only when
  // `listen`), port_*, io_failed, permission_denied, invalid_argument.
  [[nodiscard]] static Result<std::unique_ptr<Node>> create(NodeOptions options);
  // Reads (or makes) the identity of a home without starting a node.
  [[nodiscard]] static Result<NodeIdentity> load_identity(const std::filesystem::path& home);
  ~Node();  // closes connections, stops threads, frees ports; pending completions get Errc::cancelled
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // A file descriptor that is readable while process() has something to do. Owned by the node.
  [[nodiscard]] int event_handle() const noexcept;
  // Runs what is due and returns how many completions and events it delivered. Never blocks.
  std::size_t process();
  // Set before the first process(); called with every NodeEvent. Events that peers cause while process() is not called
  // wait up to 1024; beyond that they are lost, and a Warning (limit_reached) says so; streams that peers open are
  // reset.
  void on_event(std::move_only_function<void(const NodeEvent&)> handler);

  [[nodiscard]] const NodeIdentity& identity() const noexcept;
  // The addresses this node listens on, as multiaddrs ending in /p2p/<peer id>.
  [[nodiscard]] std::vector<std::string> addresses() const;
  [[nodiscard]] std::vector<PortLease> ports() const;
  // A renewed certificate, for connections that come from now on. Errors: certificate_unreadable.
  [[nodiscard]] Result<void> set_certificate(const std::string& certificates, const std::string& key);
  void status(Completion<NodeStatus> done);
  // One entry a connection.
  void peers(Completion<std::vector<PeerStatus>> done);

  // Connects to a peer by the best way there is. Errors: all_tiers_failed, peer_id_mismatch, timed_out, bad_peer_id,
  // dialled_self. The observer hears every attempt, also when the operation fails.
  OperationId connect(ConnectRequest request, Observer observer, Completion<ConnectReport> done);
  // One libp2p ping on a connection.
  void ping(std::uint64_t connection, Completion<PingReport> done);
  void disconnect(std::uint64_t connection);
  // Opens a stream for an application protocol. Errors: protocol_not_supported, connection_closed.
  void open_stream(std::uint64_t connection, std::string protocol, Completion<Stream> done);
  // Accepts inbound streams of a protocol ("/my-app/1.0.0"). Replaces an earlier handler.
  void handle_protocol(std::string protocol, std::move_only_function<void(Stream)> handler);

  // Stores. All of these do their disk work off the node's core thread.
  // The observer hears the progress: `bytes` are archived and hashed, of `total` of the content and then of the
  // archive.
  OperationId add_store(std::filesystem::path path, AddOptions options, Observer observer, Completion<StoreInfo> done);
  OperationId add_store(std::filesystem::path path, AddOptions options, Completion<StoreInfo> done) {
    return add_store(std::move(path), std::move(options), nullptr, std::move(done));
  }
  void list_stores(Completion<std::vector<StoreInfo>> done);
  void remove_store(std::string urn, Completion<void> done);
  OperationId verify_stores(std::optional<std::string> urn, Completion<VerifyReport> done);
  // Fetches a store, or one resource of it, from the peers of the request and those that the bootstrap servers know.
  // Resumes what an earlier fetch left. The observer hears attempts, paths and
  // progress. Errors: bad_urn, no_holder, all_tiers_failed, chunk_mismatch, manifest_mismatch, unpinned,
  // resource_not_found, disk_full, io_failed, timed_out, cancelled.
  OperationId fetch(FetchRequest request, Observer observer, Completion<FetchReport> done);
  // Ends an operation; its completion gets Errc::cancelled, unless it was done before. What was fetched stays for the
  // next time; of a store that was being added nothing stays.
  void cancel(OperationId operation);

 private:
  struct State;
  friend struct NodeInternals;  // of the library
  explicit Node(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace dignet
