// SPDX-License-Identifier: Apache-2.0
// A simulated machine with one node on it: runs node::NodeCore unchanged, as net/NodeShell does, on the virtual
// network, a disk in memory and a monotonic clock whose origin is its own. The disk outlives a crash of the node.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/node_core.hpp"
#include "sim/memory_disk.hpp"
#include "sim/network.hpp"

namespace dig::sim {

struct HostSpec {
  std::string name;
  Endpoint endpoint;         // where it listens, until it moves
  Duration clock_origin{0};  // its monotonic clock shows this at the beginning of the world
  Duration disk_latency = 100us;
  Duration disk_jitter = 400us;
  node::NodeCore::Limits limits;
  // Also after a restart:
  bool is_bootstrap = false;  // a directory, a relay and an AutoNAT server, without a proof that it can be reached
  bool wants_roles = false;   // a relay and an AutoNAT server, once it was proven
};

class Host final : private SocketOwner {
 public:
  Host(HostSpec spec, std::uint64_t seed, OwnerNumber number, EventQueue& events, Network& network, Trace& trace);
  ~Host() override;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  [[nodiscard]] const PeerId& peer_id() const { return identity_.peer_id(); }
  [[nodiscard]] const Identity& identity() const { return identity_; }
  [[nodiscard]] const Endpoint& endpoint() const { return spec_.endpoint; }
  [[nodiscard]] Multiaddr address() const { return Multiaddr::tcp(spec_.endpoint); }
  [[nodiscard]] node::HolderSpec as_holder() const { return {peer_id(), {address()}}; }
  [[nodiscard]] MemoryDisk& disk() noexcept { return disk_; }
  [[nodiscard]] const MemoryDisk& disk() const noexcept { return disk_; }

  // Commands: command(Instant, NodeCore&), then what the core asks for is carried out.
  template <class Command>
  auto run(Command command) {
    auto result = command(local_now(), *core_);
    pump();
    return result;
  }
  node::OperationId fetch(const StoreName& store, std::vector<node::HolderSpec> holders);
  node::OperationId connect(const PeerId& peer, std::vector<Multiaddr> addresses);
  void cancel(node::OperationId operation);
  void close_all();

  // The results of operations, once they are there.
  [[nodiscard]] const node::FetchEnded* fetched(node::OperationId operation) const;
  [[nodiscard]] const node::ConnectEnded* connected(node::OperationId operation) const;
  [[nodiscard]] const std::vector<dignet::NodeEvent>& events() const noexcept { return node_events_; }
  [[nodiscard]] const node::TurnCredentialsEnded* turn_credentials(node::OperationId operation) const;
  // What a search for holders has found so far, and whether it is over.
  struct Search {
    std::vector<directory::VerifiedRecord> records;
    std::vector<Error> errors;
    bool is_over = false;
  };
  [[nodiscard]] const Search& searched(node::OperationId operation) { return searches_[operation]; }
  // Rows of the directory that are durable here.
  [[nodiscard]] std::size_t directory_rows() const noexcept { return directory_rows_.size(); }
  // Called with what the core tells and nothing here keeps.
  void on_output(std::function<void(node::NodeOutput&)> hook) { on_output_ = std::move(hook); }
  // Called with the bytes that are on disk after each chunk of any fetch.
  void on_progress(std::function<void(std::uint64_t bytes)> hook) { on_progress_ = std::move(hook); }

  // kill -9: the kernel resets the connections, what was asked of the disk and not yet done is not done.
  void crash();
  // The machine is off: nobody is told.
  void lose_power();
  void restart();
  // The machine is in another network, and listens there from now on; its connections are left to the test.
  void move_to(const Endpoint& endpoint);
  [[nodiscard]] bool is_running() const noexcept { return core_ != nullptr; }

  [[nodiscard]] node::NodeStatus snapshot() const { return core_->snapshot(); }
  [[nodiscard]] std::optional<Instant> next_timeout() const { return core_->next_timeout(); }
  [[nodiscard]] std::size_t disk_requests() const noexcept { return disk_requests_; }

 private:
  // SocketOwner
  [[nodiscard]] OwnerNumber number() const override { return number_; }
  [[nodiscard]] bool admits(const Endpoint& remote) override { return core_->admits(local_now(), remote); }
  void handle_accepted(SocketId socket, const Endpoint& local, const Endpoint& remote) override;
  void handle_dialled(DialToken dial, SocketId socket, const Endpoint& local, const Endpoint& remote) override;
  void handle_dial_failed(DialToken dial, const Error& error) override;
  void handle_bytes(SocketId socket, BytesView bytes) override;
  void handle_eof(SocketId socket) override;
  void handle_error(SocketId socket, const Error& error) override;
  [[nodiscard]] std::size_t poll_bytes(SocketId socket, MutableBytes out) override;
  [[nodiscard]] bool wants_bytes(SocketId socket) override;
  void settle() override { pump(); }

  [[nodiscard]] Instant local_now() const { return events_.now() + spec_.clock_origin; }
  void pump();
  void carry_out(node::NodeOutput& output);
  void carry_out_dial(const node::DialTcp& dial);
  void cancel_dial(node::DialId dial);
  void ask_disk(node::DiskRequest request);
  void persist(const node::PersistDirectory& request);
  void load_directory();
  void keep_fact(node::NodeOutput& output);
  void set_timer();
  void stop(bool says_so);

  HostSpec spec_;
  OwnerNumber number_;
  EventQueue& events_;
  Network& network_;
  Trace& trace_;
  SeededRng rng_;
  Identity identity_;
  MemoryDisk disk_;
  std::unique_ptr<node::NodeCore> core_;
  std::uint64_t life_ = 0;  // counts restarts: what was meant for an earlier life is dropped
  bool is_pumping_ = false;
  std::uint64_t timer_ = 0;  // the one that counts
  std::optional<Instant> timer_at_;
  Instant last_timer_;
  std::uint64_t timers_in_a_row_ = 0;  // at one instant
  std::size_t disk_requests_ = 0;
  std::uint64_t next_dial_ = 1;
  std::map<DialToken, node::DialId> dials_;
  std::map<node::OperationId, node::FetchEnded> fetched_;
  std::map<node::OperationId, node::ConnectEnded> connected_;
  std::map<node::OperationId, node::TurnCredentialsEnded> turn_credentials_;
  std::map<node::OperationId, Search> searches_;
  // The directory on disk, which outlives a crash: with when each row was written.
  struct StoredRow {
    store::DirectoryRow row;
    Instant written;
  };
  std::map<std::pair<PeerId, std::uint32_t>, StoredRow> directory_rows_;
  std::vector<dignet::NodeEvent> node_events_;
  std::function<void(std::uint64_t)> on_progress_;
  std::function<void(node::NodeOutput&)> on_output_;
};

}  // namespace dig::sim
