// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/index.hpp"

#include <algorithm>

#include "base/byte_writer.hpp"
#include "wire/signed_envelope.hpp"
#include "wire/store_announcement.hpp"

namespace dig::directory {

std::optional<NodeKey> node_key_of(const PeerId& peer) {
  const std::optional<PublicKey> key = peer.public_key();
  if (!key || key->type != KeyType::ed25519) return std::nullopt;
  NodeKey out;
  std::ranges::copy(key->data, out.begin());
  return out;
}

const Page* Entry::page(std::uint32_t number) const {
  const auto found = std::ranges::lower_bound(pages, number, {}, &Page::number);
  return found == pages.end() || found->number != number ? nullptr : &*found;
}

PeerId Entry::peer() const { return PeerId::from_public_key(PublicKey::ed25519(key)); }

std::optional<EntryId> DirectoryIndex::find(const NodeKey& key) const {
  std::optional<EntryId> found;
  const std::uint64_t order = order_of(key);
  visit(peer_term_, order, [&](const Posting& posting) {
    if (entries_[posting.entry].key == key) found = posting.entry;
    return !found && posting.order == order;
  });
  return found;
}

std::uint64_t DirectoryIndex::bytes_of(EntryId id) const {
  const Entry& entry = entries_[id];
  std::uint64_t bytes = k_entry_bytes + entry.record.size() + entry.stores * k_store_bytes;
  for (const Page& page : entry.pages) bytes += k_page_bytes + page.envelope.size();
  return bytes;
}

// --- changes -----------------------------------------------------------------------------------------------------

EntryId DirectoryIndex::add(const NodeKey& key, SourcePrefix source) {
  if (free_.empty()) {
    free_.push_back(static_cast<EntryId>(entries_.size()));
    entries_.emplace_back();
  }
  const EntryId id = free_.back();
  free_.pop_back();
  Entry& entry = entries_[id];
  entry.key = key;
  entry.order = order_of(key);
  entry.source = source;
  set_posting({.term = peer_term_, .order = entry.order, .entry = id}, true);
  attach(id);
  return id;
}

void DirectoryIndex::put_record(EntryId id, const NodeRecord& record, BytesView envelope, SourcePrefix source,
                                Instant deadline) {
  detach(id);
  Entry& entry = entries_[id];
  if (entry.is_live()) index_record(id, false);
  drop_pages(id, record.pages);
  entry.record = to_bytes(envelope);
  entry.sequence = record.sequence;
  entry.source = source;
  entry.deadline = deadline;
  entry.roles = record.roles;
  entry.page_count = static_cast<std::uint16_t>(record.pages);
  entry.durability = Durability::queued;
  index_record(id, true);
  attach(id);
}

void DirectoryIndex::put_page(EntryId id, std::uint32_t number, std::uint64_t sequence, BytesView envelope,
                              std::span<const StoreId> stores) {
  detach(id);
  Entry& entry = entries_[id];
  auto place = std::ranges::lower_bound(entry.pages, number, {}, &Page::number);
  if (place != entry.pages.end() && place->number == number) {
    unindex_page(id, *place);
  } else {
    place = entry.pages.emplace(place);
  }
  *place = {.envelope = to_bytes(envelope),
            .sequence = sequence,
            .number = static_cast<std::uint16_t>(number),
            .stores = static_cast<std::uint16_t>(stores.size())};
  entry.stores += static_cast<std::uint32_t>(stores.size());
  index_stores(id, number, stores, true);
  attach(id);
}

void DirectoryIndex::bury(EntryId id, std::uint64_t sequence, Instant deadline) {
  detach(id);
  Entry& entry = entries_[id];
  drop_pages(id, 0);
  if (entry.is_live()) index_record(id, false);
  entry.record = {};
  entry.pages = {};
  entry.sequence = sequence;
  entry.deadline = deadline;
  entry.roles = {};
  entry.page_count = 0;
  entry.durability = Durability::queued;
  attach(id);
}

void DirectoryIndex::erase(EntryId id) {
  bury(id, 0, Instant());
  detach(id);
  set_posting({.term = peer_term_, .order = entries_[id].order, .entry = id}, false);
  entries_[id] = {};
  free_.push_back(id);
}

Durability* DirectoryIndex::find_durability(const NodeKey& key, std::uint32_t slot, std::uint64_t sequence) {
  const std::optional<EntryId> id = find(key);
  if (!id) return nullptr;
  Entry& entry = entries_[*id];
  if (slot == 0) return entry.sequence == sequence ? &entry.durability : nullptr;
  const auto place = std::ranges::lower_bound(entry.pages, slot - 1, {}, &Page::number);
  if (place == entry.pages.end() || place->number != slot - 1 || place->sequence != sequence) return nullptr;
  return &place->durability;
}

void DirectoryIndex::set_durability(const NodeKey& key, std::uint32_t slot, std::uint64_t sequence,
                                    Durability durability) {
  if (Durability* const found = find_durability(key, slot, sequence)) *found = durability;
}

void DirectoryIndex::improve_durability(const NodeKey& key, std::uint32_t slot, std::uint64_t sequence, Durability from,
                                        Durability to) {
  Durability* const found = find_durability(key, slot, sequence);
  if (found != nullptr && *found == from) *found = to;
}

void DirectoryIndex::lower_durability(Durability best) {
  for (Entry& entry : entries_) {
    entry.durability = std::min(entry.durability, best);
    for (Page& page : entry.pages) page.durability = std::min(page.durability, best);
  }
}

void DirectoryIndex::detach(EntryId id) {
  const Entry& entry = entries_[id];
  if (!entry.is_live()) {
    ended_timers_.erase({entry.deadline, id});
    return;
  }
  live_timers_.erase({entry.deadline, id});
  source_timers_.erase({entry.source, entry.deadline, id});
  shares_.remove(entry.source, bytes_of(id));
  networks_.remove(network_of(entry.source), bytes_of(id));
}

void DirectoryIndex::attach(EntryId id) {
  const Entry& entry = entries_[id];
  if (!entry.is_live()) {
    ended_timers_.insert({entry.deadline, id});
    return;
  }
  live_timers_.insert({entry.deadline, id});
  source_timers_.insert({entry.source, entry.deadline, id});
  shares_.add(entry.source, bytes_of(id));
  networks_.add(network_of(entry.source), bytes_of(id));
}

void DirectoryIndex::set_posting(const Posting& posting, bool is_added) {
  if (is_added) {
    postings_.insert(posting);
  } else {
    postings_.erase(posting);
  }
}

// Under every set of its roles, so that "all of these" is a look-up too; there are five roles, and few nodes have more
// than two.
void DirectoryIndex::index_record(EntryId id, bool is_added) {
  const Entry& entry = entries_[id];
  const std::uint32_t roles = entry.roles.bits & NodeRoles::known;
  for (std::uint32_t subset = roles; subset != 0; subset = (subset - 1) & roles) {
    set_posting({.term = term_of_roles({subset}), .order = entry.order, .entry = id}, is_added);
  }
}

void DirectoryIndex::index_stores(EntryId id, std::uint32_t page, std::span<const StoreId> stores, bool is_added) {
  for (const StoreId& store : stores) {
    set_posting({.term = term_of_store(store), .order = entries_[id].order, .entry = id, .page = page}, is_added);
  }
}

// The stores of a page are read again from its envelope: to keep them apart would double the memory.
void DirectoryIndex::unindex_page(EntryId id, const Page& page) {
  entries_[id].stores -= page.stores;
  const Result<SignedEnvelope> envelope = SignedEnvelope::decode(page.envelope);
  if (!envelope) return;
  if (const auto announcement = StoreAnnouncement::decode(envelope->payload)) {
    index_stores(id, page.number, announcement->stores, false);
  }
}

void DirectoryIndex::drop_pages(EntryId id, std::uint32_t first) {
  Entry& entry = entries_[id];
  while (!entry.pages.empty() && entry.pages.back().number >= first) {
    unindex_page(id, entry.pages.back());
    entry.pages.pop_back();
  }
}

// --- look-ups ----------------------------------------------------------------------------------------------------

std::uint64_t DirectoryIndex::term_of_roles(NodeRoles roles) const {
  Bytes name;
  ByteWriter(name).u32(roles.bits);
  return sip_hash(term_key_, name);
}

std::optional<EntryId> DirectoryIndex::first_to_expire(SourcePrefix source, std::optional<EntryId> except) const {
  std::optional<EntryId> found;
  const SourceTimer first{.source = source, .deadline = Instant{Duration::min()}};
  source_timers_.visit_from(first, [&](const SourceTimer& timer) {
    if (timer.source != source) return false;
    if (timer.entry == except) return true;
    found = timer.entry;
    return false;
  });
  return found;
}

std::optional<EntryId> DirectoryIndex::first_to_forget() const {
  if (ended_timers_.empty()) return std::nullopt;
  return ended_timers_.front().entry;
}

std::optional<EntryId> DirectoryIndex::first_due() const {
  if (live_timers_.empty()) return first_to_forget();
  if (ended_timers_.empty()) return live_timers_.front().entry;
  return std::min(live_timers_.front(), ended_timers_.front()).entry;
}

}  // namespace dig::directory
