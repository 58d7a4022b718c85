// SPDX-License-Identifier: Apache-2.0
// A store that is being fetched: a preallocated file, and beside it the leaf hash of each chunk that is in it.
//
// kill -9 at any moment is harmless because of the order of steps: a chunk is verified against the root in memory, then
// written, then its leaf hash is written. A leaf hash thus never stands for a chunk that was not verified; after a
// power cut one may stand for bytes that did not reach the disk, so opening reads each claimed chunk again and
// compares. Nothing is allocated before the first chunk has proven the size: a holder that lies about it cannot fill
// the disk.
//
// Thread-safety: write_chunk, read_at and have may run on several threads at once, write_chunk for different chunks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/chunk_set.hpp"
#include "store/disk/file.hpp"
#include "store/disk/resource_reader.hpp"
#include "store/merkle.hpp"
#include "wire/hash256.hpp"
#include "wire/manifest.hpp"

namespace dig::store {

class PartialStore final : public ArchiveSource {
 public:
  // Used by LocalStore::open_partial, which see for the errors.
  [[nodiscard]] static Result<std::unique_ptr<PartialStore>> open(const fs::path& folder,
                                                                  const SignedManifest& manifest);

  [[nodiscard]] const StoreId& store_id() const noexcept { return manifest_.store_id; }
  [[nodiscard]] const RootHash& root() const noexcept { return manifest_.root; }
  [[nodiscard]] const SignedManifest& signed_manifest() const noexcept { return signed_manifest_; }
  [[nodiscard]] std::uint64_t size() const override { return manifest_.size; }
  [[nodiscard]] std::uint64_t chunks() const { return chunk_count(size()); }
  // A copy: the chunks that are here and verified.
  [[nodiscard]] ChunkSet have() const;

  // Verifies against the root, then writes. A chunk that is here already is not written again.
  // Errors: chunk_mismatch (nothing was written), disk_full, io_failed.
  [[nodiscard]] Result<void> write_chunk(std::uint64_t index, BytesView data, std::span<const Hash256> proof);
  // Errors: not_here.
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override;

 private:
  friend class LocalStore;
  PartialStore() = default;
  [[nodiscard]] Result<void> load_claims();
  [[nodiscard]] Result<void> check_claim(std::uint64_t index, const Hash256& claimed, MutableBytes buffer);
  [[nodiscard]] Result<void> prepare_files();
  [[nodiscard]] Result<void> empty();
  [[nodiscard]] Result<void> for_each_leaf(const std::function<Result<void>(const Hash256&)>& take) const;

  Manifest manifest_;
  SignedManifest signed_manifest_;
  File data_;
  File leaves_;
  bool prepared_ = false;  // guarded by mutex_
  ChunkSet have_;          // guarded by mutex_
  mutable std::mutex mutex_;
};

}  // namespace dig::store
