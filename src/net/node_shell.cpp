// SPDX-License-Identifier: Apache-2.0
#include "net/node_shell.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "net/clock.hpp"
#include "store/disk/sequence_file.hpp"
#include "store/merkle.hpp"

namespace dig::net {

// Opening a store for every chunk would cost more than reading it. Used on workers.
class NodeShell::ReaderCache {
 public:
  explicit ReaderCache(store::LocalStore& store) : store_(store) {}

  Result<std::shared_ptr<store::StoreReader>> open(const StoreId& id, const RootHash& root) {
    std::uint64_t generation = 0;
    {
      const std::lock_guard lock(mutex_);
      generation = generation_;
      for (auto entry = readers_.begin(); entry != readers_.end(); ++entry) {
        if ((*entry)->store_id() != id || (*entry)->root() != root) continue;
        readers_.splice(readers_.begin(), readers_, entry);
        return readers_.front();
      }
    }
    DIG_TRY(auto reader, store_.open_reader(id, root));
    const std::lock_guard lock(mutex_);
    if (generation != generation_) return reader;  // a store was removed meanwhile, perhaps this one
    readers_.push_front(reader);
    if (readers_.size() > max_readers) readers_.pop_back();
    return reader;
  }
  // A removed store must not be served from here.
  void forget(const StoreId& id, const std::optional<RootHash>& root) {
    const std::lock_guard lock(mutex_);
    ++generation_;
    readers_.remove_if(
        [&](const auto& reader) { return reader->store_id() == id && (!root || reader->root() == *root); });
  }

