// SPDX-License-Identifier: Apache-2.0
#include "node/node_core.hpp"

#include <algorithm>
#include <utility>

#include "node/ping_handler.hpp"
#include "proto/connection/yamux_connection.hpp"
#include "proto/identify/identify_stream.hpp"
#include "proto/ping/ping.hpp"
#include "proto/relay/protocol.hpp"

namespace dig::node {

NodeCore::Limits NodeCore::Limits::of_bootstrap() {
  Limits limits;
  limits.max_connections = 16'384;
  limits.accepts.half_open_total = 2048;
  limits.relay.reservations = 8192;
  limits.relay.reservations_per_source = 64;  // many homes share the address of a carrier's NAT
  limits.relay.circuits = 4096;
  limits.dial_backs.requests.total = 1200;  // everybody asks it, and all at once when it was restarted
  limits.dial_backs.requests.running = 128;
  limits.udp_probes.requests.total = 1200;
  limits.udp_probes.requests.dial_data = 120;  // homes whose relay ports are at another address of theirs
  return limits;
}

NodeCore::NodeCore(const Identity& identity, Rng& rng, Config config)
    : identity_(identity),
      rng_(rng),
      config_(std::move(config)),
      limiter_(config_.limits.accepts),
      stores_(pool_, config_.limits.stores),
      identify_(identity, config_.agent_version, *this),
      relay_(identity, rng, *this, config_.limits.relay),
      keeper_(identity.peer_id(), rng, config_.limits.reservations),
      directory_clients_(identity, rng, *this),
      turn_(identity.peer_id(), rng, *this, config_.limits.turn),
      udp_probes_(rng, *this, config_.limits.udp_probes),
      reachability_(rng, *this, config_.limits.reachability),
      dial_backs_(rng, *this, config_.limits.dial_backs),
      protocols_{std::string(identify::k_protocol),   std::string(identify::k_push_protocol),
                 std::string(ping::k_protocol),       std::string(k_store_protocol),
                 std::string(relay::k_stop_protocol), std::string(autonat::k_dial_back_protocol)} {
  relay_.server().set_mode(relay::RelayMode::off);
}

// Operations refer to handlers on links, and handlers to the services: in this order nobody outlives what it refers to.
// Handlers that go look for their link, so the table is empty before they do.
NodeCore::~NodeCore() {
  fetches_.clear();
  std::exchange(links_, {}).clear();
  leaving_.clear();
}

// --- transports
// --------------------------------------------------------------------------------------------------------

bool NodeCore::admits(Instant now, const Endpoint& remote) {
  const auto of_source = inbound_.find(AcceptLimiter::prefix_of(remote.address));
  if (of_source != inbound_.end() && of_source->second >= config_.limits.max_inbound_per_source) return false;
  if (limiter_.admit(now, remote.address) != AcceptLimiter::Verdict::admitted) return false;
  // Room is made when it is known that libp2p is spoken: whoever says nothing costs no peer its connection.
  if (links_.size() < config_.limits.max_connections || longest_idle() != nullptr) return true;
  limiter_.handshake_ended(remote.address);
  return false;
}

PeerLink* NodeCore::longest_idle() const {
  PeerLink* longest = nullptr;
  for (const auto& [id, entry] : links_) {
    PeerLink& link = *entry.link;
    const auto since = link.idle_since();
    if (link.direction() != Direction::inbound || !link.is_established() || link.is_closed() || !since) continue;
    if (relay_.carries_reservation(id) || link.path().is_relayed) continue;
    if (longest == nullptr || *since < *longest->idle_since()) longest = &link;
  }
  return longest;
}

void NodeCore::handle_accepted(Instant now, ConnectionId id, const Endpoint& local, const Endpoint& remote,
                               Multiaddr::Carrier carrier) {
  if (links_.size() >= config_.limits.max_connections) {
    PeerLink* const idle = longest_idle();
    if (idle != nullptr) idle->close(now, Error(Errc::limit_reached, "idle, and its place was needed"));
  }
  add_link(now, id, Direction::inbound, LinkPath::tcp(local, remote, carrier), std::nullopt, std::nullopt);
  links_.at(id).is_half_open = true;
  settle(now);
}

void NodeCore::handle_dialled(Instant now, DialId dial, ConnectionId id, const Endpoint& local,
                              const Endpoint& remote) {
  const auto ref = dials_.extract(dial);
  if (ref.empty()) {
    // Otherwise cancelled while the answer was on its way.
    if (!handle_dial_back_dialled(now, dial, id, local, remote)) put(CloseConnection{id, false});
    settle(now);
    return;
  }
  Dialling& dialling = diallings_.at(ref.mapped().dialling);
  dialling.dials.erase(ref.mapped().index);
  dialling.handshakes.emplace(ref.mapped().index, id);
  dialling.has_connected = true;
  add_link(now, id, Direction::outbound, LinkPath::tcp(local, remote, ref.mapped().carrier), ref.mapped(),
           dialling.peer);
  put(Flush{id});
  settle(now);
}

void NodeCore::handle_dial_failed(Instant now, DialId dial, const Error& error) {
  const auto ref = dials_.extract(dial);
  if (ref.empty()) {
    if (handle_dial_back_failed(dial)) settle(now);
    return;
  }
  Dialling& dialling = diallings_.at(ref.mapped().dialling);
  dialling.dials.erase(ref.mapped().index);
  dialling.reacher.handle_failed(now, ref.mapped().index, error);
  drain_dialling(now, ref.mapped().dialling);
  settle(now);
}

void NodeCore::handle_resolved(Instant now, ResolveId id, Result<std::vector<IpAddress>> addresses) {
  const auto ref = look_ups_.extract(id);
  if (ref.empty()) return;
  diallings_.at(ref.mapped().dialling).reacher.handle_resolved(now, ref.mapped().index, std::move(addresses));
  drain_dialling(now, ref.mapped().dialling);
  settle(now);
}

void NodeCore::handle_bytes(Instant now, ConnectionId id, BytesView bytes) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  touched_.insert(id);
  found->second.link->handle_bytes(now, bytes);
  settle(now);
}

