// SPDX-License-Identifier: Apache-2.0
#include "store/disk/tree_file.hpp"

#include <fcntl.h>

#include <algorithm>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "crypto/hash.hpp"

namespace dig::store {
namespace {

constexpr std::string_view k_magic = "DIGTREE1";
constexpr std::size_t k_hash_bytes = sizeof(Hash256);
constexpr std::size_t k_batch = 32'768;                                      // hashes held in memory at once: 1 MiB
constexpr std::size_t k_max_manifest_bytes = TreeHeader::encoded_bytes / 2;  // with its signature

std::uint64_t node_offset(std::uint64_t index) { return TreeHeader::encoded_bytes + index * k_hash_bytes; }

BytesView as_bytes_of(std::span<const Hash256> hashes) { return std::as_bytes(hashes); }
MutableBytes as_bytes_of(std::span<Hash256> hashes) { return std::as_writable_bytes(hashes); }

Result<TreeHeader> decode_fields(BytesView bytes) {
  ByteReader reader(bytes);
  DIG_TRY(const BytesView magic, reader.bytes(k_magic.size()));
  if (as_text(magic) != k_magic) return fail(Errc::store_damaged, "not a tree file");
  TreeHeader header;
  DIG_TRY(header.size, reader.u64());
  DIG_TRY(const BytesView store_id, reader.bytes(k_hash_bytes));
  DIG_TRY(const BytesView root, reader.bytes(k_hash_bytes));
  std::ranges::copy(store_id, header.store_id.bytes.begin());
  std::ranges::copy(root, header.root.bytes.begin());
  DIG_TRY(header.files, reader.u64());
  DIG_TRY(const std::uint16_t manifest_size, reader.u16());
  DIG_TRY(const BytesView manifest, reader.bytes(manifest_size));
  DIG_TRY(const std::uint16_t signature_size, reader.u16());
  DIG_TRY(const BytesView signature, reader.bytes(signature_size));
  header.manifest.manifest = to_bytes(manifest);
  header.manifest.signature = to_bytes(signature);
  const std::size_t signed_size = bytes.size() - reader.remaining();
  DIG_TRY(const BytesView digest, reader.bytes(k_hash_bytes));
  if (!equal(digest, crypto::sha256(bytes.first(signed_size)))) return fail(Errc::store_damaged, "digest");
  if (header.size > k_max_store_size) return fail(Errc::store_damaged, "impossible size");
  if (std::size_t{manifest_size} + signature_size > k_max_manifest_bytes) return fail(Errc::oversized, "manifest");
  const bool is_zero_padded = std::ranges::all_of(reader.rest(), [](std::byte b) { return b == std::byte{0}; });
  if (bytes.size() != TreeHeader::encoded_bytes || !is_zero_padded) return fail(Errc::store_damaged, "padding");
  return header;
}

}  // namespace

static_assert(sizeof(Hash256) == 32);

Result<Bytes> TreeHeader::encode() const {
  Bytes out;
  ByteWriter writer(out);
  writer.text(k_magic);
  writer.u64(size);
  writer.bytes(store_id.bytes);
  writer.bytes(root.bytes);
  writer.u64(files);
  if (manifest.manifest.size() + manifest.signature.size() > k_max_manifest_bytes) {
    return fail(Errc::oversized, "manifest");
  }
  writer.u16(static_cast<std::uint16_t>(manifest.manifest.size()));
  writer.bytes(manifest.manifest);
  writer.u16(static_cast<std::uint16_t>(manifest.signature.size()));
  writer.bytes(manifest.signature);
  const crypto::Sha256Digest digest = crypto::sha256(out);
  writer.bytes(digest);
  out.resize(encoded_bytes);
  return out;
}

Result<TreeHeader> TreeHeader::decode(BytesView bytes) {
  auto header = decode_fields(bytes);
  if (!header) return fail(Errc::store_damaged, "header of a tree file: " + header.error().detail());
  return header;
}

Result<TreeFile> TreeFile::open(const fs::path& path) {
  DIG_TRY(File file, File::open_regular(path));
  Bytes bytes(TreeHeader::encoded_bytes);
  if (auto read = file.read_exactly(0, bytes); !read) {
    if (read.error().code() == Errc::truncated) return fail(Errc::store_damaged, path.native());
    return std::unexpected(read.error());
  }
  DIG_TRY(TreeHeader header, TreeHeader::decode(bytes));
  DIG_TRY(const std::uint64_t size, file.size());
  TreeFile tree(std::move(file), std::move(header));
  if (size != node_offset(tree.shape_.nodes())) return fail(Errc::store_damaged, path.native());
  return tree;
}

Result<Hash256> TreeFile::node(std::uint64_t index) const {
  Hash256 hash;
  if (auto read = file_.read_exactly(node_offset(index), hash.bytes); !read) {
    if (read.error().code() == Errc::truncated) return fail(Errc::store_damaged, file_.path().native());
    return std::unexpected(read.error());
  }
  return hash;
}

Result<Hash256> TreeFile::leaf(std::uint64_t index) const {
  if (index >= chunk_count(header_.size)) return fail(Errc::chunk_mismatch, "there is no chunk with this index");
  return node(index);
}

Result<std::vector<Hash256>> TreeFile::proof(std::uint64_t index) const {
  if (index >= chunk_count(header_.size)) return fail(Errc::chunk_mismatch, "there is no chunk with this index");
  std::vector<Hash256> proof;
  for (const std::uint64_t at : shape_.proof_nodes(index)) {
    DIG_TRY(const Hash256 hash, node(at));
    proof.push_back(hash);
  }
  return proof;
}

Result<TreeFileWriter> TreeFileWriter::create(const fs::path& path, std::uint64_t size) {
  if (size > k_max_store_size) return fail(Errc::limit_reached, "stores are at most 4 TiB");
  DIG_TRY(File file, File::open(path, O_RDWR | O_CREAT | O_EXCL));
  return TreeFileWriter(std::move(file), size);
}

Result<void> TreeFileWriter::add(const Hash256& leaf) {
  buffer_.push_back(leaf);
  return buffer_.size() == k_batch ? flush() : Result<void>{};
}

Result<void> TreeFileWriter::flush() {
  DIG_CHECK(file_.write_at(node_offset(written_), as_bytes_of(std::span<const Hash256>(buffer_))));
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

// Reads level `level` and writes the one above it; returns the last hash written.
Result<Hash256> TreeFileWriter::write_level(std::size_t level) {
  std::vector<Hash256> below(k_batch);
  std::vector<Hash256> above;
  for (std::uint64_t done = 0; done < shape_.count(level); done += below.size()) {
    below.resize(static_cast<std::size_t>(std::min<std::uint64_t>(k_batch, shape_.count(level) - done)));
    DIG_CHECK(file_.read_exactly(node_offset(shape_.first(level) + done), as_bytes_of(std::span(below))));
    above.clear();
    for (std::size_t i = 0; i < below.size(); i += 2) {
      above.push_back(i + 1 < below.size() ? node_hash(below[i], below[i + 1]) : below[i]);
    }
    DIG_CHECK(
        file_.write_at(node_offset(shape_.first(level + 1) + done / 2), as_bytes_of(std::span<const Hash256>(above))));
  }
  return above.back();
}

Result<RootHash> TreeFileWriter::finish() {
  DIG_CHECK(flush());
  if (written_ != shape_.count(0)) return fail(Errc::internal, "a tree file needs every leaf");
  if (shape_.levels() == 0) {
    DIG_CHECK(file_.truncate(TreeHeader::encoded_bytes));
    return root_hash(size_, TopBuilder().top());
  }
  Hash256 top;
  DIG_CHECK(file_.read_exactly(node_offset(0), top.bytes));
  for (std::size_t level = 0; level + 1 < shape_.levels(); ++level) {
    DIG_TRY(top, write_level(level));
  }
  return root_hash(size_, top);
}

Result<void> TreeFileWriter::write_header(const TreeHeader& header) {
  DIG_TRY(const Bytes bytes, header.encode());
  DIG_CHECK(file_.write_at(0, bytes));
  return file_.sync();
}

}  // namespace dig::store
