// SPDX-License-Identifier: Apache-2.0
// The commands of the API: connecting, pinging, fetching, and the streams of applications.
#include <algorithm>
#include <utility>

#include "node/node_core.hpp"
#include "node/ping_handler.hpp"
#include "proto/ping/ping.hpp"

namespace dig::node {

// --- reaching peers
// -------------------------------------------------------------------------------------------------------

OperationId NodeCore::connect(Instant now, ConnectSpec spec) {
  const OperationId id{next_id_++};
  ConnectOperation& operation =
      connects_.emplace(id, ConnectOperation{std::move(spec), ladder::AttemptLog(now), {}}).first->second;
  operation.deadline = now + operation.spec.timeout;
  const auto usable = operation.log.plan(now, operation.spec.tiers);
  tell_attempts(id, operation.log);
  if (usable.empty()) {
    end_connect(now, id, fail(Errc::all_tiers_failed, "no tier that --tiers allows can be used"));
  } else if (operation.spec.peer == identity_.peer_id()) {
    end_connect(now, id, fail(Errc::dialled_self));
  } else {
    start_dialling(now, {.owners = {id},
                         .peer = operation.spec.peer,
                         .own_log = nullptr,
                         .reacher = Reacher(now, operation.spec.addresses, operation.spec.tiers, operation.log,
                                            config_.limits.reach)});
  }
  settle(now);
  return id;
}

void NodeCore::dial_holder(Instant now, OperationId operation, exchange::HolderId holder, const HolderSpec& spec,
                           const ladder::TierSet& tiers, ladder::AttemptLog& log) {
  start_dialling(now, {.owners = {HolderOf{operation, holder}},
                       .peer = spec.peer,
                       .own_log = nullptr,
                       .reacher = Reacher(now, spec.addresses, tiers, log, config_.limits.reach)});
}

void NodeCore::start_dialling(Instant now, Dialling dialling) {
  const DiallingId id = next_id_++;
  diallings_.emplace(id, std::move(dialling));
  drain_dialling(now, id);
}

void NodeCore::drain_dialling(Instant now, DiallingId id) {
  for (;;) {
    const auto found = diallings_.find(id);
    if (found == diallings_.end()) return;
    auto event = found->second.reacher.poll_event();
    if (!event) return;
    if (auto* resolve = std::get_if<Reacher::Resolve>(&*event)) {
      const ResolveId look_up{next_id_++};
      look_ups_[look_up] = {id, resolve->index};
      put(ResolveName{look_up, std::move(resolve->name), resolve->family});
    } else if (const auto* dial = std::get_if<Reacher::DialDirect>(&*event)) {
      const DialId dial_id{next_id_++};
      dials_[dial_id] = {id, dial->dial, dial->way.carrier};
      found->second.dials[dial->dial] = dial_id;
      reachability_.note_contact(now, dial->remote.address);
      put(DialTcp{dial_id, dial->remote, dial->way.carrier, dial->way.tls_name, dial->way.http_host,
                  found->second.peer});
    } else if (auto* circuit = std::get_if<Reacher::DialCircuit>(&*event)) {
      dial_circuit(now, id, *circuit);
    } else if (const auto* cancelled = std::get_if<Reacher::Cancel>(&*event)) {
      abandon_dial(now, found->second, cancelled->dial);
    } else if (const auto* done = std::get_if<Reacher::Done>(&*event)) {
      finish_dialling(now, id, done->result);
      return;
    }
  }
}

void NodeCore::abandon_dial(Instant now, Dialling& dialling, DialIndex index) {
  if (const auto dial = dialling.dials.extract(index); !dial.empty()) {
    if (index.is_circuit) {
      abandon_circuit(now, dial.mapped());
    } else {
      dials_.erase(dial.mapped());
      put(CancelDial{dial.mapped()});
    }
  }
  if (const auto handshake = dialling.handshakes.extract(index); !handshake.empty()) {
    Link& entry = links_.at(handshake.mapped());
    entry.dial.reset();
    entry.link->close(now, Error(Errc::cancelled));
  }
}

void NodeCore::finish_dialling(Instant now, DiallingId id, const Result<DialIndex>& result) {
  Dialling dialling = std::move(diallings_.extract(id).mapped());
  std::erase_if(look_ups_, [&](const auto& entry) { return entry.second.dialling == id; });
  Result<ConnectionId> connection = fail(Errc::all_tiers_failed);
  if (result) {
    connection = dialling.handshakes.at(*result);
  } else {
    // One known reason is told as it is; that nothing answered is told as what it means for the ladder.
    const Errc code = result.error().code();
    const bool says_more =
        result.error().info().kind == ErrorKind::integrity || code == Errc::dialled_self || code == Errc::cancelled;
    connection = says_more ? std::unexpected(result.error()) : fail(Errc::all_tiers_failed, result.error().message());
  }
  for (const DialOwner& owner : dialling.owners) tell_reached(now, owner, dialling, connection, result);
}

void NodeCore::tell_reached(Instant now, const DialOwner& owner, const Dialling& dialling,
                            const Result<ConnectionId>& connection, const Result<DialIndex>& winner) {
  if (const auto* holder = std::get_if<HolderOf>(&owner)) {
    if (const auto fetch = fetches_.find(holder->fetch); fetch != fetches_.end()) {
      fetch->second->handle_connected(now, holder->holder, connection, dialling.has_connected);
    }
  } else if (const auto* circuit = std::get_if<DialId>(&owner)) {
    handle_relay_reached(now, *circuit, connection);
  } else if (const auto* server = std::get_if<directory::BootstrapId>(&owner)) {
    directory_clients_.handle_connected(now, *server, connection);
  } else if (const auto* attempt = std::get_if<relay::AttemptId>(&owner)) {
    handle_keeper_connected(now, *attempt, connection);
  } else if (std::holds_alternative<PartnerOf>(owner)) {
    dial_backs_.handle_partner_reached(now, dialling.peer, connection.has_value());
  } else if (const OperationId operation = std::get<OperationId>(owner); !connection) {
    end_connect(now, operation, std::unexpected(connection.error()));
  } else {
    const PeerLink& link = *links_.at(*connection).link;
    end_connect(
        now, operation,
        ConnectSuccess{*connection, ladder::path_event(dialling.reacher.method_of(*winner), {},
                                                       link.path().address.to_string(), link.peer().to_string())});
  }
}

void NodeCore::cancel_dials(Instant now, OperationId operation) {
  std::vector<DiallingId> of_operation;
  for (const auto& [id, dialling] : diallings_) {
    const auto* const holder = std::get_if<HolderOf>(&dialling.owners.front());
    const auto* const connect = std::get_if<OperationId>(&dialling.owners.front());
    const bool is_of_it =
        (holder != nullptr && holder->fetch == operation) || (connect != nullptr && *connect == operation);
    if (is_of_it) of_operation.push_back(id);
  }
  for (const DiallingId id : of_operation) abandon_dialling(now, id);
}

void NodeCore::abandon_dialling(Instant now, DiallingId id) {
  // Taken out first: nobody is to be told of the end of what was given up.
  auto node = diallings_.extract(id);
  if (node.empty()) return;
  Dialling& dialling = node.mapped();
  std::erase_if(look_ups_, [&](const auto& entry) { return entry.second.dialling == id; });
  dialling.reacher.cancel(now);
  while (auto event = dialling.reacher.poll_event()) {
    if (const auto* cancelled = std::get_if<Reacher::Cancel>(&*event)) abandon_dial(now, dialling, cancelled->dial);
  }
}

void NodeCore::end_connect(Instant now, OperationId id, Result<ConnectSuccess> result) {
  auto operation = connects_.extract(id);
  if (operation.empty()) return;
  ladder::AttemptLog& log = operation.mapped().log;
  log.cancel_open(now);
  tell_attempts(id, log);
  put(ConnectEnded{id, std::move(result), log.attempts()});
}

void NodeCore::tell_attempts(OperationId id, ladder::AttemptLog& log) {
  if (auto completed = log.take_completed(); !completed.empty()) put(AttemptsCompleted{id, std::move(completed)});
}

OperationId NodeCore::ping(Instant now, ConnectionId connection) {
  const OperationId id{next_id_++};
  PeerLink* link = find_link(connection);
  if (link == nullptr) {
    put(PingEnded{id, fail(Errc::connection_closed)});
    return id;
  }
  const auto opened = link->open(now, std::string(ping::k_protocol), make_pinger(*this, id, rng_));
  if (!opened) put(PingEnded{id, std::unexpected(opened.error())});
  settle(now);
  return id;
}

void NodeCore::close_all(Instant now) {
  // The operations first: they were cancelled, and did not fail because their connections went.
  for (const auto& [id, fetch] : fetches_) fetch->cancel(now);
  while (!connects_.empty()) {
    const OperationId id = connects_.begin()->first;
    cancel_dials(now, id);
    end_connect(now, id, fail(Errc::cancelled));
  }
  directory_clients_.stop(now);
  reachability_.stop(now);
  dial_backs_.stop();
  udp_probes_.stop(now);
  for (const relay::KeptRelay& kept : keeper_.snapshot().relays) keeper_.remove_relay(kept.relay);
  drain_keeper(now);
  settle(now);
  std::vector<ConnectionId> all;
  for (const auto& [id, entry] : links_) all.push_back(id);
  for (const ConnectionId id : all) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    Link& entry = found->second;
    if (!entry.link->is_established() && !carriers_.contains(id)) {  // nobody there to say goodbye to
      entry.has_transport = false;
      put(CloseConnection{id, false});
    }
    entry.link->close(now, Error(Errc::cancelled, "this node stops"));
  }
  settle(now);
}