void NodeCore::handle_eof(Instant now, ConnectionId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  touched_.insert(id);
  found->second.link->handle_eof(now);
  settle(now);
}

void NodeCore::handle_transport_error(Instant now, ConnectionId id, const Error& error) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  found->second.has_transport = false;
  found->second.link->close(now, error);
  settle(now);
}

std::size_t NodeCore::poll_bytes(Instant now, ConnectionId id, MutableBytes out) {
  if (const auto found = links_.find(id); found != links_.end()) {
    const std::size_t size = found->second.link->poll_bytes(now, out);
    if (size > 0) touched_.insert(id);
    return size;
  }
  const auto leaving = leaving_.find(id);
  if (leaving == leaving_.end()) return 0;
  const std::size_t size = leaving->second.link->poll_bytes(now, out);
  if (size == 0) leaving_.erase(leaving);
  return size;
}

bool NodeCore::wants_bytes(ConnectionId id) const {
  const auto found = links_.find(id);
  return found != links_.end() && found->second.link->wants_bytes();
}

// What changes meanwhile is told to those who were told already in the next round.
void NodeCore::push_identify_now(Instant now) {
  if (!pushed_until_) is_push_due_ = false;
  auto next = pushed_until_ ? links_.upper_bound(*pushed_until_) : links_.begin();
  for (std::size_t told = 0; next != links_.end() && told < k_pushes_at_once; ++next) {
    const Link& entry = next->second;
    if (!entry.link->is_established() || entry.link->is_closed() || entry.dial_back) continue;
    identify_.push(now, *entry.link, protocols_);
    pushed_until_ = next->first;
    ++told;
  }
  const bool is_over = next == links_.end();
  if (is_over) pushed_until_.reset();
  next_push_ = now + (is_over ? k_between_rounds : k_between_pushes);
}

void NodeCore::add_link(Instant now, ConnectionId id, Direction direction, LinkPath path, std::optional<DialRef> dial,
                        std::optional<PeerId> expected) {
  auto connection = std::make_unique<YamuxConnection>(
      upgrade::Config{.direction = direction, .identity = identity_, .expected_peer = std::move(expected)},
      config_.limits.yamux, rng_, now);
  ProtocolHost& host = *this;
  Link& entry = links_[id];
  entry.link =
      std::make_unique<PeerLink>(id, direction, std::move(path), std::move(connection), host, config_.limits.link);
  entry.dial = dial;
  if (std::size_t* const count = inbound_of(*entry.link)) ++*count;
  if (!entry.link->path().is_relayed) reachability_.handle_link_made(now, *entry.link);
  touched_.insert(id);
}

