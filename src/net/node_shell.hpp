// SPDX-License-Identifier: Apache-2.0
// The shell of a node: one thread that runs the core loop with NodeCore, the streams and datagrams of its one port and
// the TURN shard on it, and a pool of workers for disk and hashing. Carries out what the core asks for and hands every
// other output on as a fact.
//
// Thread-safety: post(), set_tls(), ports(), addresses() and stop() may be called from any thread; everything else
// belongs to the loop.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "crypto/system_rng.hpp"
#include "net/directory_keeper.hpp"
#include "net/directory_sharing.hpp"
#include "net/loop.hpp"
#include "net/network_watch.hpp"
#include "net/node_turn.hpp"
#include "net/port_datagrams.hpp"
#include "net/port_manager.hpp"
#include "net/port_streams.hpp"
#include "net/redis_protocol.hpp"
#include "net/resolver.hpp"
#include "net/udp_probes.hpp"
#include "net/worker_pool.hpp"
#include "node/node_core.hpp"
#include "store/disk/local_store.hpp"
#include "store/disk/prefix_hasher.hpp"

namespace dig::net {

// STUN and TURN on the ports of the node.
struct TurnRole {
  // `offload` is found out here, and `max_channel_number` is that of a shared port
  // (proto/one_port/datagram_router.hpp).
  TurnShardOptions shard;
  std::shared_ptr<const turn::CredentialSource> credentials;
  turn::QuotaBook::Limits quotas;
};

struct ShellOptions {
  bool listen = true;                         // false: an ephemeral node that publishes nothing
  std::uint16_t preferred_port = 4001;        // 0: any
  std::vector<Multiaddr> listen_addresses;    // replaces "every interface, preferred_port"
  std::vector<Multiaddr> announce_addresses;  // replaces the addresses found
  std::string domain;                         // with each port that is listened on, before the addresses found
  std::vector<IpAddress> public_ips;  // with each port that is listened on, in place of the interfaces' addresses
  std::vector<Multiaddr> relays;      // with peer ids: where this node keeps reservations
  bool is_relay = false;
  std::vector<Multiaddr> bootstraps;  // with peer ids: asked for holders; a node that listens publishes itself there
  bool is_bootstrap = false;          // a directory and a relay for others
  std::optional<RedisUrl> redis;      // where a bootstrap server shares its directory with others
  std::filesystem::path home;         // for what a node keeps beside its stores
  bool is_autonat_server = true;
  bool forces_roles = false;  // node::NodeCore::force_roles
  std::string agent_version;

  // Also listened on, such as 80 and 443; each that cannot be had is a Warning, and the node goes on without it.
  std::vector<std::uint16_t> extra_ports;
  // PEM, for TLS on every port. Without them a certificate is made that is bound to the PeerId.
  std::string tls_certificates;
  std::string tls_key;
  std::string authorities;  // PEM; trusted beside those of the system, for servers that are dialled over TLS
  // Without it, only Binding requests are answered.
  std::optional<TurnRole> turn;
  // In its place: a TURN server for peers, who get credentials of the core.
  std::optional<NodeTurnOptions> turn_relay;
  PageSource pages;  // without it: 404
  // Whether /ws addresses are told to others, behind the plain ones; /tls/ws too where `tls_certificates` are given,
  // as browsers believe no others.
  bool announces_websocket = true;
};

// For TLS and DTLS on the one port: with this certificate, or one that is made for the identity where the text is
// empty. certificate_unreadable.
[[nodiscard]] Result<TlsContexts> make_port_tls(const Identity& identity, std::string_view certificates,
                                                std::string_view private_key);

class NodeShell final : private PortOwner {
 public:
  // What the core tells the API; called on the loop.
  using FactSink = std::move_only_function<void(Instant now, node::NodeOutput fact)>;

  // Binds the ports; the thread starts with start(). `identity` and `store` must outlive the shell.
  [[nodiscard]] static Result<std::unique_ptr<NodeShell>> create(const ShellOptions& options, const Identity& identity,
                                                                 store::LocalStore& store);
  ~NodeShell() override;

  void start(FactSink sink);
  // Ends the loop and the workers and joins them. No fact comes afterwards, and what is posted is never run; timers
  // made here may still be destroyed, until the shell is.
  void stop();