void NodeCore::disconnect(Instant now, ConnectionId connection) {
  if (PeerLink* link = find_link(connection)) link->close(now, Error(Errc::connection_closed, "closed by this node"));
  settle(now);
}

// --- fetching
// -------------------------------------------------------------------------------------------------------------

OperationId NodeCore::fetch(Instant now, FetchSpec spec) {
  const OperationId id{next_id_++};
  FetchHost& host = *this;
  auto operation = std::make_unique<FetchOperation>(now, id, std::move(spec), pool_, host, config_.limits.fetch);
  fetches_.emplace(id, std::move(operation)).first->second->start(now);
  settle(now);
  return id;
}

void NodeCore::add_holders(Instant now, OperationId fetch, std::vector<HolderSpec> holders, bool more_come) {
  if (const auto found = fetches_.find(fetch); found != fetches_.end()) {
    found->second->add_holders(now, std::move(holders), more_come);
  }
  settle(now);
}

Result<void> NodeCore::want_chunks(Instant now, OperationId fetch, std::uint64_t first, std::uint64_t count) {
  const auto found = fetches_.find(fetch);
  if (found == fetches_.end()) return fail(Errc::cancelled);
  DIG_CHECK(found->second->want(now, first, count));
  settle(now);
  return {};
}

void NodeCore::finish_fetch(Instant now, OperationId fetch) {
  if (const auto found = fetches_.find(fetch); found != fetches_.end()) found->second->finish(now);
  settle(now);
}

