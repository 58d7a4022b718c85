// SPDX-License-Identifier: Apache-2.0
#include "store/disk/partial_store.hpp"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "store/disk/leaves_file.hpp"

namespace dig::store {

namespace {

// Whoever held the lock before may have finished the store and removed the file: then there is a new one to make.
Result<File> open_locked(const fs::path& path) {
  for (int attempt = 0; attempt < 16; ++attempt) {
    DIG_TRY(File file, File::open(path, O_RDWR | O_CREAT));
    DIG_TRY(const bool locked, file.try_lock());
    if (!locked) return fail(Errc::store_busy);
    DIG_TRY(const bool has_name, file.has_name());
    if (has_name) return file;
  }
  return fail(Errc::store_busy);
}

}  // namespace

Result<std::unique_ptr<PartialStore>> PartialStore::open(const fs::path& folder,
                                                         const SignedManifest& signed_manifest) {
  DIG_TRY(const Manifest manifest, Manifest::decode(signed_manifest.manifest));
  if (manifest.size > k_max_store_size) return fail(Errc::limit_reached, "stores are at most 4 TiB");
  DIG_CHECK(make_folders(folder));
  std::unique_ptr<PartialStore> partial(new PartialStore());
  partial->manifest_ = manifest;
  partial->signed_manifest_ = signed_manifest;
  const std::string name = manifest.store_id.to_hex() + "-" + manifest.root.to_hex();
  DIG_TRY(partial->leaves_, open_locked(folder / (name + ".leaves")));
  DIG_TRY(partial->data_, File::open(folder / (name + ".part"), O_RDWR | O_CREAT));
  partial->have_ = ChunkSet(chunk_count(manifest.size));
  DIG_CHECK(partial->load_claims());
  return partial;
}

// Reads what an earlier run left. A header that is not right means that no chunk is here.
Result<void> PartialStore::load_claims() {
  Bytes bytes(LeavesHeader::encoded_bytes);
  DIG_TRY(const std::size_t got, leaves_.read_at(0, bytes));
  const auto header = LeavesHeader::decode(BytesView(bytes).first(got));
  if (!header || header->store_id != manifest_.store_id || header->root != manifest_.root) return empty();
  // The header was written when a first chunk had proven the size.
  if (header->size != manifest_.size) return fail(Errc::manifest_mismatch, "chunks that are here prove another size");
  prepared_ = true;
  DIG_CHECK(data_.allocate(manifest_.size));
  std::vector<Hash256> claims(4096);
  Bytes buffer(k_chunk_size);
  for (std::uint64_t first = 0; first < have_.size(); first += claims.size()) {
    const MutableBytes into = std::as_writable_bytes(std::span(claims));
    DIG_TRY(const std::size_t claimed, leaves_.read_at(leaf_offset(first), into));
    const std::uint64_t count = std::min<std::uint64_t>(claimed / sizeof(Hash256), have_.size() - first);
    for (std::uint64_t i = 0; i < count; ++i) DIG_CHECK(check_claim(first + i, claims[i], buffer));
    if (claimed < into.size()) break;
  }
  return {};
}

Result<void> PartialStore::check_claim(std::uint64_t index, const Hash256& claimed, MutableBytes buffer) {
  if (claimed == Hash256{}) return {};
  const MutableBytes chunk = buffer.first(chunk_size_at(manifest_.size, index));
  DIG_TRY(const std::size_t got, data_.read_at(chunk_offset(index), chunk));
  if (got == chunk.size() && leaf_hash(chunk) == claimed) have_.set(index);
  return {};
}

Result<void> PartialStore::for_each_leaf(const std::function<Result<void>(const Hash256&)>& take) const {
  std::vector<Hash256> batch(4096);
  for (std::uint64_t first = 0; first < chunks(); first += batch.size()) {
    batch.resize(static_cast<std::size_t>(std::min<std::uint64_t>(batch.size(), chunks() - first)));
    DIG_CHECK(leaves_.read_exactly(leaf_offset(first), std::as_writable_bytes(std::span(batch))));
    for (const Hash256& leaf : batch) DIG_CHECK(take(leaf));
  }
  return {};
}

Result<void> PartialStore::empty() {
  const std::lock_guard lock(mutex_);
  prepared_ = false;
  have_ = ChunkSet(chunk_count(manifest_.size));
  DIG_CHECK(leaves_.truncate(0));
  return data_.truncate(0);
}

ChunkSet PartialStore::have() const {
  const std::lock_guard lock(mutex_);
  return have_;
}

// Space for everything, then the header: only now does the manifest's size count.
Result<void> PartialStore::prepare_files() {
  const std::lock_guard lock(mutex_);
  if (prepared_) return {};
  DIG_CHECK(data_.allocate(manifest_.size));
  DIG_CHECK(leaves_.allocate(leaf_offset(chunk_count(manifest_.size))));
  DIG_CHECK(leaves_.write_at(0, LeavesHeader{manifest_.store_id, manifest_.root, manifest_.size}.encode()));
  prepared_ = true;
  return {};
}

Result<void> PartialStore::write_chunk(std::uint64_t index, BytesView data, std::span<const Hash256> proof) {
  if (data.size() != chunk_size_at(manifest_.size, index))
    return fail(Errc::chunk_mismatch, "the chunk has a wrong size");
  const Hash256 leaf = leaf_hash(data);
  DIG_CHECK(verify_chunk(manifest_.root, manifest_.size, index, leaf, proof));
  {
    const std::lock_guard lock(mutex_);
    if (have_.test(index)) return {};
  }
  DIG_CHECK(prepare_files());
  DIG_CHECK(data_.write_at(chunk_offset(index), data));
  DIG_CHECK(leaves_.write_at(leaf_offset(index), leaf.bytes));
  const std::lock_guard lock(mutex_);
  have_.set(index);
  return {};
}

Result<std::size_t> PartialStore::read_at(std::uint64_t offset, MutableBytes out) {
  if (offset >= manifest_.size) return 0;
  const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), manifest_.size - offset));
  if (size == 0) return 0;
  const ChunkRange needed = chunks_of_bytes(offset, size);
  {
    const std::lock_guard lock(mutex_);
    if (have_.next_missing(needed.first).value_or(UINT64_MAX) < needed.first + needed.count)
      return fail(Errc::not_here);
  }
  DIG_CHECK(data_.read_exactly(offset, out.first(size)));
  return size;
}

}  // namespace dig::store
