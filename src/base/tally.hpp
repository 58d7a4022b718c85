// SPDX-License-Identifier: Apache-2.0
// How many things each key has. A key with none takes no memory.
#pragma once

#include <cstddef>
#include <unordered_map>

namespace dig {

template <class Key>
class Tally {
 public:
  void add(const Key& key) { ++counts_[key]; }
  // Only for what was added.
  void remove(const Key& key) {
    const auto found = counts_.find(key);
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }
  [[nodiscard]] std::size_t count(const Key& key) const {
    const auto found = counts_.find(key);
    return found == counts_.end() ? 0 : found->second;
  }
  [[nodiscard]] std::size_t keys() const noexcept { return counts_.size(); }

 private:
  std::unordered_map<Key, std::size_t> counts_;
};

}  // namespace dig