void NodeCore::cancel(Instant now, OperationId operation) {
  if (const auto fetch = fetches_.find(operation); fetch != fetches_.end()) {
    fetch->second->cancel(now);
  } else if (connects_.contains(operation)) {
    cancel_dials(now, operation);
    end_connect(now, operation, fail(Errc::cancelled));
  }
  directory_clients_.cancel(operation);
  settle(now);
}

DiskRequestId NodeCore::ask_disk(OperationId operation, decltype(DiskRequest::request) request) {
  const DiskRequestId id{next_id_++};
  disk_[id] = operation;
  put(DiskRequest{id, std::move(request)});
  return id;
}

void NodeCore::handle_disk(Instant now, DiskRequestId id, Result<DiskAnswer> answer) {
  if (stores_.owns(id)) {
    if (const auto ready = stores_.handle_disk(now, id, std::move(answer))) {
      if (PeerLink* link = find_link(ready->connection)) link->service(now, ready->stream);
    }
  } else if (const auto owner = disk_.extract(id); !owner.empty()) {
    if (const auto fetch = fetches_.find(owner.mapped()); fetch != fetches_.end()) {
      fetch->second->handle_disk(now, id, std::move(answer));
    } else if (auto* written = answer ? std::get_if<ChunkWritten>(&*answer) : nullptr) {
      pool_.give(std::move(written->buffer));
    }
  }
  settle(now);
}

// --- streams of applications
// ------------------------------------------------------------------------------------------------

OperationId NodeCore::open_app_stream(Instant now, ConnectionId connection, const std::string& protocol) {
  const OperationId id{next_id_++};
  PeerLink* link = find_link(connection);
  if (link == nullptr) {
    put(AppStreamOpened{id, connection, {}, fail(Errc::connection_closed)});
    return id;
  }
  AppStreamSink& sink = *this;
  const auto opened = link->open(now, protocol, std::make_unique<AppStream>(sink, connection, link->peer(), id));
  if (!opened) put(AppStreamOpened{id, connection, link->peer(), std::unexpected(opened.error())});
  settle(now);
  return id;
}