 private:
  static constexpr std::size_t max_readers = 32;
  store::LocalStore& store_;
  std::mutex mutex_;
  std::uint64_t generation_ = 0;                            // counts forget()
  std::list<std::shared_ptr<store::StoreReader>> readers_;  // the latest used first
};

namespace {

constexpr std::size_t k_workers = 2;
constexpr Duration k_goodbye = 1s;
// What peers ask for is refused as busy beyond this: each waiting read holds a buffer of a chunk. The rest of the queue
// is for this node's own work, which is bounded by the windows of its fetches.
constexpr std::size_t k_max_queued_reads = 256;
constexpr std::size_t k_max_queued = 4096;

node::ConnectionId connection_of(TransportId id) { return node::ConnectionId{id.value}; }
TransportId transport_of(node::ConnectionId id) { return TransportId{id.value}; }

std::vector<StoreId> ids_of(const std::vector<store::StoreInfo>& stores) {
  std::vector<StoreId> ids;
  for (const store::StoreInfo& info : stores) ids.push_back(info.store_id);
  return ids;
}

// One peer may have several addresses; `what` it is says the error.
Result<std::map<PeerId, std::vector<Multiaddr>>> by_peer(const std::vector<Multiaddr>& addresses,
                                                         const std::string& what) {
  std::map<PeerId, std::vector<Multiaddr>> grouped;
  for (const Multiaddr& address : addresses) {
    const auto peer = address.peer_id();
    if (!peer || address.has(Protocol::p2p_circuit)) {
      return fail(Errc::invalid_argument, "a " + what + " is /ip4/…/tcp/…/p2p/<peer id>, not " + address.to_string());
    }
    grouped[*peer].push_back(address);
  }
  return grouped;
}

Result<node::FoundStore> find_store(store::LocalStore& store, const node::FindStore& wanted) {
  DIG_TRY(const store::StoreInfo info, store.find(wanted.store, wanted.root));
  DIG_TRY(SignedManifest manifest, store.manifest(info.store_id, info.root));
  return node::FoundStore{info.root, info.size, std::move(manifest)};
}

}  // namespace

Result<std::unique_ptr<NodeShell>> NodeShell::create(const ShellOptions& options, const Identity& identity,
                                                     store::LocalStore& store) {
  std::unique_ptr<NodeShell> shell(new NodeShell(identity, store));
  shell->loop_ = std::make_unique<Loop>();
  shell->readers_ = std::make_shared<ReaderCache>(store);
  shell->pool_ =
      std::make_unique<WorkerPool>(*shell->loop_, WorkerPool::Limits{.threads = k_workers, .max_queued = k_max_queued});
  shell->long_jobs_ =
      std::make_unique<WorkerPool>(*shell->loop_, WorkerPool::Limits{.threads = 1, .max_queued = k_max_queued});
  const auto limits = options.is_bootstrap ? node::NodeCore::Limits::of_bootstrap() : node::NodeCore::Limits{};
  shell->core_ =
      std::make_unique<node::NodeCore>(identity, shell->rng_, node::NodeCore::Config{options.agent_version, limits});
  shell->resolver_ = std::make_unique<Resolver>(*shell->loop_);
  NodeShell* const raw = shell.get();
  shell->timer_ = std::make_unique<Timer>(*shell->loop_, [raw](Instant now) {
    raw->core_->handle_timeout(now);
    raw->pump(now);
  });
  shell->udp_probes_ =
      std::make_unique<UdpProbes>(*shell->loop_, shell->rng_, [raw](Instant now, UdpProbes::Id id, BytesView datagram) {
        raw->core_->handle_udp_probe_datagram(now, node::UdpProbeId{id}, datagram);
        raw->pump(now);
      });
  DIG_CHECK(shell->prepare_ports(options, limits.max_connections));
  shell->core_->set_wall_clock(monotonic_now(), wall_now());
  // A bootstrap server is where everybody looks for it.
  shell->core_->force_roles(monotonic_now(), options.forces_roles || options.is_bootstrap);
  shell->core_->set_relay(monotonic_now(), options.is_relay);
  shell->core_->set_autonat_server(monotonic_now(), options.is_autonat_server);
  if (options.is_bootstrap) DIG_CHECK(shell->start_directory(options));
  shell->prepare_turn(options);
  DIG_CHECK(shell->use_relays(options.relays));
  DIG_CHECK(shell->use_bootstraps(options));
  if (options.listen && !options.bootstraps.empty()) DIG_CHECK(shell->start_publishing(options));
  return shell;
}

NodeShell::~NodeShell() { stop(); }

Result<void> NodeShell::use_relays(const std::vector<Multiaddr>& relays) {
  DIG_TRY(auto addresses, by_peer(relays, "relay"));
  for (auto& [peer, known] : addresses) DIG_CHECK(core_->add_relay(monotonic_now(), peer, std::move(known)));
  return {};
}

// A node that others are to find is reached through its bootstrap servers where nothing better is possible, and
// bootstrap servers dial back for each other.
Result<void> NodeShell::use_bootstraps(const ShellOptions& options) {
  const Instant now = monotonic_now();
  has_bootstraps_ = !options.bootstraps.empty();
  DIG_TRY(const auto addresses, by_peer(options.bootstraps, "bootstrap server"));
  for (const auto& [peer, known] : addresses) {
    DIG_CHECK(core_->add_bootstrap(now, peer, known));
    if (options.is_bootstrap) {
      DIG_CHECK(core_->add_dial_back_helper(now, peer, known));
    } else if (options.listen) {
      core_->offer_relay(now, peer, known);
    }
  }
  return {};
}

Result<void> NodeShell::start_directory(const ShellOptions& options) {
  const auto answer = [this](directory::PersistToken token, const Result<directory::PersistOutcome>& result) {
    const Instant now = monotonic_now();
    core_->handle_persisted(now, token, result);
    pump(now);
  };
  DIG_TRY(directory_keeper_, DirectoryKeeper::open(*loop_, options.home / "directory.db", answer));
  const Instant now = monotonic_now();
  core_->start_directory(now);
  DIG_CHECK(directory_keeper_->load(now, *core_));
  return options.redis ? share_directory(*options.redis, options.authorities) : Result<void>();
}

Result<void> NodeShell::share_directory(const RedisUrl& url, const std::string& authorities) {
  const auto tell = [this](const dignet::NodeEvent& event) { sink_(monotonic_now(), node::NodeFact{event}); };
  DIG_TRY(directory_sharing_,
          DirectorySharing::start(*loop_, *resolver_, rng_, {.url = url}, authorities, *directory_keeper_, *core_,
                                  {.pump = [this](Instant now) { pump(now); }, .tell = tell}));
  return {};
}

Result<void> NodeShell::start_publishing(const ShellOptions& options) {
  sequence_file_ = store::sequence_file(options.home);
  const auto kept = store::read_sequence(sequence_file_);
  // Without it the clock alone says what is newer, which is right unless it was set back.
  if (!kept && kept.error().code() != Errc::malformed) return std::unexpected(kept.error());
  sequence_ = kept_sequence_ = kept.value_or(0);
  announces_stores_ = true;
  const Instant now = monotonic_now();
  core_->start_publishing(now, sequence_);
  DIG_TRY(const auto stores, store_.list());
  core_->set_stores(now, ids_of(stores));
  return {};
}

void NodeShell::start(FactSink sink) {
  sink_ = std::move(sink);
  for (Error& warning : std::exchange(warnings_, {})) {
    loop_->post(
        [this, warning = std::move(warning)] { sink_(monotonic_now(), node::NodeFact{dignet::Warning{warning}}); });
  }
  thread_ = std::thread([this] { loop_->run(); });
}

void NodeShell::stop() {
  if (thread_.joinable()) {
    // What was written and the goodbyes first; what a peer does not take in time is aborted with the transports.
    loop_->post([this] {
      const Instant now = monotonic_now();
      network_watch_.reset();  // nothing is asked or told any more
      core_->close_all(now);
      pump(now);
      streams_->drain(k_goodbye, [this] {
        end_ports();
        loop_->stop();
      });
    });
    thread_.join();
  }
  is_stopping_ = true;  // ends what runs on the long-job thread at its next step
  directory_sharing_.reset();
  directory_keeper_.reset();
  long_jobs_.reset();
  pool_.reset();
  if (std::exchange(kept_sequence_, sequence_) != sequence_) {
    std::ignore = store::write_sequence(sequence_file_, sequence_);
  }
  timer_.reset();
  resolver_.reset();
  end_ports();
  keep_last_turn_volume();
  core_.reset();
}

void NodeShell::end_ports() {
  network_watch_.reset();
  end_turn();
  turn_.reset();
  udp_probes_.reset();
  datagrams_.reset();
  streams_.reset();
}

void NodeShell::post(std::move_only_function<void(Instant now, node::NodeCore& core)> command) {
  loop_->post([this, command = std::move(command)]() mutable {
    const Instant now = monotonic_now();
    command(now, *core_);
    pump(now);
  });
}

NodeShell::Partial NodeShell::partial(node::PartialId id) const {
  const auto found = partials_.find(id);
  return found == partials_.end() ? Partial{} : found->second;
}

// --- transports
// ---------------------------------------------------------------------------------------------------------

bool NodeShell::admits(Instant now, const Endpoint& /*local*/, const Endpoint& remote) {
  return core_->admits(now, remote);
}

void NodeShell::handle_accepted(Instant now, TransportId id, const Endpoint& local, const Endpoint& remote,
                                Multiaddr::Carrier carrier) {
  core_->handle_accepted(now, connection_of(id), local, remote, carrier);
}

void NodeShell::handle_not_libp2p(Instant /*now*/, const Endpoint& remote) { core_->handle_not_accepted(remote); }

void NodeShell::handle_dialled(Instant now, DialId id, const DialOutcome& outcome) {
  const node::DialId dial{id.value};
  if (outcome.result) {
    core_->handle_dialled(now, dial, connection_of(outcome.result->transport), outcome.result->local,
                          outcome.result->remote);
  } else {
    core_->handle_dial_failed(now, dial, outcome.result.error());
  }
}

void NodeShell::handle_bytes(Instant now, TransportId id, BytesView bytes) {
  core_->handle_bytes(now, connection_of(id), bytes);
}

void NodeShell::handle_eof(Instant now, TransportId id) { core_->handle_eof(now, connection_of(id)); }

void NodeShell::handle_error(Instant now, TransportId id, const Error& error) {
  core_->handle_transport_error(now, connection_of(id), error);
}

std::size_t NodeShell::poll_bytes(Instant now, TransportId id, MutableBytes out) {
  return core_->poll_bytes(now, connection_of(id), out);
}

bool NodeShell::wants_bytes(TransportId id) { return core_->wants_bytes(connection_of(id)); }

void NodeShell::settle(Instant now) { pump(now); }

// --- what the core asks for
// -----------------------------------------------------------------------------------------------

void NodeShell::pump(Instant now) {
  if (is_pumping_) return;  // carrying out one output can end a wake-up of the transports, which comes back here
  is_pumping_ = true;
  core_->set_wall_clock(now, wall_now());
  core_->settle(now);
  while (auto output = core_->poll_output()) {
    carry_out(now, *output);
    core_->settle(now);
  }
  timer_->set(core_->next_timeout());
  is_pumping_ = false;
}

void NodeShell::carry_out(Instant now, node::NodeOutput& output) {
  if (const auto* flush = std::get_if<node::Flush>(&output)) {
    streams_->flush(transport_of(flush->connection));
  } else if (auto* disk = std::get_if<node::DiskRequest>(&output)) {
    ask_disk(std::move(*disk));
  } else if (auto* rows = std::get_if<node::PersistDirectory>(&output)) {
    directory_keeper_->persist(std::move(*rows));
  } else if (const auto* serve = std::get_if<node::ServeTurn>(&output)) {
    if (node_turn_) node_turn_->serve(serve->relay_v4, serve->relay_v6);
  } else if (const auto* probe = std::get_if<node::OpenUdpProbe>(&output)) {
    open_udp_probe(*probe);
  } else if (const auto* over = std::get_if<node::CloseUdpProbe>(&output)) {
    udp_probes_->close(over->id.value);
  } else if (const auto* datagram = std::get_if<node::SendUdpProbe>(&output)) {
    send_udp_probe(*datagram);
  } else if (const auto* used = std::get_if<node::SequenceUsed>(&output)) {
    sequence_ = used->sequence;
    keep_sequence();
  } else if (const auto* dial = std::get_if<node::DialTcp>(&output)) {
    streams_->dial({.id = DialId{dial->dial.value},
                    .remote = dial->remote,
                    .carrier = dial->carrier,
                    .tls_name = dial->tls_name,
                    .http_host = dial->http_host,
                    .peer = dial->peer,
                    .is_from_fresh_port = dial->is_from_fresh_port});
  } else if (const auto* cancelled = std::get_if<node::CancelDial>(&output)) {
    streams_->cancel_dial(DialId{cancelled->dial.value});
  } else if (const auto* close = std::get_if<node::CloseConnection>(&output)) {
    streams_->close(transport_of(close->connection), close->is_graceful ? CloseMode::graceful : CloseMode::abort);
  } else if (auto* resolve = std::get_if<node::ResolveName>(&output)) {
    resolver_->resolve(resolve->name, resolve->family,
                       [this, id = resolve->resolve](Result<std::vector<IpAddress>> result) {
                         const Instant later = monotonic_now();
                         core_->handle_resolved(later, id, std::move(result));
                         pump(later);
                       });
  } else {
    sink_(now, std::move(output));
  }
}

// One write at a time: they would overtake each other on the workers.
void NodeShell::keep_sequence() {
  if (is_keeping_sequence_ || sequence_ == kept_sequence_) return;
  is_keeping_sequence_ =
      pool_->run([file = sequence_file_, sequence = sequence_] { return store::write_sequence(file, sequence); },
                 [this, sequence = sequence_](const Result<void>& written) {
                   is_keeping_sequence_ = false;
                   if (!written) return;  // tried again with the next one, and at the end
                   kept_sequence_ = sequence;
                   keep_sequence();
                 });
}

void NodeShell::announce_stores() {
  if (!announces_stores_) return;
  are_stores_outdated_ = true;
  if (is_listing_stores_) return;
  are_stores_outdated_ = false;
  is_listing_stores_ = pool_->run([&store = store_] { return store.list(); },
                                  [this](const Result<std::vector<store::StoreInfo>>& listed) {
                                    is_listing_stores_ = false;
                                    if (listed) {
                                      const Instant now = monotonic_now();
                                      core_->set_stores(now, ids_of(*listed));
                                      pump(now);
                                    }
                                    if (are_stores_outdated_) announce_stores();
                                  });
}

void NodeShell::answer_disk(node::DiskRequestId id, Result<node::DiskAnswer> answer) {
  const Instant now = monotonic_now();
  core_->handle_disk(now, id, std::move(answer));
  pump(now);
}

void NodeShell::answer_opened(node::DiskRequestId id, bool wants_sha256,
                              Result<std::unique_ptr<store::PartialStore>> opened) {
  if (!opened) {
    answer_disk(id, std::unexpected(opened.error()));
    return;
  }
  const node::PartialId partial_id{next_partial_++};
  Partial& partial = partials_[partial_id];
  partial.store = std::move(*opened);
  if (wants_sha256) partial.hasher = std::make_shared<store::PrefixHasher>(partial.store);
  answer_disk(id, node::PartialOpened{partial_id, partial.store->have()});
}

// Runs work() -> Result<one alternative of DiskAnswer> on a worker and answers the core with it.
template <class Work>
void NodeShell::run_disk_work(node::DiskRequestId id, Work work) {
  const bool is_running = pool_->run(std::move(work), [this, id](auto result) {
    if (result) {
      answer_disk(id, std::move(*result));
    } else {
      answer_disk(id, std::unexpected(std::move(result).error()));
    }
  });
  if (is_running) return;
  loop_->post([this, id] { answer_disk(id, fail(Errc::limit_reached, "too much disk work is waiting")); });
}

void NodeShell::ask_disk(node::DiskRequest request) {
  const node::DiskRequestId id = request.id;
  const bool is_for_peers = std::holds_alternative<node::FindStore>(request.request) ||
                            std::holds_alternative<node::ReadChunk>(request.request);
  if (is_for_peers && pool_->snapshot().queued >= k_max_queued_reads) {
    loop_->post([this, id] { answer_disk(id, fail(Errc::limit_reached, "the disk is busy")); });
  } else if (const auto* find = std::get_if<node::FindStore>(&request.request)) {
    run_disk_work(id, [&store = store_, find = *find] { return find_store(store, find); });
  } else if (auto* read = std::get_if<node::ReadChunk>(&request.request)) {
    run_disk_work(id, [readers = readers_, read = std::move(*read)]() mutable -> Result<node::ChunkRead> {
      DIG_TRY(const auto reader, readers->open(read.store, read.root));
      DIG_TRY(const std::size_t size, reader->read_chunk(read.index, read.buffer));
      read.buffer.resize(size);
      DIG_TRY(auto proof, reader->proof(read.index));
      return node::ChunkRead{std::move(read.buffer), std::move(proof)};
    });
  } else if (auto* open = std::get_if<node::OpenPartial>(&request.request)) {
    const bool is_running =
        pool_->run([&store = store_, manifest = std::move(open->manifest)] { return store.open_partial(manifest); },
                   [this, id, wants_sha256 = open->wants_sha256](auto opened) {
                     answer_opened(id, wants_sha256, std::move(opened));
                   });
    if (!is_running) loop_->post([this, id] { answer_disk(id, fail(Errc::limit_reached)); });
  } else if (auto* write = std::get_if<node::WriteChunk>(&request.request)) {
    run_disk_work(
        id, [partial = partial(write->partial), write = std::move(*write)]() mutable -> Result<node::ChunkWritten> {
          if (!partial.store) return fail(Errc::cancelled);
          Result<void> written = partial.store->write_chunk(write.index, write.data, write.proof);
          if (written && partial.hasher) partial.hasher->chunk_written(write.index, write.data);
          return node::ChunkWritten{std::move(write.data), std::move(written)};
        });
  }
}

void NodeShell::forget_store(const StoreId& id, const std::optional<RootHash>& root) { readers_->forget(id, root); }

}  // namespace dig::net
