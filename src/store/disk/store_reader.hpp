// SPDX-License-Identifier: Apache-2.0
// Reads the chunks and proofs of one complete store. Its memory does not grow with the store.
//
// Thread-safety: every function may run on several threads at once. The files stay readable after the store is removed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
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

  // Fills the front of `out`, which must hold the chunk; returns its size. The bytes are what the disk holds: whoever
  // gets them checks them against the root. Errors: chunk_mismatch for an index past the end, io_failed.
  [[nodiscard]] Result<std::size_t> read_chunk(std::uint64_t index, MutableBytes out) const;
  // The same, but compares with the leaf hash first. Errors: store_damaged.
  [[nodiscard]] Result<std::size_t> read_checked_chunk(std::uint64_t index, MutableBytes out) const;
  [[nodiscard]] Result<std::vector<Hash256>> proof(std::uint64_t index) const;

  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override;
  // SHA-256 of the whole archive; reads all of it.
  [[nodiscard]] Result<Hash256> sha256() const;

 private:
  StoreReader(File archive, TreeFile tree) : archive_(std::move(archive)), tree_(std::move(tree)) {}
  File archive_;
  TreeFile tree_;
};

}  // namespace dig::store
