// SPDX-License-Identifier: Apache-2.0
#include "store/disk/prefix_hasher.hpp"

#include "store/merkle.hpp"

namespace dig::store {

void PrefixHasher::chunk_written(std::uint64_t index, BytesView data) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || index < next_) return;
  // Stops at the first chunk that is not here. A chunk that cannot be read is tried again, and told of, by finish().
  while (next_ < partial_->chunks() && hash_next(index, data)) {
  }
}

Result<Hash256> PrefixHasher::finish() {
  const std::lock_guard lock(mutex_);
  while (next_ < partial_->chunks()) DIG_CHECK(hash_next(partial_->chunks(), {}));
  return Hash256{hash_.finish()};
}

Result<void> PrefixHasher::hash_next(std::uint64_t index, BytesView data) {
  if (next_ == index) {
    hash_.update(data);
  } else {
    buffer_.resize(chunk_size_at(partial_->size(), next_));
    DIG_CHECK(partial_->read_at(chunk_offset(next_), buffer_));
    hash_.update(buffer_);
  }
  ++next_;
  return {};
}

}  // namespace dig::store
