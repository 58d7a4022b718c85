// SPDX-License-Identifier: Apache-2.0
#include "store/disk/store_reader.hpp"

#include <algorithm>

#include "crypto/hash.hpp"

namespace dig::store {

Result<std::shared_ptr<StoreReader>> StoreReader::open(const fs::path& archive, const fs::path& tree) {
  DIG_TRY(File file, File::open_regular(archive));
  DIG_TRY(TreeFile tree_file, TreeFile::open(tree));
  DIG_TRY(const std::uint64_t size, file.size());
  if (size != tree_file.header().size) return fail(Errc::store_damaged, "the archive has another size than its tree");
  return std::shared_ptr<StoreReader>(new StoreReader(std::move(file), std::move(tree_file)));
}

Result<std::size_t> StoreReader::read_chunk(std::uint64_t index, MutableBytes out) const {
  const std::size_t wanted = chunk_size_at(size(), index);
  if (wanted == 0) return fail(Errc::chunk_mismatch, "there is no chunk with this index");
  if (out.size() < wanted) return fail(Errc::invalid_argument, "the buffer is smaller than the chunk");
  DIG_TRY(const bool is_known, is_checked(index));  // before reading: a change in between is found the next time
  DIG_TRY(const std::size_t got, archive_.read_at(chunk_offset(index), out.first(wanted)));
  if (got != wanted) return fail(Errc::store_damaged, "the archive is shorter than it was");
  if (!is_known) DIG_CHECK(check(index, out.first(wanted)));
  return got;
}

Result<bool> StoreReader::is_checked(std::uint64_t index) const {
  DIG_TRY(const File::Version version, archive_.version());
  const std::lock_guard lock(mutex_);
  if (checked_version_ != version) {
    checked_ = ChunkSet(checked_.size());
    checked_version_ = version;
  }
  return checked_.test(index);
}

Result<void> StoreReader::check(std::uint64_t index, BytesView chunk) const {
  DIG_TRY(const Hash256 leaf, tree_.leaf(index));
  if (leaf_hash(chunk) != leaf) return fail(Errc::store_damaged, "a chunk does not match its hash");
  const std::lock_guard lock(mutex_);
  checked_.set(index);
  return {};
}

Result<std::vector<Hash256>> StoreReader::proof(std::uint64_t index) const { return tree_.proof(index); }

Result<std::size_t> StoreReader::read_at(std::uint64_t offset, MutableBytes out) {
  const ChunkRange range =
      chunks_of_bytes(offset, std::min<std::uint64_t>(out.size(), size() - std::min(offset, size())));
  Bytes chunk;
  for (std::uint64_t index = range.first; index < range.first + range.count; ++index) {
    DIG_TRY(const bool is_known, is_checked(index));
    if (is_known) continue;
    chunk.resize(k_chunk_size);
    DIG_CHECK(read_chunk(index, chunk));
  }
  return archive_.read_at(offset, out);
}

Result<Hash256> StoreReader::sha256() const {
  crypto::Sha256 hash;
  Bytes buffer(k_chunk_size);
  for (std::uint64_t index = 0; index < chunks(); ++index) {
    DIG_TRY(const std::size_t size, read_chunk(index, buffer));
    hash.update(BytesView(buffer).first(size));
  }
  return Hash256{hash.finish()};
}

}  // namespace dig::store