  // Runs a command on the loop, then carries out what the core asks for.
  void post(std::move_only_function<void(Instant now, node::NodeCore& core)> command);
  // On the loop: runs work() on a worker, then done(result) on the loop. False, and nothing is called, when too much
  // waits.
  template <class Work, class Done>
  [[nodiscard]] bool run_on_worker(Work work, Done done) {
    return pool_->run(std::move(work), std::move(done));
  }
  // The same for work that may take minutes, one job after another on a thread of its own, so that serving and fetching
  // go on beside it. Such work asks is_stopping() now and then.
  template <class Work, class Done>
  [[nodiscard]] bool run_long_job(Work work, Done done) {
    return long_jobs_->run(std::move(work), std::move(done));
  }
  [[nodiscard]] bool is_stopping() const noexcept { return is_stopping_; }
  [[nodiscard]] std::unique_ptr<Timer> make_timer(Timer::Handler on_expiry) {
    return std::make_unique<Timer>(*loop_, std::move(on_expiry));
  }
  [[nodiscard]] bool has_bootstraps() const noexcept { return has_bootstraps_; }
  // On the loop: what is answered over HTTP from now on.
  void set_pages(PageSource pages) { streams_->set_pages(std::move(pages)); }
  // On the loop: the stores that are here have changed, which the bootstrap servers are to know.
  void announce_stores();
  // Any thread: the store was removed, so its open files are not served any longer.
  void forget_store(const StoreId& id, const std::optional<RootHash>& root);
  // Any thread: a renewed certificate, for connections that come from now on.
  void set_tls(const TlsContexts& contexts);
  // On the loop, until stop().
  [[nodiscard]] TurnShard& turn() noexcept { return *turn_; }
  // Nothing: the directory is not shared, or there is none.
  [[nodiscard]] std::optional<bool> is_directory_shared() const {
    return directory_sharing_ ? std::optional(directory_sharing_->is_up()) : std::nullopt;
  }
  [[nodiscard]] PortStreamsStatus stream_status() const { return streams_->snapshot(); }
  [[nodiscard]] one_port::DatagramRouter::Status datagram_status() const { return datagrams_->snapshot(); }
  // From inside the loop: the same end of a command for code that runs there outside of post().
  void pump(Instant now);
  [[nodiscard]] node::NodeCore& core() noexcept { return *core_; }
  [[nodiscard]] store::LocalStore& store() noexcept { return store_; }
  // A partial store that the core has open, and its hasher if one was asked for.
  struct Partial {
    std::shared_ptr<store::PartialStore> store;
    std::shared_ptr<store::PrefixHasher> hasher;
  };
  [[nodiscard]] Partial partial(node::PartialId id) const;
  void close_partial(node::PartialId id) { partials_.erase(id); }

  [[nodiscard]] std::vector<PortStatus> ports() const { return port_manager_.snapshot(); }
  // Any thread. Ends in /p2p/<peer id>; what is announced, or where the node listens.
  [[nodiscard]] std::vector<Multiaddr> addresses() const;

 private:
  NodeShell(const Identity& identity, store::LocalStore& store) : identity_(identity), store_(store) {}

  // node_shell_ports.cpp
  [[nodiscard]] Result<void> prepare_ports(const ShellOptions& options, std::size_t max_connections);
  [[nodiscard]] Result<void> bind(const ShellOptions& options);
  void bind_extra(std::uint16_t port);
  void make_turn(const ShellOptions& options, std::size_t max_streams);
  struct Addresses {
    std::vector<Multiaddr> listening;
    std::vector<Multiaddr> announced;
  };
  [[nodiscard]] std::vector<Multiaddr> listening_addresses() const;
  [[nodiscard]] Addresses find_addresses();
  void handle_network_changed(Instant now);
  void allow_hosts();
  void end_ports();
  // node_shell_turn.cpp
  [[nodiscard]] TurnRole turn_role(const ShellOptions& options) const;
  void prepare_turn(const ShellOptions& options);
  void open_udp_probe(const node::OpenUdpProbe& probe);
  void send_udp_probe(const node::SendUdpProbe& probe);
  [[nodiscard]] Result<Endpoint> try_relay_port(const node::OpenUdpProbe& probe);
  void keep_turn_volume();
  void end_turn();
  void keep_last_turn_volume();
  [[nodiscard]] Result<void> use_relays(const std::vector<Multiaddr>& relays);
  [[nodiscard]] Result<void> use_bootstraps(const ShellOptions& options);
  [[nodiscard]] Result<void> start_directory(const ShellOptions& options);
  [[nodiscard]] Result<void> share_directory(const RedisUrl& url, const std::string& authorities);
  [[nodiscard]] Result<void> start_publishing(const ShellOptions& options);