std::size_t* NodeCore::inbound_of(const PeerLink& link) {
  if (link.direction() != Direction::inbound || link.path().is_relayed) return nullptr;
  return &inbound_[AcceptLimiter::prefix_of(link.path().remote.address)];
}

// --- what links tell
// ------------------------------------------------------------------------------------------------------

std::unique_ptr<StreamHandler> NodeCore::make_handler(Instant now, PeerLink& link, const std::string& protocol) {
  // A connection that was made to say a nonce is for that alone: it ends with it. By identify the peer would take it
  // for one on which this server can be asked.
  if (links_.at(link.id()).dial_back) return nullptr;
  if (protocol == k_store_protocol) return stores_.make_handler(now, link);
  if (protocol == ping::k_protocol) return make_ping_responder();
  if (protocol == identify::k_protocol) return identify_.make_responder(link, protocols_);
  if (protocol == identify::k_push_protocol) return identify_.make_push_receiver(now, link);
  if (protocol == relay::k_hop_protocol) return relay_.make_hop_handler(now, link);
  if (protocol == k_directory_protocol && directory_) return directory_->make_handler(now, link);
  if (protocol == turn_credentials::k_protocol) return turn_.make_handler(now, link);
  if (protocol == relay::k_stop_protocol) return make_circuit_responder(now, *this, link.id());
  if (protocol == autonat::k_dial_back_protocol) return reachability_.make_dial_back_handler(now, link);
  if (protocol == autonat::k_dial_request_protocol && !app_protocols_.contains(protocol)) {
    // Nobody was seen on a relayed connection.
    return link.path().is_relayed ? nullptr : dial_backs_.make_request_handler(now, link);
  }
  if (protocol == autonat::k_dial_back_order_protocol) {
    return link.path().is_relayed ? nullptr : dial_backs_.make_order_handler(now, link);
  }
  if (protocol == udp_probe::k_protocol && !app_protocols_.contains(protocol)) {
    return link.path().is_relayed ? nullptr : udp_probes_.make_answer_handler(now, link);
  }
  if (links_.at(link.id()).app_streams >= config_.limits.max_app_streams_per_connection) return nullptr;
  AppStreamSink& sink = *this;
  return std::make_unique<AppStream>(sink, link.id(), link.peer(), protocol);
}

void NodeCore::handle_established(Instant now, PeerLink& link) {
  Link& entry = links_.at(link.id());
  end_handshake(entry);
  entry.established = now;
  if (entry.dial_back) return handle_dial_back_established(now, link, *entry.dial_back);
  if (peers_.count(link.peer()) >= config_.limits.max_connections_per_peer) {
    link.close(now, Error(Errc::limit_reached, "too many connections of one peer"));
    return;
  }
  peers_.emplace(link.peer(), link.id());
  put(NodeFact{dignet::PeerConnected{link.peer().to_string(), link.path().address.to_string(),
                                     link.direction() == Direction::inbound, link.id().value}});
  if (const auto dial = std::exchange(entry.dial, std::nullopt)) {
    const auto dialling = diallings_.find(dial->dialling);
    if (dialling != diallings_.end()) {
      dialling->second.reacher.handle_established(now, dial->index);
      drain_dialling(now, dial->dialling);
    }
  }
  if (!link.is_closed()) identify_.request(now, link);
}

void NodeCore::handle_link_closed(Instant now, PeerLink& link, const Error& why) {
  Link& entry = links_.at(link.id());
  end_handshake(entry);
  closed_.push_back(link.id());
  reachability_.handle_link_closed(now, link);
  if (entry.dial_back) {
    using enum autonat::DialBackOutcome;
    return handle_nonce_said(*entry.dial_back, link.is_established() ? not_delivered : not_connected);
  }
  for (auto [peer, last] = peers_.equal_range(link.peer()); peer != last; ++peer) {
    if (peer->second != link.id()) continue;
    put(NodeFact{dignet::PeerDisconnected{link.peer().to_string(), why}});
    peers_.erase(peer);
    break;
  }
  if (link.is_established() && !link.path().is_relayed) {
    relay_.handle_link_closed(link);
    dial_backs_.handle_link_closed(now, link.peer());
    udp_probes_.handle_link_closed(now, link);
    keeper_.handle_connection_closed(now, {link.id().value});
    drain_keeper(now);
  }
  if (const auto dial = std::exchange(entry.dial, std::nullopt)) {
    const auto dialling = diallings_.find(dial->dialling);
    if (dialling == diallings_.end()) return;
    dialling->second.handshakes.erase(dial->index);
    dialling->second.reacher.handle_failed(now, dial->index, why);
    drain_dialling(now, dial->dialling);
  }
}

