// SPDX-License-Identifier: Apache-2.0
// Reads the chunks and proofs of one complete store. Its memory does not grow with the store.
//
// Thread-safety: every function may run on several threads at once. The files stay readable after the store is removed.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/chunk_set.hpp"
#include "store/disk/file.hpp"
#include "store/disk/resource_reader.hpp"
#include "store/disk/tree_file.hpp"
#include "store/merkle.hpp"
#include "wire/hash256.hpp"
#include "wire/manifest.hpp"

namespace dig::store {

class StoreReader final : public ArchiveSource {
 public:
  // Errors: store_damaged when the files do not fit together.
  [[nodiscard]] static Result<std::shared_ptr<StoreReader>> open(const fs::path& archive, const fs::path& tree);

  [[nodiscard]] const StoreId& store_id() const noexcept { return tree_.header().store_id; }
  [[nodiscard]] const RootHash& root() const noexcept { return tree_.header().root; }
  [[nodiscard]] std::uint64_t size() const override { return tree_.header().size; }
  [[nodiscard]] std::uint64_t chunks() const { return chunk_count(size()); }

  // Fills the front of `out`, which must hold the chunk; returns its size. A chunk is compared with its leaf hash when
  // it is read for the first time, and again once the file has changed, so that damage is never passed on. Errors:
  // store_damaged, chunk_mismatch for an index past the end, io_failed.
  [[nodiscard]] Result<std::size_t> read_chunk(std::uint64_t index, MutableBytes out) const;
  [[nodiscard]] Result<std::vector<Hash256>> proof(std::uint64_t index) const;

  // The chunks it lies in are checked in the same way.
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override;
  // SHA-256 of the whole archive; reads and checks all of it.
  [[nodiscard]] Result<Hash256> sha256() const;

 private:
  StoreReader(File archive, TreeFile tree)
      : archive_(std::move(archive)), tree_(std::move(tree)), checked_(chunk_count(tree_.header().size)) {}

  [[nodiscard]] Result<bool> is_checked(std::uint64_t index) const;
  [[nodiscard]] Result<void> check(std::uint64_t index, BytesView chunk) const;

  File archive_;
  TreeFile tree_;
  mutable std::mutex mutex_;
  mutable ChunkSet checked_;                              // guarded by mutex_
  mutable std::optional<File::Version> checked_version_;  // of the archive that checked_ speaks of; guarded by mutex_
};

}  // namespace dig::store
