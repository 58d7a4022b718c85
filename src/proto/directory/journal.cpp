// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/journal.hpp"

#include <utility>

namespace dig::directory {

void Journal::put(const NodeKey& key, store::DirectoryRow row) {
  bytes_ += k_change_bytes + row.envelope.size();
  gathering_.written.push_back({key, row.slot, row.sequence});
  changes_.emplace_back(std::move(row));
}

void Journal::erase(PeerId peer, std::uint32_t first_slot, std::uint64_t sequence) {
  bytes_ += k_change_bytes;
  changes_.emplace_back(store::EraseRows{std::move(peer), first_slot, sequence});
}

void Journal::forget_replicas() {
  for (Waiting& waiting : gathering_.waiting) waiting.is_rest_replicated = false;
  if (!writing_) return;
  for (Waiting& waiting : writing_->waiting) waiting.is_rest_replicated = false;
}

std::optional<Persist> Journal::start_batch() {
  if (writing_ || (changes_.empty() && gathering_.waiting.empty())) return std::nullopt;
  writing_ = std::exchange(gathering_, {});
  writing_size_ = changes_.size();
  bytes_ = 0;
  ++token_.value;
  return Persist{token_, std::exchange(changes_, {})};
}

std::optional<Journal::Batch> Journal::finish_batch(PersistToken token) {
  if (!writing_ || token != token_) return std::nullopt;
  writing_size_ = 0;
  return std::exchange(writing_, std::nullopt);
}

}  // namespace dig::directory