void NodeCore::handle_link_active(PeerLink& link) {
  touched_.insert(link.id());
  if (const auto carrier = carriers_.find(link.id()); carrier != carriers_.end()) {
    mark_stream_active(carrier->second.connection, carrier->second.stream);
  } else {
    put(Flush{link.id()});
  }
}

void NodeCore::end_handshake(Link& entry) {
  if (std::exchange(entry.is_half_open, false)) limiter_.handshake_ended(entry.link->path().remote.address);
}

PeerLink* NodeCore::find_link(const PeerId& peer, std::optional<ConnectionId> except) {
  for (auto [found, last] = peers_.equal_range(peer); found != last; ++found) {
    if (found->second == except) continue;
    if (PeerLink* link = find_link(found->second)) return link;
  }
  return nullptr;
}

PeerLink* NodeCore::find_link(ConnectionId connection) {
  const auto found = links_.find(connection);
  if (found == links_.end() || found->second.link->is_closed() || !found->second.link->is_established()) return nullptr;
  return found->second.link.get();
}

// --- time and outputs
// -----------------------------------------------------------------------------------------------------

void NodeCore::handle_timeout(Instant now) {
  std::vector<ConnectionId> due;
  for (const auto& [deadline, id] : schedule_) {
    if (deadline > now) break;
    due.push_back(id);
  }
  for (const ConnectionId id : due) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    found->second.link->handle_timeout(now);
    handle_link_active(*found->second.link);
  }
  std::erase_if(leaving_, [&](const auto& entry) { return entry.second.deadline <= now; });
  std::vector<DiallingId> diallings;
  for (const auto& [id, dialling] : diallings_) diallings.push_back(id);
  for (const DiallingId id : diallings) {
    if (const auto found = diallings_.find(id); found != diallings_.end()) {
      found->second.reacher.handle_timeout(now);
      drain_dialling(now, id);
    }
  }
  std::vector<OperationId> late;
  for (const auto& [id, connect] : connects_) {
    if (connect.deadline <= now) late.push_back(id);
  }
  for (const OperationId id : late) {
    cancel_dials(now, id);
    end_connect(now, id, fail(Errc::timed_out));
  }
  for (const auto& [id, fetch] : fetches_) {
    const auto deadline = fetch->next_timeout();
    if (deadline && *deadline <= now) fetch->handle_timeout(now);
  }
  relay_.handle_timeout(now);
  if (next_relay_attempt_ && *next_relay_attempt_ <= now) {
    next_relay_attempt_.reset();
    are_roles_due_ = true;
  }
  keeper_.handle_timeout(now);
  drain_keeper(now);
  if (directory_) directory_->handle_timeout(now);
  directory_clients_.handle_timeout(now);
  reachability_.handle_timeout(now);
  dial_backs_.handle_timeout(now);
  udp_probes_.handle_timeout(now);
  end_late_carriers(now);
  settle(now);
}

std::optional<Instant> NodeCore::next_timeout() const {
  std::optional<Instant> next;
  if (!schedule_.empty()) next = schedule_.begin()->first;
  for (const auto& [id, leaving] : leaving_) next = earliest(next, leaving.deadline);
  for (const auto& [id, dialling] : diallings_) next = earliest(next, dialling.reacher.next_timeout());
  for (const auto& [id, connect] : connects_) next = earliest(next, connect.deadline);
  for (const auto& [id, fetch] : fetches_) next = earliest(next, fetch->next_timeout());
  for (const auto& [id, deadline] : ending_carriers_) next = earliest(next, deadline);
  next = earliest(next, next_relay_attempt_);
  if (wants_push()) next = earliest(next, next_push_);
  if (directory_) next = earliest(next, directory_->server().next_timeout());
  next = earliest(next, directory_clients_.next_timeout());
  next = earliest(next, earliest(reachability_.next_timeout(), dial_backs_.next_timeout()));
  next = earliest(next, udp_probes_.next_timeout());
  return earliest(next, earliest(relay_.server().next_timeout(), keeper_.next_timeout()));
}

