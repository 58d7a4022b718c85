// SPDX-License-Identifier: Apache-2.0
// The public Node: the application's side of it.
#include "dignet/node.hpp"

#include <algorithm>

#include "api/node_state.hpp"
#include "base/base_encoding.hpp"
#include "crypto/system_rng.hpp"
#include "dignet/version.hpp"
#include "store/disk/identity_file.hpp"

namespace dignet {
namespace {

Result<std::string> parse_domain(const std::string& name) {
  if (!name.empty() && !dig::Multiaddr::parse("/dns/" + name)) {
    return dig::fail(Errc::invalid_argument, "the domain is no name: " + name);
  }
  return name;
}

Result<std::vector<dig::IpAddress>> parse_ips(const std::vector<std::string>& texts, const std::string& what) {
  std::vector<dig::IpAddress> addresses;
  for (const std::string& text : texts) {
    const auto address = dig::IpAddress::parse(text);
    if (!address) return dig::fail(Errc::invalid_argument, what + " is no IP address: " + text);
    addresses.push_back(*address);
  }
  return addresses;
}

Result<dig::net::ShellOptions> shell_options(const NodeOptions& options) {
  dig::net::ShellOptions shell;
  shell.listen = options.listen;
  shell.preferred_port = options.preferred_port;
  DIG_TRY(shell.listen_addresses, parse_addresses(options.listen_addresses));
  DIG_TRY(shell.announce_addresses, parse_addresses(options.announce_addresses));
  DIG_TRY(shell.relays, parse_addresses(options.relays));
  shell.is_relay = options.is_relay;
  DIG_TRY(shell.bootstraps, parse_addresses(options.bootstraps));
  shell.is_bootstrap = options.is_bootstrap;
  shell.extra_ports = options.extra_ports;
  shell.tls_certificates = options.tls_certificates;
  shell.tls_key = options.tls_key;
  shell.authorities = options.authorities;
  if (!options.redis.empty()) {
    DIG_TRY(shell.redis, dig::net::RedisUrl::parse(options.redis));
  }
  DIG_TRY(shell.domain, parse_domain(options.domain));
  DIG_TRY(shell.public_ips, parse_ips(options.public_ips, "the public address"));
  shell.home = options.home;
  if (options.is_turn_relay) {
    shell.turn_relay = dig::net::NodeTurnOptions{
        .kind = options.is_turn_open ? dig::TurnRelayKind::open : dig::TurnRelayKind::pair,
        .has_tls = !shell.tls_certificates.empty(),
        .max_bits_per_second = options.turn_max_bits_per_second,
        .max_bytes_per_month = options.turn_max_bytes_per_month,
        .volume_file = options.home / "turn.volume",
        .relay = {.relay_ips = {}, .public_ips = shell.public_ips},
        .min_port = options.turn_min_port,
        .max_port = options.turn_max_port,
        .needs_probe = options.is_turn_open && !options.is_bootstrap && !options.forces_roles,
    };
    DIG_TRY(shell.turn_relay->relay.relay_ips, parse_ips(options.turn_relay_ips, "the address to relay from"));
  }
  shell.is_autonat_server = options.is_autonat_server;
  shell.forces_roles = options.forces_roles;
  shell.agent_version = std::string("dignet/") + k_version;
  return shell;
}

// An index that is damaged is made again from the files; a node does not stay down for it.
Result<std::unique_ptr<dig::store::LocalStore>> open_store(const std::filesystem::path& home) {
  auto store = dig::store::LocalStore::open(home);
  if (store || store.error().code() != Errc::index_damaged) return store;
  return dig::store::LocalStore::open_rebuilding_index(home);
}

}  // namespace

Node::Node(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Node>> Node::create(NodeOptions options) {
  DIG_TRY(const auto tiers, dig::ladder::TierSet::parse(options.tiers));
  DIG_TRY(const auto shell, shell_options(options));
  std::optional<dig::store::HomeLock> lock;
  if (options.listen) {
    DIG_TRY(lock, dig::store::HomeLock::acquire(options.home));
  }
  dig::crypto::SystemRng rng;
  DIG_TRY(auto identity, dig::store::load_or_create_identity(options.home, rng));
  DIG_TRY(auto store, open_store(options.home));
  auto state = std::make_unique<State>(std::move(identity), std::move(store));
  state->lock_ = std::move(lock);
  state->tiers_ = tiers;
  DIG_TRY(state->shell_, dig::net::NodeShell::create(shell, state->identity_, *state->store_));
  State* const raw = state.get();
  raw->shell_->start([raw](dig::Instant now, dig::node::NodeOutput fact) { raw->handle_fact(now, std::move(fact)); });
  return std::unique_ptr<Node>(new Node(std::move(state)));
}

Result<NodeIdentity> Node::load_identity(const std::filesystem::path& home) {
  dig::crypto::SystemRng rng;
  DIG_TRY(const auto identity, dig::store::load_or_create_identity(home, rng));
  return to_public(identity);
}

Node::~Node() = default;

int Node::event_handle() const noexcept { return state_->outbox_.handle(); }
std::size_t Node::process() { return state_->outbox_.run(); }
void Node::on_event(std::move_only_function<void(const NodeEvent&)> handler) { state_->on_event_ = std::move(handler); }
const NodeIdentity& Node::identity() const noexcept { return state_->public_identity_; }

std::vector<std::string> Node::addresses() const {
  std::vector<std::string> texts;
  for (const dig::Multiaddr& address : state_->shell_->addresses()) texts.push_back(address.to_string());
  return texts;
}

std::vector<PortLease> Node::ports() const {
  std::vector<PortLease> ports;
  for (const auto& status : state_->shell_->ports()) ports.push_back(to_public(status));
  return ports;
}

Result<void> Node::set_certificate(const std::string& certificates, const std::string& key) {
  DIG_TRY(const auto tls, dig::net::make_port_tls(state_->identity_, certificates, key));
  state_->shell_->set_tls(tls);
  return {};
}

void Node::status(Completion<NodeStatus> done) {
  State* const state = state_.get();
  const Completions::Id id = state->completions_.add<NodeStatus>(std::move(done));
  state->shell_->post([state, id](dig::Instant now, dig::node::NodeCore& /*core*/) {
    state->complete_later<NodeStatus>(id, state->status(now));
  });
}

void Node::peers(Completion<std::vector<PeerStatus>> done) {
  State* const state = state_.get();
  const Completions::Id id = state->completions_.add<std::vector<PeerStatus>>(std::move(done));
  state->shell_->post([state, id](dig::Instant now, dig::node::NodeCore& core) {
    std::vector<PeerStatus> peers;
    for (const dig::node::LinkStatus& link : core.links()) peers.push_back(to_public(now, link));
    state->complete_later<std::vector<PeerStatus>>(id, std::move(peers));
  });
}

OperationId Node::connect(ConnectRequest request, Observer observer, Completion<ConnectReport> done) {
  State* const state = state_.get();
  const OperationId id = state->begin(std::move(observer));
  const Completions::Id completion = state->completions_.add<ConnectReport>(std::move(done));
  auto peers = parse_peers(request.addresses);
  if (!peers || peers->size() != 1) {
    const Error why = peers ? Error(Errc::invalid_argument, "give the addresses of one peer") : peers.error();
    state->complete_operation<ConnectReport>(id, completion, std::unexpected(why));
    return id;
  }
  dig::node::ConnectSpec spec{peers->front().peer, std::move(peers->front().addresses), state->tiers_,
                              std::min(request.timeout, k_longest_timeout)};
  state->shell_->post(
      [state, id, completion, spec = std::move(spec)](dig::Instant now, dig::node::NodeCore& core) mutable {
        state->connects_[core.connect(now, std::move(spec))] = {id, completion, now};
      });
  return id;
}

void Node::ping(std::uint64_t connection, Completion<PingReport> done) {
  State* const state = state_.get();
  const Completions::Id id = state->completions_.add<PingReport>(std::move(done));
  state->shell_->post([state, id, connection](dig::Instant now, dig::node::NodeCore& core) {
    state->pings_[core.ping(now, dig::node::ConnectionId{connection})] = id;
  });
}

void Node::disconnect(std::uint64_t connection) {
  state_->shell_->post([connection](dig::Instant now, dig::node::NodeCore& core) {
    core.disconnect(now, dig::node::ConnectionId{connection});
  });
}

void Node::open_stream(std::uint64_t connection, std::string protocol, Completion<Stream> done) {
  State* const state = state_.get();
  const Completions::Id id = state->completions_.add<Stream>(std::move(done));
  state->shell_->post(
      [state, id, connection, protocol = std::move(protocol)](dig::Instant now, dig::node::NodeCore& core) {
        state->openings_[core.open_app_stream(now, dig::node::ConnectionId{connection}, protocol)] = {id, protocol};
      });
}

void Node::handle_protocol(std::string protocol, std::move_only_function<void(Stream)> handler) {
  state_->protocol_handlers_[protocol] = std::make_shared<std::move_only_function<void(Stream)>>(std::move(handler));
  state_->shell_->post([protocol = std::move(protocol)](dig::Instant now, dig::node::NodeCore& core) {
    core.accept_app_protocol(now, protocol);
  });
}

OperationId Node::add_store(std::filesystem::path path, AddOptions options, Observer observer,
                            Completion<StoreInfo> done) {
  State* const state = state_.get();
  const OperationId id = state->begin(std::move(observer));
  state->run_long_job<StoreInfo>(
      id,
      [state, id, path = std::move(path), options = std::move(options)](const auto& may_go_on) -> Result<StoreInfo> {
        std::optional<dig::StoreId> store_id;
        if (options.store_id) {
          auto parsed = dig::StoreId::from_hex(*options.store_id);
          if (!parsed) return dig::fail(Errc::invalid_argument, "a store id has 64 hexadecimal digits");
          store_id = *parsed;
        }
        const auto report = [&](std::uint64_t bytes, std::uint64_t total) {
          state->observe(id, ProgressEvent{.bytes = bytes, .total = total});
          return may_go_on();
        };
        DIG_TRY(const auto added, state->store_->add(path, state->identity_, store_id, report));
        state->stores_changed();
        return to_public(added.info);
      },
      std::move(done));
  return id;
}

void Node::list_stores(Completion<std::vector<StoreInfo>> done) {
  State* const state = state_.get();
  state->run_store_work<std::vector<StoreInfo>>(
      State::Length::brief,
      [state]() -> Result<std::vector<StoreInfo>> {
        DIG_TRY(const auto stores, state->store_->list());
        std::vector<StoreInfo> infos;
        for (const auto& info : stores) infos.push_back(to_public(info));
        return infos;
      },
      std::move(done));
}

void Node::remove_store(std::string urn, Completion<void> done) {
  State* const state = state_.get();
  state->run_store_work<void>(
      State::Length::brief,
      [state, text = std::move(urn)]() -> Result<void> {
        DIG_TRY(const auto parsed, dig::store::Urn::parse(text));
        DIG_CHECK(state->store_->remove(parsed));
        state->shell_->forget_store(parsed.store_id, parsed.root);
        state->stores_changed();
        return {};
      },
      std::move(done));
}

OperationId Node::verify_stores(std::optional<std::string> urn, Completion<VerifyReport> done) {
  State* const state = state_.get();
  const OperationId id = state->begin(nullptr);
  state->run_long_job<VerifyReport>(
      id,
      [state, text = std::move(urn)](const auto& may_go_on) -> Result<VerifyReport> {
        std::optional<dig::store::Urn> parsed;
        if (text) {
          DIG_TRY(parsed, dig::store::Urn::parse(*text));
        }
        const auto progress = [&](std::uint64_t /*done*/, std::uint64_t /*total*/) { return may_go_on(); };
        DIG_TRY(const auto report, state->store_->verify(parsed, progress));
        for (const auto& damaged : report.damaged) state->shell_->forget_store(damaged.store_id, damaged.root);
        if (!report.damaged.empty()) state->stores_changed();
        return to_public(report);
      },
      std::move(done));
  return id;
}

OperationId Node::fetch(FetchRequest request, Observer observer, Completion<FetchReport> done) {
  State* const state = state_.get();
  const OperationId id = state->begin(std::move(observer));
  const Completions::Id completion = state->completions_.add<FetchReport>(std::move(done));
  auto spec = FetchJob::parse(std::move(request), state->tiers_);
  if (!spec) {
    state->complete_operation<FetchReport>(id, completion, std::unexpected(spec.error()));
    return id;
  }
  state->shell_->post(
      [state, id, completion, spec = std::move(*spec)](dig::Instant now, dig::node::NodeCore& /*core*/) mutable {
        state->start_fetch(now, id, completion, std::move(spec));
      });
  return id;
}

void Node::cancel(OperationId operation) {
  State* const state = state_.get();
  if (const auto job = state->long_jobs_.find(operation); job != state->long_jobs_.end()) {
    job->second.request_stop();
    return;
  }
  state->shell_->post([state, operation](dig::Instant now, dig::node::NodeCore& core) {
    if (const auto fetch = state->fetches_.find(operation); fetch != state->fetches_.end()) {
      const auto job = fetch->second;  // its end takes it out of the map
      job->cancel(now, Errc::cancelled);
      return;
    }
    for (const auto& [id, connect] : state->connects_) {
      if (connect.id != operation) continue;
      core.cancel(now, id);
      return;
    }
  });
}

}  // namespace dignet
