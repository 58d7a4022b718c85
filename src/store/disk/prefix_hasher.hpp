// SPDX-License-Identifier: Apache-2.0
// SHA-256 of a whole archive while it is being fetched: hashes the chunks in their order as soon as the next one is
// here, mostly from the buffer it came in, so that nothing has to be read again at the end.
//
// Thread-safety: chunk_written may run on several threads at once.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/hash.hpp"
#include "store/disk/partial_store.hpp"
#include "wire/hash256.hpp"

namespace dig::store {

class PrefixHasher {
 public:
  explicit PrefixHasher(std::shared_ptr<PartialStore> partial) : partial_(std::move(partial)) {}

  // The chunk is in the partial store now. Goes on from where the prefix ends; when another thread is doing that
  // already, this chunk is left for later.
  void chunk_written(std::uint64_t index, BytesView data);
  // Hashes what is left. Errors: not_here when a chunk is missing, those of files.
  [[nodiscard]] Result<Hash256> finish();

 private:
  // Hashes one more chunk, out of `data` if that is the next one.
  [[nodiscard]] Result<void> hash_next(std::uint64_t index, BytesView data);

  std::shared_ptr<PartialStore> partial_;
  std::mutex mutex_;
  crypto::Sha256 hash_;
  std::uint64_t next_ = 0;  // chunks before it are hashed
  Bytes buffer_;
};

}  // namespace dig::store