void NodeCore::accept_app_protocol(Instant now, const std::string& protocol) {
  if (!app_protocols_.insert(protocol).second) return;
  protocols_.push_back(protocol);
  push_identify();
  settle(now);
}

AppStream* NodeCore::find_app_stream(ConnectionId connection, StreamId stream) {
  const auto found = app_streams_.find({connection, stream});
  return found == app_streams_.end() ? nullptr : found->second;
}

void NodeCore::add_app_stream(AppStream& stream) {
  app_streams_[{stream.connection(), stream.stream()}] = &stream;
  if (stream.is_inbound()) {
    ++links_.at(stream.connection()).app_streams;
    put(AppStreamAccepted{stream.connection(), stream.stream(), stream.protocol(), stream.peer()});
  }
}

void NodeCore::remove_app_stream(AppStream& stream) {
  const bool was_known = app_streams_.erase({stream.connection(), stream.stream()}) != 0;
  const auto found = links_.find(stream.connection());
  if (was_known && stream.is_inbound() && found != links_.end()) --found->second.app_streams;
}

void NodeCore::read_app_stream(Instant now, ConnectionId connection, StreamId stream, std::size_t max_bytes) {
  if (AppStream* app = find_app_stream(connection, stream)) {
    app->read(max_bytes);
    if (PeerLink* link = find_link(connection)) link->service(now, stream);
  } else {
    read_rest({connection, stream}, max_bytes);
  }
  settle(now);
}

void NodeCore::keep_rest(AppStream& stream, AppStreamRest rest) {
  // Beyond the limit the bytes are lost, and the reader hears the error in their place.
  if (rest_bytes_ + rest.bytes.size() > config_.limits.max_rest_bytes) rest = {{}, 0, false, std::move(rest.why)};
  rest_bytes_ += rest.bytes.size();
  rests_.insert_or_assign({stream.connection(), stream.stream()}, std::move(rest));
}

void NodeCore::read_rest(const AppStreamKey& key, std::size_t max_bytes) {
  const auto found = rests_.find(key);
  if (found == rests_.end()) return put(AppRead{key.first, key.second, fail(Errc::stream_closed), {}, false});
  AppStreamRest& rest = found->second;
  if (const std::size_t size = std::min(max_bytes, rest.bytes.size() - rest.read); size > 0) {
    const BytesView bytes = BytesView(rest.bytes).subspan(rest.read, size);
    rest.read += size;
    put(AppRead{key.first, key.second, {}, Bytes(bytes.begin(), bytes.end()), false});
  } else if (rest.has_end) {
    put(AppRead{key.first, key.second, {}, {}, true});
  } else {
    put(AppRead{key.first, key.second, std::unexpected(rest.why), {}, false});
  }
}

void NodeCore::drop_rest(const AppStreamKey& key) {
  const auto rest = rests_.extract(key);
  if (!rest.empty()) rest_bytes_ -= rest.mapped().bytes.size();
}

void NodeCore::write_app_stream(Instant now, ConnectionId connection, StreamId stream, Bytes bytes) {
  if (AppStream* app = find_app_stream(connection, stream)) {
    app->write(std::move(bytes));
    if (PeerLink* link = find_link(connection)) link->service(now, stream);
  } else {
    put(AppWritten{connection, stream, fail(Errc::stream_closed)});
  }
  settle(now);
}

void NodeCore::finish_app_stream(Instant now, ConnectionId connection, StreamId stream) {
  if (AppStream* app = find_app_stream(connection, stream)) {
    app->finish();
    if (PeerLink* link = find_link(connection)) link->service(now, stream);
  }
  settle(now);
}

void NodeCore::reset_app_stream(Instant now, ConnectionId connection, StreamId stream, std::uint64_t code) {
  if (find_app_stream(connection, stream) != nullptr) {
    if (PeerLink* link = find_link(connection))
      link->reset(now, stream, code, Error(Errc::stream_reset, "reset by this node"));
  }
  drop_rest({connection, stream});
  settle(now);
}

void NodeCore::stop_app_stream(Instant now, ConnectionId connection, StreamId stream, std::uint64_t code) {
  if (AppStream* app = find_app_stream(connection, stream)) {
    app->stop_reading();
    if (PeerLink* link = find_link(connection)) link->stop_sending(now, stream, code);
  }
  drop_rest({connection, stream});
  settle(now);
}

}  // namespace dig::node
