// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_client/permissions.hpp"

#include <algorithm>

namespace dig::turn {
namespace {

// Who is due within this time goes along with a request that is sent anyway: peers that came one after the other are
// refreshed together from then on.
constexpr Duration k_batch_window = 60s;

}  // namespace

bool Permissions::add(const IpAddress& peer) {
  if (contains(peer)) return true;
  if (entries_.size() >= max_peers_) return false;
  entries_.push_back({.peer = peer, .expires = {}, .refresh_at = {}, .request = {}});
  return true;
}

void Permissions::remove(const IpAddress& peer) {
  std::erase_if(entries_, [&](const Entry& e) { return e.peer == peer; });
}

bool Permissions::contains(const IpAddress& peer) const {
  return std::ranges::find(entries_, peer, &Entry::peer) != entries_.end();
}

bool Permissions::is_installed(const IpAddress& peer, Instant now) const {
  const auto entry = std::ranges::find(entries_, peer, &Entry::peer);
  return entry != entries_.end() && entry->expires && now < *entry->expires;
}

std::vector<IpAddress> Permissions::next_batch(Instant now, std::size_t max) const {
  std::vector<IpAddress> batch;
  for (const Entry& entry : entries_) {
    if (entry.is_due && entry.is_alone) return {entry.peer};
  }
  if (!has_due()) return batch;
  for (const Entry& entry : entries_) {
    const bool is_soon = entry.refresh_at && *entry.refresh_at - now <= k_batch_window;
    if (batch.size() < max && !entry.request && !entry.is_alone && (entry.is_due || is_soon)) {
      batch.push_back(entry.peer);
    }
  }
  return batch;
}

bool Permissions::has_due() const { return std::ranges::any_of(entries_, &Entry::is_due); }

void Permissions::mark_requested(const std::vector<IpAddress>& peers, stun::RequestId request) {
  for (Entry& entry : entries_) {
    if (std::ranges::find(peers, entry.peer) == peers.end()) continue;
    entry.request = request;
    entry.is_due = false;
    entry.refresh_at.reset();
  }
}

std::vector<IpAddress> Permissions::peers_of(stun::RequestId request) const {
  std::vector<IpAddress> peers;
  for (const Entry& entry : entries_) {
    if (entry.request == request) peers.push_back(entry.peer);
  }
  return peers;
}

bool Permissions::install(Entry& entry, Instant sent, Instant now) {
  const bool had_one = entry.expires && now < *entry.expires;
  // Counted from when the request was sent: the server cannot have begun earlier, so it does not end before ours.
  entry.expires = sent + k_permission_lifetime;
  entry.refresh_at = sent + k_permission_refresh;
  entry.request.reset();
  entry.is_due = false;
  entry.is_alone = false;
  return !had_one;
}

std::vector<IpAddress> Permissions::handle_success(stun::RequestId request, Instant sent, Instant now) {
  std::vector<IpAddress> fresh;
  for (Entry& entry : entries_) {
    if (entry.request == request && install(entry, sent, now)) fresh.push_back(entry.peer);
  }
  return fresh;
}

bool Permissions::handle_channel_bound(const IpAddress& peer, Instant sent, Instant now) {
  const auto entry = std::ranges::find(entries_, peer, &Entry::peer);
  // A CreatePermission under way goes on: its answer must still find its peers.
  if (entry == entries_.end() || entry->request) return false;
  return install(*entry, sent, now);
}

template <class Decide>
std::vector<IpAddress> Permissions::remove_where(Decide decide) {
  std::vector<IpAddress> gone;
  std::erase_if(entries_, [&](const Entry& entry) {
    if (!decide(entry)) return false;
    gone.push_back(entry.peer);
    return true;
  });
  return gone;
}

std::vector<IpAddress> Permissions::handle_refusal(stun::RequestId request) {
  if (std::ranges::count(entries_, std::optional(request), &Entry::request) <= 1) {
    return remove_where([&](const Entry& entry) { return entry.request == request; });
  }
  for (Entry& entry : entries_) {
    if (entry.request != request) continue;
    entry.request.reset();
    entry.is_due = true;
    entry.is_alone = true;
  }
  return {};
}

std::vector<IpAddress> Permissions::handle_failure(stun::RequestId request, Instant now, Instant again) {
  for (Entry& entry : entries_) {
    if (entry.request != request || !entry.expires || now >= *entry.expires) continue;
    entry.request.reset();
    entry.is_due = again <= now;
    if (!entry.is_due) entry.refresh_at = again;
  }
  return remove_where([&](const Entry& entry) { return entry.request == request; });
}

std::vector<IpAddress> Permissions::handle_timeout(Instant now) {
  for (Entry& entry : entries_) {
    if (!entry.refresh_at || now < *entry.refresh_at) continue;
    entry.refresh_at.reset();
    entry.is_due = true;
  }
  return remove_where([&](const Entry& entry) { return entry.expires && now >= *entry.expires; });
}

std::optional<Instant> Permissions::next_timeout() const {
  std::optional<Instant> next;
  for (const Entry& entry : entries_) next = earliest(earliest(next, entry.refresh_at), entry.expires);
  return next;
}

std::size_t Permissions::installed(Instant now) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [&](const Entry& e) { return e.expires && now < *e.expires; }));
}

}  // namespace dig::turn
