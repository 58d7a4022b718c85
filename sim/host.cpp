// SPDX-License-Identifier: Apache-2.0
#include "sim/host.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace dig::sim {
namespace {

// A timer that stays due after it was handled would keep a real loop busy for ever.
constexpr std::uint64_t k_max_timers_in_a_row = 1000;
constexpr UnixTime k_wall_at_start{1'800'000'000};  // the same for everybody

node::ConnectionId connection_of(SocketId id) { return node::ConnectionId{id.value}; }
SocketId socket_of(node::ConnectionId id) { return SocketId{id.value}; }

// What tells one output of a kind from another, for the trace.
std::uint64_t detail_of(const node::NodeOutput& output) {
  if (const auto* flush = std::get_if<node::Flush>(&output)) return flush->connection.value;
  if (const auto* close = std::get_if<node::CloseConnection>(&output)) return close->connection.value;
  if (const auto* dial = std::get_if<node::DialTcp>(&output)) return dial->dial.value;
  if (const auto* disk = std::get_if<node::DiskRequest>(&output)) return disk->id.value;
  if (const auto* progress = std::get_if<node::FetchProgressed>(&output)) return progress->progress.fetched_bytes;
  if (const auto* ended = std::get_if<node::FetchEnded>(&output)) {
    return ended->result ? ended->result->fetched_bytes : static_cast<std::uint64_t>(ended->result.error().code());
  }
  return 0;
}

}  // namespace

Host::Host(HostSpec spec, std::uint64_t seed, OwnerNumber number, EventQueue& events, Network& network, Trace& trace)
    : spec_(std::move(spec)),
      number_(number),
      events_(events),
      network_(network),
      trace_(trace),
      rng_(seed),
      identity_(Identity::generate(rng_)) {
  restart();
}

Host::~Host() { stop(false); }

// --- commands ---------------------------------------------------------------------------------------------------

node::OperationId Host::fetch(const StoreName& store, std::vector<node::HolderSpec> holders) {
  return run([&](Instant now, node::NodeCore& core) {
    return core.fetch(now, {.target = {.store = store.id, .root = store.root}, .holders = std::move(holders)});
  });
}

node::OperationId Host::connect(const PeerId& peer, std::vector<Multiaddr> addresses) {
  return run([&](Instant now, node::NodeCore& core) {
    return core.connect(now, {.peer = peer, .addresses = std::move(addresses)});
  });
}

void Host::cancel(node::OperationId operation) {
  core_->cancel(local_now(), operation);
  pump();
}

void Host::close_all() {
  core_->close_all(local_now());
  pump();
}

const node::FetchEnded* Host::fetched(node::OperationId operation) const {
  const auto found = fetched_.find(operation);
  return found == fetched_.end() ? nullptr : &found->second;
}

const node::ConnectEnded* Host::connected(node::OperationId operation) const {
  const auto found = connected_.find(operation);
  return found == connected_.end() ? nullptr : &found->second;
}

const node::TurnCredentialsEnded* Host::turn_credentials(node::OperationId operation) const {
  const auto found = turn_credentials_.find(operation);
  return found == turn_credentials_.end() ? nullptr : &found->second;
}

// --- life and death ---------------------------------------------------------------------------------------------

void Host::restart() {
  if (core_) return;
  core_ = std::make_unique<node::NodeCore>(identity_, rng_, node::NodeCore::Config{"sim", spec_.limits});
  const auto since_start = std::chrono::duration_cast<std::chrono::seconds>(events_.now().since_origin);
  core_->set_wall_clock(local_now(), {k_wall_at_start.seconds + since_start.count()});
  core_->set_addresses(local_now(), {address()});
  if (spec_.is_bootstrap) {
    core_->force_roles(local_now(), true);
    core_->start_directory(local_now());
    load_directory();
  }
  core_->set_relay(local_now(), spec_.is_bootstrap || spec_.wants_roles);
  core_->set_autonat_server(local_now(), spec_.is_bootstrap || spec_.wants_roles);
  network_.listen(*this, spec_.endpoint);
  pump();
}

void Host::load_directory() {
  for (const bool is_record : {true, false}) {  // the record of a peer before its pages
    for (const auto& [name, stored] : directory_rows_) {
      if ((name.second == 0) != is_record) continue;
      store::DirectoryRow row = stored.row;
      const Duration age = events_.now() - stored.written;
      row.lifetime = std::max(row.lifetime - age, Duration{0});
      row.kept = std::max(row.kept - age, Duration{0});
      (void)core_->load_directory_row(local_now(), row);
    }
  }
}

void Host::persist(const node::PersistDirectory& request) {
  events_.after(spec_.disk_latency, [this, request, life = life_] {
    if (life != life_) return;  // a crash before the commit
    for (const store::DirectoryChange& change : request.changes) {
      if (const auto* row = std::get_if<store::DirectoryRow>(&change)) {
        directory_rows_[{row->peer, row->slot}] = {*row, events_.now()};
      } else {
        const auto& erased = std::get<store::EraseRows>(change);
        std::erase_if(directory_rows_, [&](const auto& entry) {
          return entry.first.first == erased.peer && entry.first.second >= erased.first_slot;
        });
      }
    }
    core_->handle_persisted(local_now(), request.token, directory::PersistOutcome{});
    pump();
  });
}

void Host::crash() { stop(true); }

void Host::lose_power() { stop(false); }

void Host::stop(bool says_so) {
  if (!core_) return;
  network_.stop_listening(spec_.endpoint);
  network_.forget(*this, says_so);
  core_.reset();
  ++life_;
  ++timer_;
  timer_at_.reset();
  disk_requests_ = 0;
  dials_.clear();
  fetched_.clear();
  connected_.clear();
  turn_credentials_.clear();
  disk_.close_all_partials();
}

void Host::move_to(const Endpoint& endpoint) {
  network_.stop_listening(spec_.endpoint);
  spec_.endpoint = endpoint;
  network_.listen(*this, spec_.endpoint);
  core_->handle_network_changed(local_now(), {address()});
  pump();
}

// --- sockets ----------------------------------------------------------------------------------------------------

void Host::handle_accepted(SocketId socket, const Endpoint& local, const Endpoint& remote) {
  core_->handle_accepted(local_now(), connection_of(socket), local, remote);
}

void Host::handle_dialled(DialToken dial, SocketId socket, const Endpoint& local, const Endpoint& remote) {
  const auto id = dials_.extract(dial);
  core_->handle_dialled(local_now(), id.mapped(), connection_of(socket), local, remote);
}

void Host::handle_dial_failed(DialToken dial, const Error& error) {
  const auto id = dials_.extract(dial);
  core_->handle_dial_failed(local_now(), id.mapped(), error);
}

void Host::handle_bytes(SocketId socket, BytesView bytes) {
  core_->handle_bytes(local_now(), connection_of(socket), bytes);
}

void Host::handle_eof(SocketId socket) { core_->handle_eof(local_now(), connection_of(socket)); }

void Host::handle_error(SocketId socket, const Error& error) {
  core_->handle_transport_error(local_now(), connection_of(socket), error);
}

std::size_t Host::poll_bytes(SocketId socket, MutableBytes out) {
  return core_->poll_bytes(local_now(), connection_of(socket), out);
}

bool Host::wants_bytes(SocketId socket) { return core_->wants_bytes(connection_of(socket)); }

// --- what the core asks for ---------------------------------------------------------------------------------------

void Host::pump() {
  if (is_pumping_ || !core_) return;
  is_pumping_ = true;
  core_->settle(local_now());
  while (auto output = core_->poll_output()) {
    trace_.add(events_.now(), number_.value, TraceKind::output, output->index() << 48U | detail_of(*output));
    carry_out(*output);
    core_->settle(local_now());
  }
  set_timer();
  is_pumping_ = false;
}

void Host::carry_out(node::NodeOutput& output) {
  if (const auto* flush = std::get_if<node::Flush>(&output)) {
    network_.flush(socket_of(flush->connection));
  } else if (auto* disk = std::get_if<node::DiskRequest>(&output)) {
    ask_disk(std::move(*disk));
  } else if (const auto* rows = std::get_if<node::PersistDirectory>(&output)) {
    persist(*rows);
  } else if (const auto* dial = std::get_if<node::DialTcp>(&output)) {
    carry_out_dial(*dial);
  } else if (const auto* cancelled = std::get_if<node::CancelDial>(&output)) {
    cancel_dial(cancelled->dial);
  } else if (const auto* close = std::get_if<node::CloseConnection>(&output)) {
    network_.close(socket_of(close->connection), close->is_graceful);
  } else if (const auto* resolve = std::get_if<node::ResolveName>(&output)) {
    events_.after(Duration{0}, [this, id = resolve->resolve, life = life_] {
      if (life != life_) return;
      core_->handle_resolved(local_now(), id, fail(Errc::resolve_failed, "there are no names in this world"));
      pump();
    });
  } else {
    keep_fact(output);
  }
}

void Host::carry_out_dial(const node::DialTcp& dial) {
  const DialToken token{next_dial_++};
  dials_.emplace(token, dial.dial);
  const std::uint16_t port = dial.is_from_fresh_port ? std::uint16_t{0} : spec_.endpoint.port;
  network_.dial(*this, token, {spec_.endpoint.address, port}, dial.remote);
}

void Host::cancel_dial(node::DialId dial) {
  const auto found = std::ranges::find(dials_, dial, [](const auto& entry) { return entry.second; });
  if (found == dials_.end()) return;
  network_.cancel_dial(*this, found->first);
  dials_.erase(found);
}

void Host::ask_disk(node::DiskRequest request) {
  Duration latency = spec_.disk_latency;
  if (spec_.disk_jitter > Duration{0}) {
    latency += Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(spec_.disk_jitter.count()))));
  }
  ++disk_requests_;
  events_.after(latency, [this, request = std::move(request), life = life_]() mutable {
    if (life != life_) return;
    --disk_requests_;
    const node::DiskRequestId id = request.id;
    trace_.add(events_.now(), number_.value, TraceKind::disk, id.value);
    core_->handle_disk(local_now(), id, disk_.carry_out(std::move(request)));
    pump();
  });
}

