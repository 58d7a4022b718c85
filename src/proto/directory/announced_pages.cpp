// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/announced_pages.hpp"

#include <algorithm>
#include <utility>

#include "wire/signed_statement.hpp"

namespace dig::directory {

bool AnnouncedPages::set(std::vector<StoreId> stores) {
  std::ranges::sort(stores);
  stores.erase(std::unique(stores.begin(), stores.end()), stores.end());
  bool has_changed = remove_missing(stores);
  std::vector<StoreId> kept;
  for (const Page& page : pages_) kept.insert(kept.end(), page.stores.begin(), page.stores.end());
  std::ranges::sort(kept);
  left_out_ = 0;
  for (const StoreId& store : stores) {
    if (std::ranges::binary_search(kept, store)) continue;
    if (add(store)) {
      has_changed = true;
    } else {
      ++left_out_;
    }
  }
  close_gaps();
  return has_changed;
}

bool AnnouncedPages::remove_missing(const std::vector<StoreId>& stores) {
  bool has_changed = false;
  for (Page& page : pages_) {
    const auto removed =
        std::erase_if(page.stores, [&](const StoreId& store) { return !std::ranges::binary_search(stores, store); });
    if (removed == 0) continue;
    page.envelope.clear();
    has_changed = true;
  }
  return has_changed;
}

// To the first page with room; false when there is none.
bool AnnouncedPages::add(const StoreId& store) {
  auto page = std::ranges::find_if(pages_, [&](const Page& each) { return each.stores.size() < stores_per_page_; });
  if (page == pages_.end()) {
    if (pages_.size() == NodeRecord::max_pages) return false;
    page = pages_.emplace(pages_.end());
  }
  page->stores.insert(std::ranges::lower_bound(page->stores, store), store);
  page->envelope.clear();
  return true;
}

// There are no empty pages: the last one takes the number of one that has become empty.
void AnnouncedPages::close_gaps() {
  for (std::size_t i = 0; i < pages_.size();) {
    if (!pages_[i].stores.empty()) {
      ++i;
      continue;
    }
    if (i + 1 < pages_.size()) {
      pages_[i] = std::move(pages_.back());
      pages_[i].envelope.clear();
    }
    pages_.pop_back();
  }
}

void AnnouncedPages::sign(const Identity& identity, std::uint64_t sequence) {
  for (std::uint32_t number = 0; number < count(); ++number) {
    Page& page = pages_[number];
    if (!page.envelope.empty()) continue;
    const StoreAnnouncement announcement{identity.peer_id(), sequence, number, page.stores};
    page.envelope = sign_statement(identity, announcement).encode();
  }
}

}  // namespace dig::directory
