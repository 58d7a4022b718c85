// SPDX-License-Identifier: Apache-2.0
// The look-ups of DirectoryServer: each walks over neighbours in the index, from where the cursor says to a full page.
#include "proto/directory/server.hpp"

namespace dig::directory {
namespace {

// The places of a listing in their order: from its start to the end, then from the beginning to its start.
struct Walk {
  Walk(std::uint64_t begin, const std::optional<DirectoryCursor>& cursor)
      : start(begin), is_wrapped(cursor && cursor->last < begin) {
    if (cursor) last = cursor->last;
  }

  [[nodiscard]] std::uint64_t from() const { return last ? *last : is_wrapped ? 0 : start; }
  [[nodiscard]] bool has_passed(std::uint64_t order) const { return last && order <= *last; }
  void wrap() {
    is_wrapped = true;
    last.reset();
  }

  std::uint64_t start;
  bool is_wrapped;
  std::optional<std::uint64_t> last;
};

}  // namespace

// `announcement` names what comes with the record at a posting.
template <class Announcement>
FoundRecords DirectoryServer::list(std::uint64_t term, const std::optional<DirectoryCursor>& cursor,
                                   std::uint32_t limit, Announcement announcement) {
  ++status_.look_ups;
  FoundRecords found;
  std::size_t size = k_directory_message_overhead;
  Walk walk(cursor ? cursor->start : rng_.u64(), cursor);
  std::optional<std::uint64_t> last_taken;
  bool is_full = false;
  const auto take = [&](const DirectoryIndex::Posting& posting) {
    if (walk.is_wrapped && posting.order >= walk.start) return false;
    // A store that a peer announces on two pages is one answer.
    if (walk.has_passed(posting.order) || posting.order == last_taken) return true;
    const Entry& entry = index_.entry(posting.entry);
    const BytesView page = announcement(entry, posting.page);
    const std::size_t added = k_found_record_overhead + entry.record.size() + page.size();
    is_full = found.records.size() == limit || size + added > k_max_directory_message;
    if (is_full) return false;
    size += added;
    found.records.push_back({entry.record, to_bytes(page)});
    last_taken = posting.order;
    return true;
  };
  index_.visit(term, walk.from(), take);
  if (!is_full && !walk.is_wrapped) {
    walk.wrap();
    index_.visit(term, walk.from(), take);
  }
  if (is_full && last_taken) found.cursor = DirectoryCursor{walk.start, *last_taken};
  return found;
}

FoundRecords DirectoryServer::find_holders(const StoreId& store, const std::optional<DirectoryCursor>& cursor,
                                           std::uint32_t limit) {
  return list(index_.term_of_store(store), cursor, limit, [](const Entry& entry, std::uint32_t number) {
    const Page* const page = entry.page(number);
    return page != nullptr ? BytesView(page->envelope) : BytesView();
  });
}

FoundRecords DirectoryServer::find_roles(NodeRoles roles, const std::optional<DirectoryCursor>& cursor,
                                         std::uint32_t limit) {
  return list(index_.term_of_roles(roles), cursor, limit, [](const Entry&, std::uint32_t) { return BytesView(); });
}

FoundRecords DirectoryServer::find_peer(const PeerId& peer) {
  ++status_.look_ups;
  const std::optional<NodeKey> key = node_key_of(peer);
  const std::optional<EntryId> id = key ? index_.find(*key) : std::nullopt;
  FoundRecords found;
  if (id && index_.entry(*id).is_live()) found.records.push_back({index_.entry(*id).record, {}});
  return found;
}

}  // namespace dig::directory