std::optional<NodeOutput> NodeCore::poll_output() {
  if (outputs_.empty()) return std::nullopt;
  NodeOutput output = std::move(outputs_.front());
  outputs_.pop_front();
  return output;
}

void NodeCore::settle(Instant now) {
  do {
    drain_active(now);
    settle_reachability(now);
    tidy_up(now);
  } while (!active_.empty() || !active_streams_.empty() || !closed_.empty() || !is_reachability_settled(now));
  for (const ConnectionId id : std::exchange(touched_, {})) {
    if (const auto found = links_.find(id); found != links_.end()) reschedule(found->second);
  }
}

void NodeCore::drain_active(Instant now) {
  while (!active_.empty()) {
    const OperationId id = *active_.begin();
    active_.erase(active_.begin());
    const auto found = fetches_.find(id);
    if (found == fetches_.end()) continue;
    found->second->drain(now);
    if (found->second->is_over()) fetches_.erase(found);
  }
  for (const auto& [connection, stream] : std::exchange(active_streams_, {})) {
    if (PeerLink* link = find_link(connection)) link->service(now, stream);
  }
}

void NodeCore::tidy_up(Instant now) {
  reset_evicted_store_streams(now);
  for (DiskRequest& request : stores_.take_requests(next_id_)) put(std::move(request));
  for (const ConnectionId id : std::exchange(closed_, {})) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    if (found->second.scheduled) schedule_.erase({*found->second.scheduled, id});
    if (std::size_t* const count = inbound_of(*found->second.link); count != nullptr && --*count == 0) {
      inbound_.erase(AcceptLimiter::prefix_of(found->second.link->path().remote.address));
    }
    const bool has_transport = found->second.has_transport;
    if (has_transport) {
      // The connection still has to say goodbye, and what was written before.
      leaving_[id] = {std::move(found->second.link), now + config_.limits.linger};
    }
    links_.erase(found);
    if (carriers_.contains(id)) {
      end_carrier(now, id);
    } else if (has_transport) {
      put(CloseConnection{id, true});
    }
  }
}

void NodeCore::reset_evicted_store_streams(Instant now) {
  for (const StoreService::Ready& evicted : stores_.take_evicted()) {
    if (PeerLink* link = find_link(evicted.connection)) {
      link->reset(now, evicted.stream, 0, Error(Errc::limit_reached, "idle, and its place was needed"));
    }
  }
}

void NodeCore::reschedule(Link& entry) {
  const auto next = entry.link->next_timeout();
  if (next == entry.scheduled) return;
  if (entry.scheduled) schedule_.erase({*entry.scheduled, entry.link->id()});
  entry.scheduled = next;
  if (next) schedule_.emplace(*next, entry.link->id());
}

NodeStatus NodeCore::snapshot() const {
  NodeStatus status;
  status.connections = links_.size();
  status.established = peers_.size();
  status.operations = connects_.size() + fetches_.size();
  status.store_streams = stores_.streams();
  status.accepts = limiter_.snapshot();
  status.roles = roles();
  status.bootstraps = directory_clients_.snapshot();
  for (BootstrapStatus& server : status.bootstraps) server.is_connected = peers_.contains(server.peer);
  status.reservations = keeper_.snapshot().relays;
  status.relay = relay_.server().snapshot();
  if (directory_) status.directory = directory_->server().snapshot();
  status.reachability = reachability_.snapshot();
  status.dial_backs = dial_backs_.snapshot();
  return status;
}

std::vector<LinkStatus> NodeCore::links() const {
  std::vector<LinkStatus> links;
  for (const auto& [id, entry] : links_) {
    const PeerLink& link = *entry.link;
    if (!link.is_established() || link.is_closed()) continue;
    links.push_back({id, link.peer(), link.direction(), link.path(), entry.established});
  }
  return links;
}

}  // namespace dig::node
