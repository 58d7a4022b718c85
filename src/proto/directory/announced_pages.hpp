// SPDX-License-Identifier: Apache-2.0
// The stores of this node on pages that change as little as possible: a store stays on its page, so that one that comes
// or goes makes one page to be signed and sent anew, or two.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "wire/identity.hpp"
#include "wire/node_record.hpp"
#include "wire/store_announcement.hpp"

namespace dig::directory {

class AnnouncedPages {
 public:
  explicit AnnouncedPages(std::size_t stores_per_page) : stores_per_page_(stores_per_page) {}

  // Returns whether anything changed. What does not fit into NodeRecord::max_pages is left out.
  bool set(std::vector<StoreId> stores);
  // Signs what has changed since it was last signed.
  void sign(const Identity& identity, std::uint64_t sequence);

  [[nodiscard]] std::uint32_t count() const noexcept { return static_cast<std::uint32_t>(pages_.size()); }
  // As signed last.
  [[nodiscard]] const Bytes& envelope(std::uint32_t page) const { return pages_[page].envelope; }
  [[nodiscard]] std::size_t left_out() const noexcept { return left_out_; }

 private:
  struct Page {
    std::vector<StoreId> stores;  // rising
    Bytes envelope;               // empty: changed since
  };

  bool remove_missing(const std::vector<StoreId>& stores);
  bool add(const StoreId& store);
  void close_gaps();

  std::size_t stores_per_page_;
  std::vector<Page> pages_;
  std::size_t left_out_ = 0;
};

}  // namespace dig::directory
