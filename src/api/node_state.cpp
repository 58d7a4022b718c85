// SPDX-License-Identifier: Apache-2.0
// The public Node: its streams, and the side of it that runs on the loop.
#include "api/node_state.hpp"

#include <algorithm>
#include <chrono>

#include "net/clock.hpp"

namespace dignet {
namespace {

double seconds(dig::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Node::State::State(dig::Identity identity, std::unique_ptr<dig::store::LocalStore> store)
    : identity_(std::move(identity)),
      public_identity_(to_public(identity_)),
      store_(std::move(store)),
      handle_(std::make_shared<detail::NodeHandle>(*this)) {}

Node::State::~State() {
  if (shell_) shell_->stop();
  (void)outbox_.run();  // what was complete before the end is told as it was
  handle_->detach();
  completions_.cancel_all();
}

// --- the application's side
// -----------------------------------------------------------------------------------------------

OperationId Node::State::begin(Observer observer) {
  const OperationId id = next_operation_++;
  if (observer) observers_.emplace(id, std::move(observer));
  return id;
}

void Node::State::observe(OperationId id, const OperationEvent& event) {
  // The next progress says the same and more.
  if (std::holds_alternative<ProgressEvent>(event) && outbox_.waiting() >= k_max_waiting) return;
  outbox_.put([this, id, event] {
    if (const auto found = observers_.find(id); found != observers_.end()) found->second(event);
  });
}

void Node::State::read_stream(std::uint64_t connection, std::uint64_t stream, std::size_t max_bytes,
                              Completion<ReadData> done) {
  const Completions::Id id = completions_.add<ReadData>(std::move(done));
  const StreamKey key{{connection}, {stream}};
  shell_->post([this, id, key, max_bytes](dig::Instant now, dig::node::NodeCore& core) {
    auto& waiting = stream_waits_[key].read;
    if (waiting) {
      complete_later<ReadData>(id, dig::fail(Errc::invalid_argument, "one read at a time"));
      return;
    }
    waiting = id;
    core.read_app_stream(now, key.first, key.second, max_bytes);
  });
}

void Node::State::write_stream(std::uint64_t connection, std::uint64_t stream, std::vector<std::byte> bytes,
                               Completion<void> done) {
  const Completions::Id id = completions_.add<void>(std::move(done));
  const StreamKey key{{connection}, {stream}};
  shell_->post([this, id, key, bytes = std::move(bytes)](dig::Instant now, dig::node::NodeCore& core) mutable {
    auto& waiting = stream_waits_[key].write;
    if (waiting) {
      complete_later<void>(id, dig::fail(Errc::invalid_argument, "one write at a time"));
      return;
    }
    waiting = id;
    core.write_app_stream(now, key.first, key.second, std::move(bytes));
  });
}

void Node::State::finish_stream(std::uint64_t connection, std::uint64_t stream) {
  shell_->post([key = StreamKey{{connection}, {stream}}](dig::Instant now, dig::node::NodeCore& core) {
    core.finish_app_stream(now, key.first, key.second);
  });
}

void Node::State::reset_stream(std::uint64_t connection, std::uint64_t stream, std::uint64_t code) {
  shell_->post([key = StreamKey{{connection}, {stream}}, code](dig::Instant now, dig::node::NodeCore& core) {
    core.reset_app_stream(now, key.first, key.second, code);
  });
}

void Node::State::stop_stream(std::uint64_t connection, std::uint64_t stream, std::uint64_t code) {
  shell_->post([key = StreamKey{{connection}, {stream}}, code](dig::Instant now, dig::node::NodeCore& core) {
    core.stop_app_stream(now, key.first, key.second, code);
  });
}

// --- the loop's side
// --------------------------------------------------------------------------------------------------------

void Node::State::handle_fact(dig::Instant now, dig::node::NodeOutput fact) {
  const auto to_fetch = [&](dig::node::OperationId operation) {
    const auto found = fetch_of_core_.find(operation);
    if (found == fetch_of_core_.end()) return false;
    const auto job = found->second;
    const auto* holders = std::get_if<dig::node::HoldersFound>(&fact);
    const bool is_last =
        std::holds_alternative<dig::node::FetchEnded>(fact) || (holders != nullptr && holders->is_last);
    if (is_last) fetch_of_core_.erase(found);
    job->handle_fact(fact);
    return true;
  };
  if (const auto* found = std::get_if<dig::node::HoldersFound>(&fact)) {
    (void)to_fetch(found->operation);
  } else if (auto* event = std::get_if<dig::node::NodeFact>(&fact)) {
    tell(std::move(event->event));
  } else if (auto* attempts = std::get_if<dig::node::AttemptsCompleted>(&fact)) {
    if (to_fetch(attempts->operation)) return;
    const auto connect = connects_.find(attempts->operation);
    if (connect == connects_.end()) return;
    for (Attempt& attempt : attempts->attempts) observe(connect->second.id, AttemptEvent{std::move(attempt)});
  } else if (const auto* path = std::get_if<dig::node::PathChosen>(&fact)) {
    (void)to_fetch(path->operation);
  } else if (const auto* progress = std::get_if<dig::node::FetchProgressed>(&fact)) {
    (void)to_fetch(progress->operation);
  } else if (const auto* wanted = std::get_if<dig::node::FetchWantedComplete>(&fact)) {
    (void)to_fetch(wanted->operation);
  } else if (const auto* ended = std::get_if<dig::node::FetchEnded>(&fact)) {
    (void)to_fetch(ended->operation);
  } else if (auto* connected = std::get_if<dig::node::ConnectEnded>(&fact)) {
    handle_connect_ended(now, *connected);
  } else if (const auto* pinged = std::get_if<dig::node::PingEnded>(&fact)) {
    const auto waiting = pings_.extract(pinged->operation);
    if (waiting.empty()) return;
    Result<PingReport> report = dig::fail(Errc::internal);
    if (pinged->rtt) report = PingReport{seconds(*pinged->rtt) * 1000};
    if (!pinged->rtt) report = std::unexpected(pinged->rtt.error());
    complete_later<PingReport>(waiting.mapped(), std::move(report));
  } else {
    handle_app_stream(fact);
  }
}

NodeStatus Node::State::status(dig::Instant now) const {
  NodeStatus status = to_public(now, shell_->core().snapshot());
  if (status.directory) status.directory->is_shared = shell_->is_directory_shared();
  for (const dig::Multiaddr& address : shell_->addresses()) status.addresses.push_back(address.to_string());
  if (!shell_->ports().empty()) status.one_port = to_public(shell_->stream_status(), shell_->datagram_status());
  return status;
}

void Node::State::tell(NodeEvent event) {
  if (outbox_.waiting() < k_max_waiting) {
    outbox_.put([this, event = std::move(event)] {
      if (on_event_) on_event_(event);
    });
  } else if (lost_events_++ == 0) {
    // Takes its place in the row where the first one is missing.
    outbox_.put([this] {
      const std::string count = std::to_string(lost_events_.exchange(0));
      if (on_event_)
        on_event_(Warning{Error(Errc::limit_reached, count + " events were lost: process() came too late")});
    });
  }
}

void Node::State::tell_accepted(dig::node::AppStreamAccepted accepted) {
  if (outbox_.waiting() >= k_max_waiting) {
    shell_->post([key = StreamKey{accepted.connection, accepted.stream}](dig::Instant now, dig::node::NodeCore& core) {
      core.reset_app_stream(now, key.first, key.second, 0);
    });
    return;
  }
  outbox_.put([this, connection = accepted.connection.value, stream = accepted.stream.value,
               protocol = std::move(accepted.protocol), peer = accepted.peer.to_string()] {
    Stream taken(handle_, connection, stream, protocol, peer);
    const auto found = protocol_handlers_.find(protocol);
    if (found == protocol_handlers_.end()) return;
    const auto handler = found->second;  // it may replace itself
    if (*handler) (*handler)(std::move(taken));
  });
}

void Node::State::handle_connect_ended(dig::Instant now, dig::node::ConnectEnded& ended) {
  const auto connect = connects_.extract(ended.operation);
  if (connect.empty()) return;
  const ConnectJob& job = connect.mapped();
  if (!ended.result) {
    complete_operation<ConnectReport>(job.id, job.done, std::unexpected(ended.result.error()));
    return;
  }
  const PathEvent& path = ended.result->path;
  observe(job.id, path);
  complete_operation<ConnectReport>(job.id, job.done,
                                    ConnectReport{.connection = ended.result->connection.value,
                                                  .peer_id = path.peer_id,
                                                  .tier = path.tier,
                                                  .tier_name = path.tier_name,
                                                  .method = path.method,
                                                  .path = path.to,
                                                  .seconds = seconds(now - job.started),
                                                  .attempts = std::move(ended.attempts)});
}

void Node::State::handle_app_stream(dig::node::NodeOutput& fact) {
  const auto take = [&](const StreamKey& key, std::optional<Completions::Id> StreamWaits::* which) {
    const auto found = stream_waits_.find(key);
    if (found == stream_waits_.end()) return std::optional<Completions::Id>();
    const auto id = std::exchange(found->second.*which, std::nullopt);
    if (!found->second.read && !found->second.write) stream_waits_.erase(found);
    return id;
  };
  if (auto* read = std::get_if<dig::node::AppRead>(&fact)) {
    const auto id = take({read->connection, read->stream}, &StreamWaits::read);
    if (!id) return;
    Result<ReadData> data = ReadData{std::move(read->bytes), read->is_end};
    if (!read->result) data = std::unexpected(read->result.error());
    complete_later<ReadData>(*id, std::move(data));
  } else if (auto* written = std::get_if<dig::node::AppWritten>(&fact)) {
    const auto id = take({written->connection, written->stream}, &StreamWaits::write);
    if (id) complete_later<void>(*id, std::move(written->result));
  } else if (auto* opened = std::get_if<dig::node::AppStreamOpened>(&fact)) {
    const auto waiting = openings_.extract(opened->operation);
    if (waiting.empty()) return;
    outbox_.put([this, id = waiting.mapped().first, protocol = waiting.mapped().second,
                 connection = opened->connection.value, peer = opened->peer.to_string(), result = opened->result] {
      Result<Stream> stream = dig::fail(Errc::internal);
      if (result) stream = Stream(handle_, connection, result->value, protocol, peer);
      if (!result) stream = std::unexpected(result.error());
      completions_.complete<Stream>(id, std::move(stream));
    });
  } else if (auto* accepted = std::get_if<dig::node::AppStreamAccepted>(&fact)) {
    tell_accepted(std::move(*accepted));
  }
}

void Node::State::stores_changed() {
  shell_->post([this](dig::Instant /*now*/, dig::node::NodeCore& /*core*/) { shell_->announce_stores(); });
}

void Node::State::start_fetch(dig::Instant now, OperationId id, Completions::Id done, FetchJob::Spec spec) {
  const auto timeout = std::min(spec.request.timeout, k_longest_timeout);
  FetchJob::Callbacks callbacks;
  callbacks.event = [this, id](const OperationEvent& event) { observe(id, event); };
  callbacks.began = [this, id](dig::node::OperationId operation) { fetch_of_core_[operation] = fetches_.at(id); };
  callbacks.done = [this, id, done](Result<FetchReport> report) {
    timeouts_.erase(id);
    fetches_.erase(id);
    if (report) shell_->announce_stores();
    complete_operation<FetchReport>(id, done, std::move(report));
  };
  const auto job = std::make_shared<FetchJob>(*shell_, std::move(spec), std::move(callbacks));
  fetches_[id] = job;
  if (timeout.count() > 0) {
    auto timer = shell_->make_timer([this, id](dig::Instant later) {
      const auto found = fetches_.find(id);
      if (found == fetches_.end()) return;
      const auto late = found->second;
      late->cancel(later, Errc::timed_out);
      shell_->pump(later);
    });
    timer->set(now + timeout);
    timeouts_[id] = std::move(timer);
  }
  job->start(now);
}

}  // namespace dignet