  // PortOwner
  [[nodiscard]] bool admits(Instant now, const Endpoint& local, const Endpoint& remote) override;
  void handle_accepted(Instant now, TransportId id, const Endpoint& local, const Endpoint& remote,
                       Multiaddr::Carrier carrier) override;
  void handle_not_libp2p(Instant now, const Endpoint& remote) override;
  void handle_dialled(Instant now, DialId id, const DialOutcome& outcome) override;
  void handle_bytes(Instant now, TransportId id, BytesView bytes) override;
  void handle_eof(Instant now, TransportId id) override;
  void handle_error(Instant now, TransportId id, const Error& error) override;
  [[nodiscard]] std::size_t poll_bytes(Instant now, TransportId id, MutableBytes out) override;
  [[nodiscard]] bool wants_bytes(TransportId id) override;
  void settle(Instant now) override;

  void carry_out(Instant now, node::NodeOutput& output);
  void keep_sequence();
  void ask_disk(node::DiskRequest request);
  template <class Work>
  void run_disk_work(node::DiskRequestId id, Work work);
  void answer_disk(node::DiskRequestId id, Result<node::DiskAnswer> answer);
  void answer_opened(node::DiskRequestId id, bool wants_sha256, Result<std::unique_ptr<store::PartialStore>> opened);

  const Identity& identity_;
  store::LocalStore& store_;
  crypto::SystemRng rng_;
  PortManager port_manager_;
  std::vector<PortLease> leases_;
  // What the owner says of its addresses: the fields of ShellOptions with these names.
  struct AddressOptions {
    std::vector<Multiaddr> announce_addresses;
    std::string domain;
    std::vector<IpAddress> public_ips;
    bool announces_websocket = true;
    bool announces_secure_websocket = false;  // others believe the certificate
  } address_options_;
  mutable std::mutex addresses_mutex_;
  std::vector<Multiaddr> addresses_;  // guarded by it
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<node::NodeCore> core_;
  std::shared_ptr<const turn::CredentialSource> turn_credentials_;
  std::unique_ptr<turn::Quotas> turn_quotas_;
  std::unique_ptr<PortStreams> streams_;
  std::unique_ptr<PortDatagrams> datagrams_;
  std::unique_ptr<TurnShard> turn_;  // ends before those that carry its bytes
  std::unique_ptr<NodeTurn> node_turn_;
  std::unique_ptr<UdpProbes> udp_probes_;
  std::filesystem::path turn_volume_file_;
  turn::MonthlyVolume::State kept_turn_volume_;  // on disk
  std::optional<turn::MonthlyVolume::State> last_turn_volume_;
  bool is_keeping_turn_volume_ = false;
  std::vector<Error> warnings_;  // until there is somebody to be told
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<NetworkWatch> network_watch_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<WorkerPool> long_jobs_;
  std::atomic<bool> is_stopping_ = false;
  std::unique_ptr<DirectoryKeeper> directory_keeper_;  // of a bootstrap server
  std::unique_ptr<DirectorySharing> directory_sharing_;
  bool has_bootstraps_ = false;
  bool announces_stores_ = false;
  bool is_listing_stores_ = false;
  bool are_stores_outdated_ = false;  // changed while they were being listed
  std::filesystem::path sequence_file_;
  std::uint64_t sequence_ = 0;       // of what this node has published
  std::uint64_t kept_sequence_ = 0;  // on disk
  bool is_keeping_sequence_ = false;
  class ReaderCache;
  std::shared_ptr<ReaderCache> readers_;
  std::map<node::PartialId, Partial> partials_;
  std::uint64_t next_partial_ = 1;
  FactSink sink_;
  bool is_pumping_ = false;
  std::thread thread_;
};

}  // namespace dig::net
