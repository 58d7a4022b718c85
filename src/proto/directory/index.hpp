// SPDX-License-Identifier: Apache-2.0
// The directory in memory: an entry for each peer, with the envelopes as its owner signed them, and one sorted index in
// which every look-up is a walk over neighbours. Holds no policy: DirectoryServer decides what may be put here.
//
// Records of one answer come in the order of a keyed hash of their peer ids, so that nobody can choose a place in
// front. What is kept for a store or a set of roles is a hash with the same secret: 24 bytes, whatever the name is.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/sip_hash.hpp"
#include "base/time.hpp"
#include "proto/directory/sorted_blocks.hpp"
#include "proto/directory/source_shares.hpp"
#include "wire/hash256.hpp"
#include "wire/node_record.hpp"
#include "wire/peer_id.hpp"

namespace dig::directory {

using NodeKey = std::array<std::byte, 32>;  // Ed25519
using EntryId = std::uint32_t;

// Absent for peers with another kind of key: no node has one.
[[nodiscard]] std::optional<NodeKey> node_key_of(const PeerId& peer);

// How well an envelope is kept. In memory only is one whose batch could not be written.
enum class Durability : std::uint8_t { in_memory, queued, on_disk, replicated };

struct Page {
  Bytes envelope;
  std::uint64_t sequence = 0;
  std::uint16_t number = 0;
  std::uint16_t stores = 0;
  Durability durability = Durability::queued;
};

struct Entry {
  NodeKey key{};
  std::uint64_t order = 0;  // its place in every answer
  std::uint64_t sequence = 0;
  SourcePrefix source = 0;
  Instant deadline;         // when the record expires, or what is left of it is forgotten
  Bytes record;             // empty: it has ended; the sequence is left, so that nothing older comes back
  std::vector<Page> pages;  // by rising number
  NodeRoles roles;
  std::uint32_t stores = 0;
  std::uint16_t page_count = 0;  // as the record says
  Durability durability = Durability::queued;

  [[nodiscard]] bool is_live() const noexcept { return !record.empty(); }
  [[nodiscard]] const Page* page(std::uint32_t number) const;
  [[nodiscard]] PeerId peer() const;
};

class DirectoryIndex {
 public:
  // One entry's place under one term: the peer itself, a set of roles, or a store that a page of it names.
  struct Posting {
    std::uint64_t term = 0;
    std::uint64_t order = 0;
    EntryId entry = 0;
    std::uint32_t page = 0;
    friend auto operator<=>(const Posting&, const Posting&) = default;
  };
  // What an entry counts beyond the bytes of its envelopes; close to what it takes in memory.
  static constexpr std::uint64_t k_entry_bytes = 256;
  static constexpr std::uint64_t k_page_bytes = 64;
  static constexpr std::uint64_t k_store_bytes = 36;

  explicit DirectoryIndex(Rng& rng)
      : order_key_(SipKey::random(rng)), term_key_(SipKey::random(rng)), peer_term_(sip_hash(term_key_, {})) {}

  [[nodiscard]] std::optional<EntryId> find(const NodeKey& key) const;
  [[nodiscard]] const Entry& entry(EntryId id) const { return entries_[id]; }
  [[nodiscard]] std::uint64_t bytes_of(EntryId id) const;
  [[nodiscard]] std::uint64_t order_of(const NodeKey& key) const { return sip_hash(order_key_, key); }

  // An entry without a record: put_record() or bury() says what it is.
  EntryId add(const NodeKey& key, SourcePrefix source);
  // Pages that `record` does not count any more are dropped.
  void put_record(EntryId id, const NodeRecord& record, BytesView envelope, SourcePrefix source, Instant deadline);
  void put_page(EntryId id, std::uint32_t number, std::uint64_t sequence, BytesView envelope,
                std::span<const StoreId> stores);
  // Only the sequence is left.
  void bury(EntryId id, std::uint64_t sequence, Instant deadline);
  void erase(EntryId id);
  // Nothing happens when there is something newer in its place by now. Slots as in store/directory_rows.hpp.
  void set_durability(const NodeKey& key, std::uint32_t slot, std::uint64_t sequence, Durability durability);
  // The same, when it is `from` now.
  void improve_durability(const NodeKey& key, std::uint32_t slot, std::uint64_t sequence, Durability from,
                          Durability to);
  // Whatever is kept better than this is kept like this.
  void lower_durability(Durability best);

  [[nodiscard]] std::uint64_t term_of_store(const StoreId& store) const { return sip_hash(term_key_, store.bytes); }
  [[nodiscard]] std::uint64_t term_of_roles(NodeRoles roles) const;
  // visit(posting) is called for the postings of the term from a place in the order on, until it returns false.
  template <class Visit>
  void visit(std::uint64_t term, std::uint64_t from_order, Visit visit) const {
    postings_.visit_from(Posting{.term = term, .order = from_order},
                         [&](const Posting& posting) { return posting.term == term && visit(posting); });
  }

  [[nodiscard]] const SourceShares& shares() const noexcept { return shares_; }
  [[nodiscard]] Usage usage_of_network(SourcePrefix source) const { return networks_.of(network_of(source)); }
  // The record of a source that would expire first.
  [[nodiscard]] std::optional<EntryId> first_to_expire(SourcePrefix source, std::optional<EntryId> except) const;
  // The ended entry that would be forgotten first.
  [[nodiscard]] std::optional<EntryId> first_to_forget() const;
  // Whichever comes first of all.
  [[nodiscard]] std::optional<EntryId> first_due() const;

  [[nodiscard]] std::size_t live() const noexcept { return live_timers_.size(); }
  [[nodiscard]] std::size_t ended() const noexcept { return ended_timers_.size(); }
  [[nodiscard]] std::size_t postings() const noexcept { return postings_.size(); }
  // Bytes of memory that everything sorted takes.
  [[nodiscard]] std::size_t index_memory() const noexcept {
    return postings_.memory() + live_timers_.memory() + ended_timers_.memory() + source_timers_.memory();
  }

 private:
  struct Timer {
    Instant deadline;
    EntryId entry = 0;
    friend auto operator<=>(const Timer&, const Timer&) = default;
  };
  struct SourceTimer {
    SourcePrefix source = 0;
    Instant deadline;
    EntryId entry = 0;
    friend auto operator<=>(const SourceTimer&, const SourceTimer&) = default;
  };

  // Nullptr when there is something else in its place.
  [[nodiscard]] Durability* find_durability(const NodeKey& key, std::uint32_t slot, std::uint64_t sequence);

  // Around every change of an entry: out of what is sorted by its fields, and in again.
  void detach(EntryId id);
  void attach(EntryId id);
  void index_record(EntryId id, bool is_added);
  void index_stores(EntryId id, std::uint32_t page, std::span<const StoreId> stores, bool is_added);
  void drop_pages(EntryId id, std::uint32_t first);
  void unindex_page(EntryId id, const Page& page);
  void set_posting(const Posting& posting, bool is_added);

  SipKey order_key_;
  SipKey term_key_;
  std::uint64_t peer_term_;
  std::deque<Entry> entries_;
  std::vector<EntryId> free_;
  SortedBlocks<Posting> postings_;
  SortedBlocks<Timer> live_timers_;
  SortedBlocks<Timer> ended_timers_;
  SortedBlocks<SourceTimer> source_timers_;
  SourceShares shares_;    // of live entries
  SourceShares networks_;  // the same by network_of()
};

}  // namespace dig::directory