void Host::keep_fact(node::NodeOutput& output) {
  if (auto* fact = std::get_if<node::NodeFact>(&output)) {
    node_events_.push_back(std::move(fact->event));
  } else if (const auto* progress = std::get_if<node::FetchProgressed>(&output)) {
    if (on_progress_) on_progress_(progress->progress.bytes);
  } else if (auto* fetch = std::get_if<node::FetchEnded>(&output)) {
    if (fetch->partial) disk_.close_partial(*fetch->partial, fetch->result.has_value());
    fetched_.emplace(fetch->operation, std::move(*fetch));
  } else if (auto* found = std::get_if<node::HoldersFound>(&output)) {
    Search& search = searches_[found->operation];
    search.is_over = found->is_last;
    std::ranges::move(found->records, std::back_inserter(search.records));
    std::ranges::move(found->errors, std::back_inserter(search.errors));
  } else if (auto* connect = std::get_if<node::ConnectEnded>(&output)) {
    connected_.emplace(connect->operation, std::move(*connect));
  } else if (auto* turn = std::get_if<node::TurnCredentialsEnded>(&output)) {
    turn_credentials_.emplace(turn->operation, std::move(*turn));
  } else if (on_output_) {
    on_output_(output);
  }
}

void Host::set_timer() {
  const auto next = core_->next_timeout();
  if (next == timer_at_) return;
  timer_at_ = next;
  const std::uint64_t number = ++timer_;
  if (!next) return;
  events_.at(*next - spec_.clock_origin, [this, number] {
    if (number != timer_) return;
    timer_at_.reset();
    timers_in_a_row_ = last_timer_ == events_.now() ? timers_in_a_row_ + 1 : 0;
    last_timer_ = events_.now();
    if (timers_in_a_row_ > k_max_timers_in_a_row) throw std::logic_error(spec_.name + ": a timer is due for ever");
    trace_.add(events_.now(), number_.value, TraceKind::timer, timers_in_a_row_);
    core_->handle_timeout(local_now());
    pump();
  });
}

}  // namespace dig::sim
