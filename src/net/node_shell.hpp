// SPDX-License-Identifier: Apache-2.0
// The shell of a node: one thread that runs the core loop with NodeCore and its TCP transports, and a pool of workers
// for disk and hashing. Carries out what the core asks for and hands every other output on as a fact.
//
// Thread-safety: post(), ports() and stop() may be called from any thread; everything else belongs to the loop.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "crypto/system_rng.hpp"
#include "net/loop.hpp"
#include "net/port_manager.hpp"
#include "net/resolver.hpp"
#include "net/tcp_transports.hpp"
#include "net/worker_pool.hpp"
#include "node/node_core.hpp"
#include "store/disk/local_store.hpp"
#include "store/disk/prefix_hasher.hpp"

namespace dig::net {

struct ShellOptions {
  bool listen = true;                         // false: an ephemeral node that publishes nothing
  std::uint16_t preferred_port = 4001;        // 0: any
  std::vector<Multiaddr> listen_addresses;    // replaces "every interface, preferred_port"
  std::vector<Multiaddr> announce_addresses;  // replaces the addresses found
  std::vector<Multiaddr> relays;              // with peer ids: where this node keeps reservations
  bool is_relay = false;
  bool is_autonat_server = true;
  bool forces_roles = false;  // node::NodeCore::force_roles
  std::string agent_version;
};

class NodeShell final : private TransportOwner {
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
  // Any thread: the store was removed, so its open files are not served any longer.
  void forget_store(const StoreId& id, const std::optional<RootHash>& root);
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
  // Ends in /p2p/<peer id>; what is announced, or where the node listens.
  [[nodiscard]] const std::vector<Multiaddr>& addresses() const noexcept { return addresses_; }

 private:
  NodeShell(const Identity& identity, store::LocalStore& store) : identity_(identity), store_(store) {}

  [[nodiscard]] Result<void> bind(const ShellOptions& options);
  void find_addresses(const ShellOptions& options);
  [[nodiscard]] Result<void> use_relays(const std::vector<Multiaddr>& relays);

  // TransportOwner
  [[nodiscard]] bool admits(Instant now, const Endpoint& local, const Endpoint& remote) override;
  void handle_accepted(Instant now, TransportId id, const Endpoint& local, const Endpoint& remote) override;
  void handle_dialled(Instant now, DialId id, const DialOutcome& outcome) override;
  void handle_bytes(Instant now, TransportId id, BytesView bytes) override;
  void handle_eof(Instant now, TransportId id) override;
  void handle_error(Instant now, TransportId id, const Error& error) override;
  [[nodiscard]] std::size_t poll_bytes(Instant now, TransportId id, MutableBytes out) override;
  [[nodiscard]] bool wants_bytes(TransportId id) override;
  void settle(Instant now) override;

  void carry_out(Instant now, node::NodeOutput& output);
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
  std::vector<Multiaddr> addresses_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<node::NodeCore> core_;
  std::unique_ptr<TcpTransports> transports_;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<WorkerPool> long_jobs_;
  std::atomic<bool> is_stopping_ = false;
  class ReaderCache;
  std::shared_ptr<ReaderCache> readers_;
  std::map<node::PartialId, Partial> partials_;
  std::uint64_t next_partial_ = 1;
  FactSink sink_;
  bool is_pumping_ = false;
  std::thread thread_;
};

}  // namespace dig::net
