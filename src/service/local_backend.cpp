// SPDX-License-Identifier: Apache-2.0
#include "service/local_backend.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <utility>

#include "service/json_forms.hpp"
#include "service/json_text.hpp"
#include "service/status_forms.hpp"

namespace dig::service {
namespace {

using dignet::Node;

constexpr Duration k_progress_interval = 20ms;

json::array ports_form(const std::vector<dignet::PortLease>& leases) {
  json::array out;
  for (const dignet::PortLease& lease : leases) out.emplace_back(port_form(lease));
  return out;
}

}  // namespace

struct LocalBackend::Call {
  CallId id = 0;
  EventSink on_event;
  ReplySink done;  // empty once it was called
  std::string urn;
  std::vector<dignet::Attempt> attempts;
  dignet::ProgressEvent progress;
  std::optional<Instant> last_progress;
  std::optional<dignet::OperationId> operation;
  // connect
  std::optional<dignet::ConnectReport> connected;
  std::uint64_t pings_wanted = 0;
  std::vector<double> rtts_ms;
};

LocalBackend::LocalBackend(EventLoop& loop, dignet::NodeOptions options) : loop_(loop), options_(std::move(options)) {}

LocalBackend::~LocalBackend() {
  if (node_) loop_.unwatch(node_->event_handle());
  // Before the node ends: completions that its end brings find their calls finished.
  while (!calls_.empty()) finish(calls_.begin()->second, error_reply(Error(Errc::cancelled)));
}

Result<Node*> LocalBackend::node() {
  if (!node_) {
    DIG_TRY(node_, Node::create(options_));
    loop_.watch(node_->event_handle(), POLLIN, [this](short) { node_->process(); });
  }
  return node_.get();
}

CallId LocalBackend::start(const std::string& method, const json::object& params, EventSink on_event, ReplySink done) {
  auto call = std::make_shared<Call>();
  call->id = next_call_++;
  call->on_event = std::move(on_event);
  call->done = std::move(done);
  calls_.emplace(call->id, call);
  if (const Result<void> begun = begin(call, method, params); !begun) {
    finish(call, failed_operation(*call, begun.error()));
  }
  return call->id;
}

Result<void> LocalBackend::begin(const CallPtr& call, std::string_view method, const json::object& params) {
  DIG_TRY(Command command, read_command(method, params));
  return std::visit([&](auto& given) { return begin(call, std::move(given)); }, command);
}

void LocalBackend::cancel(CallId id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  const CallPtr call = found->second;
  if (call->operation && !call->connected) return node_->cancel(*call->operation);  // its completion says so
  finish(call, failed_operation(*call, Error(Errc::cancelled)));
}

void LocalBackend::finish(const CallPtr& call, Reply reply) {
  if (!call->done) return;
  calls_.erase(call->id);
  if (call->connected) node_->disconnect(call->connected->connection);
  std::exchange(call->done, nullptr)(std::move(reply));
}

Reply LocalBackend::failed_operation(const Call& call, const Error& error) {
  Reply reply = error_reply(error);
  if (!call.urn.empty()) {
    reply.body.emplace("urn", call.urn);
    reply.body.emplace("fetched_bytes", call.progress.fetched_bytes);
    reply.body.emplace("reused_bytes", call.progress.reused_bytes);
  }
  if (call.operation) reply.body.emplace("attempts", attempts_form(call.attempts));
  return reply;
}

Result<void> LocalBackend::begin(const CallPtr& call, IdCommand) {
  DIG_TRY(const auto identity,
          node_ ? Result<dignet::NodeIdentity>(node_->identity()) : Node::load_identity(options_.home));
  finish(call, {.ok = true, .body = identity_form(identity)});
  return {};
}

Result<void> LocalBackend::begin(const CallPtr& call, AddCommand add) {
  DIG_TRY(Node* const running, node());
  call->operation = running->add_store(
      std::move(add.path), std::move(add.options),
      [call](const dignet::OperationEvent& event) {
        const auto* progress = std::get_if<dignet::ProgressEvent>(&event);
        if (!call->done || progress == nullptr || !note_progress(*call, *progress)) return;
        call->on_event({{"event", "progress"}, {"bytes", progress->bytes}, {"total", progress->total}});
      },
      [this, call](Result<dignet::StoreInfo> added) {
        finish(call, added ? Reply{.ok = true, .body = store_form(*added)} : error_reply(added.error()));
      });
  return {};
}

Result<void> LocalBackend::begin(const CallPtr& call, ListCommand) {
  DIG_TRY(Node* const running, node());
  running->list_stores([this, call](Result<std::vector<dignet::StoreInfo>> listed) {
    if (!listed) return finish(call, error_reply(listed.error()));
    json::array stores;
    for (const dignet::StoreInfo& store : *listed) stores.emplace_back(store_form(store));
    finish(call, {.ok = true, .body = {{"stores", std::move(stores)}}});
  });
  return {};
}

Result<void> LocalBackend::begin(const CallPtr& call, RemoveCommand remove) {
  DIG_TRY(Node* const running, node());
  running->remove_store(remove.urn, [this, call, urn = remove.urn](Result<void> removed) {
    finish(call, removed ? Reply{.ok = true, .body = {{"urn", urn}, {"removed", true}}} : error_reply(removed.error()));
  });
  return {};
}

Result<void> LocalBackend::begin(const CallPtr& call, VerifyCommand verify) {
  DIG_TRY(Node* const running, node());
  call->operation = running->verify_stores(std::move(verify.urn), [this, call](Result<dignet::VerifyReport> verified) {
    if (!verified) return finish(call, error_reply(verified.error()));
    Reply reply{.ok = true, .body = verify_form(*verified)};
    if (!verified->damaged.empty()) {
      const std::string detail =
          std::to_string(verified->damaged.size()) + " of " + std::to_string(verified->stores) + " stores";
      reply = error_reply(Error(Errc::store_damaged, detail));
      for (const json::key_value_pair& member : verify_form(*verified))
        reply.body.emplace(member.key(), member.value());
    }
    finish(call, std::move(reply));
  });
  return {};
}

// Without a running node it says what one would get now: the ports are taken, looked at and freed.
Result<void> LocalBackend::begin(const CallPtr& call, PortsCommand) {
  json::object body;
  if (node_) {
    body = {{"ports", ports_form(node_->ports())}, {"running", true}};
  } else {
    dignet::PortManager manager;
    DIG_CHECK(manager.take(options_.preferred_port, "libp2p-main"));
    body = {{"ports", ports_form(manager.leases())}, {"running", false}};
  }
  finish(call, {.ok = true, .body = std::move(body)});
  return {};
}

Result<void> LocalBackend::begin(const CallPtr& call, StatusCommand) {
  DIG_TRY(Node* const running, node());
  running->status([this, call](Result<dignet::NodeStatus> status) {
    finish(call, status ? Reply{.ok = true, .body = status_form(node_->identity(), node_->ports(), *status)}
                        : error_reply(status.error()));
  });
  return {};
}

Result<void> LocalBackend::begin(const CallPtr& call, PeersCommand) {
  DIG_TRY(Node* const running, node());
  running->peers([this, call](Result<std::vector<dignet::PeerStatus>> peers) {
    finish(call, peers ? Reply{.ok = true, .body = peers_form(*peers)} : error_reply(peers.error()));
  });
  return {};
}

Result<void> LocalBackend::begin(const CallPtr& call, GetCommand get) {
  call->urn = get.request.urn;
  DIG_TRY(Node* const running, node());
  call->operation = running->fetch(
      std::move(get.request), [this, call](const dignet::OperationEvent& event) { observe(call, event); },
      [this, call](Result<dignet::FetchReport> fetched) {
        finish(call,
               fetched ? Reply{.ok = true, .body = fetch_form(*fetched)} : failed_operation(*call, fetched.error()));
      });
  return {};
}

Result<void> LocalBackend::begin(const CallPtr& call, ConnectCommand connect) {
  call->pings_wanted = connect.pings;
  DIG_TRY(Node* const running, node());
  call->operation = running->connect(
      std::move(connect.request), [this, call](const dignet::OperationEvent& event) { observe(call, event); },
      [this, call](Result<dignet::ConnectReport> connected) {
        if (!connected) return finish(call, failed_operation(*call, connected.error()));
        call->connected = std::move(*connected);
        ping_next(call);
      });
  return {};
}

void LocalBackend::ping_next(const CallPtr& call) {
  if (!call->done) return;
  if (call->rtts_ms.size() >= call->pings_wanted) {
    json::object body = connect_form(*call->connected);
    if (!call->rtts_ms.empty()) {
      double sum = 0;
      for (const double rtt : call->rtts_ms) sum += rtt;
      const auto [least, most] = std::ranges::minmax(call->rtts_ms);
      body.emplace("rtt_ms", rounded(sum / static_cast<double>(call->rtts_ms.size())));
      body.emplace("rtt_min_ms", rounded(least));
      body.emplace("rtt_max_ms", rounded(most));
    }
    body.emplace("pings", call->rtts_ms.size());
    return finish(call, {.ok = true, .body = std::move(body)});
  }
  node_->ping(call->connected->connection, [this, call](Result<dignet::PingReport> ping) {
    if (!call->done) return;
    if (!ping) return finish(call, failed_operation(*call, ping.error()));
    call->rtts_ms.push_back(ping->rtt_ms);
    call->on_event({{"event", "ping"}, {"seq", call->rtts_ms.size()}, {"rtt_ms", rounded(ping->rtt_ms)}});
    ping_next(call);
  });
}

void LocalBackend::observe(const CallPtr& call, const dignet::OperationEvent& event) {
  if (!call->done) return;
  if (const auto* attempt = std::get_if<dignet::AttemptEvent>(&event)) call->attempts.push_back(attempt->attempt);
  const auto* progress = std::get_if<dignet::ProgressEvent>(&event);
  if (progress == nullptr || note_progress(*call, *progress)) call->on_event(event_form(event));
}

bool LocalBackend::note_progress(Call& call, const dignet::ProgressEvent& progress) {
  call.progress = progress;
  const Instant now = EventLoop::now();
  const bool is_last = progress.bytes >= progress.total;
  if (!is_last && call.last_progress && now - *call.last_progress < k_progress_interval) return false;
  call.last_progress = now;
  return true;
}

}  // namespace dig::service
