// SPDX-License-Identifier: Apache-2.0
// What stands behind the public Node. Two sides, each with its own data: the application's thread (completions,
// observers, handlers) and the loop (jobs, which operation of the core belongs to which completion). They meet only in
// NodeShell::post() towards the loop and in the Outbox towards the application.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "api/completions.hpp"
#include "api/convert.hpp"
#include "api/fetch_job.hpp"
#include "api/node_handle.hpp"
#include "api/outbox.hpp"
#include "dignet/node.hpp"
#include "ladder/tier_set.hpp"
#include "net/node_shell.hpp"
#include "store/disk/home_lock.hpp"
#include "store/disk/local_store.hpp"
#include "wire/identity.hpp"

namespace dignet {

struct Node::State final : detail::StreamOperations {
  State(dig::Identity identity, std::unique_ptr<dig::store::LocalStore> store);
  ~State() override;

  // --- the application's side ---
  OperationId begin(Observer observer);
  void observe(OperationId id, const OperationEvent& event);

  void read_stream(std::uint64_t connection, std::uint64_t stream, std::size_t max_bytes,
                   Completion<ReadData> done) override;
  void write_stream(std::uint64_t connection, std::uint64_t stream, std::vector<std::byte> bytes,
                    Completion<void> done) override;
  void finish_stream(std::uint64_t connection, std::uint64_t stream) override;
  void reset_stream(std::uint64_t connection, std::uint64_t stream, std::uint64_t code) override;
  void stop_stream(std::uint64_t connection, std::uint64_t stream, std::uint64_t code) override;

  enum class Length : std::uint8_t { brief, long_job };  // a long job reads or writes whole stores
  // Runs blocking store work on a worker and completes `done` with its result.
  template <class T, class Work>
  void run_store_work(Length length, Work work, Completion<T> done);
  // The same for a long job, as an operation: work(may_go_on) asks now and then whether it was cancelled.
  template <class T, class Work>
  void run_long_job(OperationId operation, Work work, Completion<T> done);
  // Completes on the application's thread; from either side.
  template <class T>
  void complete_later(Completions::Id id, Result<T> result);
  // The same for an operation that may have an observer.
  template <class T>
  void complete_operation(OperationId operation, Completions::Id id, Result<T> result);

  // --- the loop's side ---
  void handle_fact(dig::Instant now, dig::node::NodeOutput fact);
  [[nodiscard]] NodeStatus status(dig::Instant now) const;
  void tell(NodeEvent event);
  void tell_accepted(dig::node::AppStreamAccepted accepted);
  void handle_connect_ended(dig::Instant now, dig::node::ConnectEnded& ended);
  void handle_app_stream(dig::node::NodeOutput& fact);
  // Also from a worker.
  void stores_changed();
  void start_fetch(dig::Instant now, OperationId id, Completions::Id done, FetchJob::Spec spec);

  // What peers can bring about waits for process() up to this many calls; beyond, events are lost (a Warning says so)
  // and new streams are refused. Completions always wait: there are as many as the application began operations.
  static constexpr std::size_t k_max_waiting = 1024;

  struct ConnectJob {
    OperationId id = 0;
    Completions::Id done = 0;
    dig::Instant started;
  };
  struct StreamWaits {
    std::optional<Completions::Id> read;
    std::optional<Completions::Id> write;
  };
  using StreamKey = std::pair<dig::node::ConnectionId, dig::StreamId>;

  dig::Identity identity_;
  NodeIdentity public_identity_;
  std::optional<dig::store::HomeLock> lock_;
  std::unique_ptr<dig::store::LocalStore> store_;
  dig::ladder::TierSet tiers_ = dig::ladder::TierSet::all();
  std::unique_ptr<dig::net::NodeShell> shell_;
  Outbox outbox_;
  std::shared_ptr<detail::NodeHandle> handle_;

  // application
  Completions completions_;
  OperationId next_operation_ = 1;
  std::map<OperationId, Observer> observers_;
  std::map<OperationId, std::stop_source> long_jobs_;
  std::move_only_function<void(const NodeEvent&)> on_event_;
  std::map<std::string, std::shared_ptr<std::move_only_function<void(Stream)>>> protocol_handlers_;

  // loop
  std::map<dig::node::OperationId, ConnectJob> connects_;
  std::map<dig::node::OperationId, Completions::Id> pings_;
  std::map<dig::node::OperationId, std::pair<Completions::Id, std::string>> openings_;
  std::map<dig::node::OperationId, std::shared_ptr<FetchJob>> fetch_of_core_;
  std::map<OperationId, std::shared_ptr<FetchJob>> fetches_;
  std::map<OperationId, std::unique_ptr<dig::net::Timer>> timeouts_;
  std::map<StreamKey, StreamWaits> stream_waits_;
  std::atomic<std::uint64_t> lost_events_ = 0;  // since the last Warning about them; both sides
};

// For other parts of this layer.
struct NodeInternals {
  [[nodiscard]] static Node::State& state(Node& node) { return *node.state_; }
};

template <class T>
void Node::State::complete_later(Completions::Id id, Result<T> result) {
  outbox_.put([this, id, result = std::move(result)]() mutable { completions_.complete<T>(id, std::move(result)); });
}

template <class T>
void Node::State::complete_operation(OperationId operation, Completions::Id id, Result<T> result) {
  outbox_.put([this, operation, id, result = std::move(result)]() mutable {
    completions_.complete<T>(id, std::move(result));
    observers_.erase(operation);
  });
}

template <class T, class Work>
void Node::State::run_store_work(Length length, Work work, Completion<T> done) {
  const Completions::Id id = completions_.add<T>(std::move(done));
  shell_->post([this, id, length, work = std::move(work)](dig::Instant /*now*/, dig::node::NodeCore& /*core*/) mutable {
    auto finish = [this, id](Result<T> result) { complete_later<T>(id, std::move(result)); };
    const bool is_running = length == Length::brief ? shell_->run_on_worker(std::move(work), std::move(finish))
                                                    : shell_->run_long_job(std::move(work), std::move(finish));
    if (!is_running) complete_later<T>(id, dig::fail(Errc::limit_reached, "too much disk work is waiting"));
  });
}

template <class T, class Work>
void Node::State::run_long_job(OperationId operation, Work work, Completion<T> done) {
  const std::stop_source stop;
  long_jobs_.emplace(operation, stop);
  run_store_work<T>(
      Length::long_job,
      [this, token = stop.get_token(), work = std::move(work)]() -> Result<T> {
        const auto may_go_on = [&] { return !token.stop_requested() && !shell_->is_stopping(); };
        if (!may_go_on()) return dig::fail(Errc::cancelled);  // while it waited for its turn
        return work(may_go_on);
      },
      [this, operation, done = std::move(done)](Result<T> result) mutable {
        long_jobs_.erase(operation);
        observers_.erase(operation);
        if (done) done(std::move(result));
      });
}

}  // namespace dignet
