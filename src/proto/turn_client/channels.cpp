// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_client/channels.hpp"

#include <algorithm>

namespace dig::turn {

bool Channels::add(const Endpoint& peer, Instant now) {
  Slot* free_slot = nullptr;
  for (Slot& slot : slots_) {
    if (slot.is_used && slot.peer == peer) {
      if (slot.is_refused) return false;
      if (!slot.is_wanted) slot.is_due = !slot.request;  // RFC 8656 §12: the same number for the same peer, at any time
      slot.is_wanted = true;
      return true;
    }
    if (!slot.is_used && free_slot == nullptr) free_slot = &slot;
  }
  if (free_slot == nullptr) return false;
  *free_slot = Slot{.is_used = true, .is_wanted = true, .is_due = true, .peer = peer, .receives_until = now};
  return true;
}

void Channels::abandon(const IpAddress& address) {
  for (Slot& slot : slots_) {
    if (!slot.is_used || slot.peer.address != address) continue;
    slot.is_wanted = slot.is_due = false;
    slot.refresh_at.reset();
  }
}

std::optional<std::uint16_t> Channels::number_of(const Endpoint& peer, Instant now) const {
  const auto is_it = [&](const Slot& slot) { return is_bound(slot, now) && slot.is_wanted && slot.peer == peer; };
  if (last_sent_ < slots_.size() && is_it(slots_[last_sent_])) return number_at(last_sent_);
  const auto slot = std::ranges::find_if(slots_, is_it);
  if (slot == slots_.end()) return std::nullopt;
  last_sent_ = static_cast<std::size_t>(slot - slots_.begin());
  return number_at(last_sent_);
}

const Endpoint* Channels::peer_of(std::uint16_t number, Instant now) const {
  const std::size_t index = static_cast<std::size_t>(number) - k_min_channel;
  if (number < k_min_channel || index >= slots_.size()) return nullptr;
  const Slot& slot = slots_[index];
  return slot.is_used && (slot.request || now < slot.receives_until) ? &slot.peer : nullptr;
}

bool Channels::is_wanted(const Endpoint& peer) const {
  return std::ranges::any_of(slots_, [&](const Slot& s) { return s.is_used && s.is_wanted && s.peer == peer; });
}

std::optional<Channels::Due> Channels::next_due() const {
  const auto slot = std::ranges::find_if(slots_, &Slot::is_due);
  if (slot == slots_.end()) return std::nullopt;
  return Due{.number = number_at(static_cast<std::size_t>(slot - slots_.begin())), .peer = slot->peer};
}

std::optional<Channels::Due> Channels::of_request(stun::RequestId request) const {
  const auto slot = std::ranges::find(slots_, std::optional(request), &Slot::request);
  if (slot == slots_.end()) return std::nullopt;
  return Due{.number = number_at(static_cast<std::size_t>(slot - slots_.begin())), .peer = slot->peer};
}

void Channels::mark_requested(std::uint16_t number, stun::RequestId request, Instant now) {
  Slot& slot = slots_[static_cast<std::size_t>(number) - k_min_channel];
  slot.request = request;
  slot.is_due = false;
  slot.refresh_at.reset();
  slot.receives_until = now + k_channel_lifetime;
}

Channels::Slot* Channels::slot_of(stun::RequestId request) {
  const auto slot = std::ranges::find(slots_, std::optional(request), &Slot::request);
  return slot == slots_.end() ? nullptr : &*slot;
}

std::optional<Endpoint> Channels::handle_success(stun::RequestId request, Instant sent, Instant now) {
  Slot* const slot = slot_of(request);
  if (slot == nullptr) return std::nullopt;
  const bool had_one = is_bound(*slot, now);
  slot->request.reset();
  // For sending, counted from the first transmission; for receiving and for the rest, from the last it may have been.
  slot->expires = sent + k_channel_lifetime;
  slot->receives_until = now + k_channel_lifetime;
  if (!slot->is_wanted) return std::nullopt;
  slot->refresh_at = sent + k_channel_refresh;
  return had_one ? std::nullopt : std::optional(slot->peer);
}

std::optional<Endpoint> Channels::handle_failure(stun::RequestId request, Instant now, std::optional<Instant> again) {
  Slot* const slot = slot_of(request);
  if (slot == nullptr) return std::nullopt;
  slot->request.reset();
  slot->receives_until = now + k_channel_lifetime;
  if (!slot->is_wanted) return std::nullopt;
  if (again && is_bound(*slot, now)) {
    slot->is_due = *again <= now;
    if (!slot->is_due) slot->refresh_at = again;
    return std::nullopt;
  }
  slot->is_wanted = false;
  slot->is_refused = !again;
  slot->expires.reset();
  return slot->peer;
}

std::vector<Endpoint> Channels::handle_timeout(Instant now) {
  std::vector<Endpoint> lost;
  for (Slot& slot : slots_) {
    if (!slot.is_used) continue;
    if (slot.refresh_at && now >= *slot.refresh_at) {
      slot.refresh_at.reset();
      slot.is_due = slot.is_wanted;
    }
    if (slot.expires && now >= *slot.expires) {
      if (slot.is_wanted) lost.push_back(slot.peer);
      slot.is_wanted = slot.is_due = false;
      slot.expires.reset();
      slot.refresh_at.reset();
    }
    if (!slot.is_wanted && !slot.request && now >= slot.receives_until + k_channel_rest) slot = Slot{};
  }
  return lost;
}

std::optional<Instant> Channels::next_timeout() const {
  std::optional<Instant> next;
  for (const Slot& slot : slots_) {
    if (!slot.is_used) continue;
    next = earliest(earliest(next, slot.refresh_at), slot.expires);
    if (!slot.is_wanted && !slot.request) next = earliest(next, slot.receives_until + k_channel_rest);
  }
  return next;
}

std::size_t Channels::bound(Instant now) const {
  return static_cast<std::size_t>(std::ranges::count_if(slots_, [&](const Slot& s) { return is_bound(s, now); }));
}

}  // namespace dig::turn
