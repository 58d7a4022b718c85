// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/publisher.hpp"

#include <algorithm>
#include <utility>

#include "wire/signed_statement.hpp"

namespace dig::directory {

Publisher::Publisher(Instant now, UnixTime wall, const Identity& identity, Rng& rng, std::uint64_t last_sequence,
                     Limits limits)
    : identity_(identity),
      rng_(rng),
      limits_(limits),
      wall_(now, wall),
      sequence_(last_sequence),
      pages_(limits.stores_per_page) {}

// --- what is published -------------------------------------------------------------------------------------------

void Publisher::set_node(Instant now, NodeDescription node) {
  if (node_ == node) return;
  node_ = std::move(node);
  note_change(now);
}

void Publisher::set_stores(Instant now, std::vector<StoreId> stores) {
  if (pages_.set(std::move(stores))) note_change(now);
}

void Publisher::add_server(Instant now, BootstrapId server) {
  if (is_stopped_ || servers_.contains(server) || servers_.size() >= limits_.max_servers) return;
  servers_[server].due = now;
}

// Where a round is under way, handle_registered sees that there is a newer revision.
void Publisher::note_change(Instant now) {
  ++revision_;
  for (auto& [id, server] : servers_) {
    if (server.requests.empty() && server.failures == 0) {
      server.due = std::max(now, server.round_start + limits_.min_interval);
    }
  }
}

// --- rounds ------------------------------------------------------------------------------------------------------

std::uint64_t Publisher::next_sequence(Instant now) {
  sequence_ = std::max(sequence_ + 1, wall_.milliseconds(now));
  return sequence_;
}

// A record of the most addresses that fit.
Bytes Publisher::signed_record(std::uint64_t sequence) const {
  NodeRecord record{.peer = identity_.peer_id(),
                    .sequence = sequence,
                    .lifetime = limits_.lifetime,
                    .addresses = node_->addresses,
                    .roles = node_->roles,
                    .reachability = node_->reachability,
                    .pages = pages_.count()};
  if (record.addresses.size() > NodeRecord::max_addresses) record.addresses.resize(NodeRecord::max_addresses);
  while (!record.addresses.empty() && record.encode().size() > NodeRecord::max_encoded_size) {
    record.addresses.pop_back();
  }
  return sign_statement(identity_, record).encode();
}

// The pages go along although the server may have them: it recognises them, and may have lost them.
void Publisher::start_round(Instant now, BootstrapId id, Server& server) {
  server.round_start = now;
  server.revision = revision_;
  server.may_have_record = true;
  const std::uint64_t sequence = next_sequence(now);
  pages_.sign(identity_, sequence);
  server.requests.assign(1, {signed_record(sequence)});
  std::size_t size = server.requests.back().front().size();
  for (std::uint32_t page = 0; page < pages_.count(); ++page) {
    const Bytes& envelope = pages_.envelope(page);
    if (size + envelope.size() > limits_.request_size || server.requests.back().size() == k_max_registered_envelopes) {
      server.requests.emplace_back();
      size = 0;
    }
    server.requests.back().push_back(envelope);
    size += envelope.size();
  }
  events_.push_back(Publish{id, server.requests.front()});
}

void Publisher::handle_registered(Instant now, BootstrapId id, const Result<Registered>& result) {
  const auto found = servers_.find(id);
  if (is_stopped_ || found == servers_.end() || found->second.requests.empty()) return;
  Server& server = found->second;
  if (!result) {
    server.error = result.error();
    server.requests.clear();
    server.due = now + retry_pause(server.failures++);
    return;
  }
  server.requests.pop_front();
  if (!server.requests.empty()) {
    events_.push_back(Publish{id, server.requests.front()});
    return;
  }
  server.error.reset();
  server.failures = 0;
  server.expires = now + result->expires_in;
  server.is_replicated = result->is_replicated;
  // Between one half and seven tenths of the time: there is room for a few attempts, and nodes that started together
  // drift apart.
  const Duration part = result->expires_in * (500 + static_cast<int>(rng_.below(201))) / 1000;
  const bool is_current = server.revision == revision_;
  server.due =
      is_current ? now + std::max(part, limits_.min_refresh) : std::max(now, server.round_start + limits_.min_interval);
}

Duration Publisher::retry_pause(int failures) {
  const Duration pause = std::min(limits_.first_retry * (1 << std::min(failures, 16)), limits_.longest_retry);
  return pause * (750 + static_cast<int>(rng_.below(501))) / 1000;
}

void Publisher::stop(Instant now) {
  if (is_stopped_) return;
  is_stopped_ = true;
  events_.clear();
  const NodeRemoval removal{identity_.peer_id(), next_sequence(now)};
  const Bytes envelope = sign_statement(identity_, removal).encode();
  for (const auto& [id, server] : servers_) {
    if (server.may_have_record) events_.push_back(Withdraw{id, envelope});
  }
  servers_.clear();
}

// --- time --------------------------------------------------------------------------------------------------------

void Publisher::handle_timeout(Instant now) {
  if (!node_) return;
  for (auto& [id, server] : servers_) {
    if (server.requests.empty() && server.due <= now) start_round(now, id, server);
  }
}

std::optional<Instant> Publisher::next_timeout() const {
  std::optional<Instant> next;
  if (!node_) return next;
  for (const auto& [id, server] : servers_) {
    if (server.requests.empty()) next = earliest(next, server.due);
  }
  return next;
}

std::optional<PublisherEvent> Publisher::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

PublisherStatus Publisher::snapshot() const {
  PublisherStatus status{
      .sequence = sequence_, .pages = pages_.count(), .stores_left_out = pages_.left_out(), .servers = {}};
  for (const auto& [id, server] : servers_) {
    status.servers.push_back({id, server.expires, server.is_replicated, server.error});
  }
  return status;
}

}  // namespace dig::directory
