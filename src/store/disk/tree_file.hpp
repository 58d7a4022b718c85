// SPDX-License-Identifier: Apache-2.0
// The `.tree` file beside an archive: a header that says which store it belongs to, its signed manifest, and every
// level of the Merkle tree, leaves first. With it a proof costs a few small reads, and the index can be rebuilt.
//
//   offset 0      "DIGTREE1", u64be size, store id, root, u64be files, u16be manifest size, manifest, u16be signature
//                 size, signature, SHA-256 of all before it (so that a damaged header is noticed)
//   offset 4096   the nodes, 32 bytes each
//
// Thread-safety: the const functions may run on several threads at once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/disk/file.hpp"
#include "store/merkle.hpp"
#include "wire/hash256.hpp"
#include "wire/manifest.hpp"

namespace dig::store {

struct TreeHeader {
  StoreId store_id;
  RootHash root;
  std::uint64_t size = 0;
  std::uint64_t files = 0;
  SignedManifest manifest;

  static constexpr std::size_t encoded_bytes = 4096;
  [[nodiscard]] Result<Bytes> encode() const;
  // Errors: store_damaged.
  [[nodiscard]] static Result<TreeHeader> decode(BytesView bytes);
};

class TreeFile {
 public:
  // Errors: store_damaged for a header or a length that is not right.
  [[nodiscard]] static Result<TreeFile> open(const fs::path& path);

  [[nodiscard]] const TreeHeader& header() const noexcept { return header_; }
  [[nodiscard]] Result<Hash256> leaf(std::uint64_t index) const;
  [[nodiscard]] Result<std::vector<Hash256>> proof(std::uint64_t index) const;

 private:
  TreeFile(File file, TreeHeader header)
      : file_(std::move(file)), header_(std::move(header)), shape_(chunk_count(header_.size)) {}
  [[nodiscard]] Result<Hash256> node(std::uint64_t index) const;

  File file_;
  TreeHeader header_;
  TreeShape shape_;
};

// Writes a `.tree` file: leaves in order, then finish(), which makes the upper levels in bounded memory and returns the
// root. The header is written last.
class TreeFileWriter {
 public:
  [[nodiscard]] static Result<TreeFileWriter> create(const fs::path& path, std::uint64_t size);

  [[nodiscard]] Result<void> add(const Hash256& leaf);
  [[nodiscard]] Result<RootHash> finish();
  [[nodiscard]] Result<void> write_header(const TreeHeader& header);  // and makes the file durable

 private:
  TreeFileWriter(File file, std::uint64_t size) : file_(std::move(file)), size_(size), shape_(chunk_count(size)) {}
  [[nodiscard]] Result<void> flush();
  [[nodiscard]] Result<Hash256> write_level(std::size_t level);

  File file_;
  std::uint64_t size_;
  TreeShape shape_;
  std::vector<Hash256> buffer_;
  std::uint64_t written_ = 0;  // leaves in the file
};

}  // namespace dig::store
