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
  DIG_TRY(const std::size_t got, archive_.read_at(chunk_offset(index), out.first(wanted)));
  if (got != wanted) return fail(Errc::store_damaged, "the archive is shorter than it was");
  return got;
}

Result<std::size_t> StoreReader::read_checked_chunk(std::uint64_t index, MutableBytes out) const {
  DIG_TRY(const std::size_t size, read_chunk(index, out));
  DIG_TRY(const Hash256 leaf, tree_.leaf(index));
  if (leaf_hash(out.first(size)) != leaf) return fail(Errc::store_damaged, "a chunk does not match its hash");
  return size;
}

Result<std::vector<Hash256>> StoreReader::proof(std::uint64_t index) const { return tree_.proof(index); }

Result<std::size_t> StoreReader::read_at(std::uint64_t offset, MutableBytes out) {
  return archive_.read_at(offset, out);
}

Result<Hash256> StoreReader::sha256() const {
  crypto::Sha256 hash;
  Bytes buffer(4 * k_chunk_size);
  for (std::uint64_t offset = 0; offset < size();) {
    DIG_TRY(const std::size_t got, archive_.read_at(offset, buffer));
    if (got == 0) return fail(Errc::store_damaged, "the archive is shorter than it was");
    hash.update(BytesView(buffer).first(got));
    offset += got;
  }
  return Hash256{hash.finish()};
}

}  // namespace dig::store
