// SPDX-License-Identifier: Apache-2.0
// The Merkle tree that ties every chunk of an archive to its root hash (design §7).
//
// The tree has the shape of RFC 9162 §2.1: a node that has no sibling moves up unchanged.
//   leaf = SHA-256(0x00 || chunk)     node = SHA-256(0x01 || left || right)     root = SHA-256(0x02 || u64be size ||
//   top)
// The top of an empty archive's tree is SHA-256 of nothing. The size in the root makes the number of chunks and the
// length of the last one part of what is proven.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/hash256.hpp"

namespace dig::store {

inline constexpr std::uint64_t k_chunk_size = 262'144;
// Larger stores are refused before anything is allocated for them: 2^24 chunks, a bitmap of 2 MiB.
inline constexpr std::uint64_t k_max_store_size = std::uint64_t{1} << 42;
inline constexpr std::size_t k_max_proof_hashes = 24;

[[nodiscard]] constexpr std::uint64_t chunk_count(std::uint64_t size) {
  return size / k_chunk_size + (size % k_chunk_size != 0 ? 1 : 0);
}
[[nodiscard]] constexpr std::uint64_t chunk_offset(std::uint64_t index) { return index * k_chunk_size; }
// Bytes of chunk `index` of an archive of `size` bytes; 0 when there is no such chunk.
[[nodiscard]] constexpr std::size_t chunk_size_at(std::uint64_t size, std::uint64_t index) {
  if (index >= chunk_count(size)) return 0;
  const std::uint64_t rest = size - chunk_offset(index);
  return static_cast<std::size_t>(rest < k_chunk_size ? rest : k_chunk_size);
}

[[nodiscard]] Hash256 leaf_hash(BytesView chunk);
[[nodiscard]] Hash256 node_hash(const Hash256& left, const Hash256& right);
[[nodiscard]] RootHash root_hash(std::uint64_t size, const Hash256& top);

// Where the nodes of a tree with `leaves` leaves stand when its levels are laid out one after another, leaves first.
class TreeShape {
 public:
  explicit TreeShape(std::uint64_t leaves);

  [[nodiscard]] std::size_t levels() const noexcept { return levels_; }  // 0 for no leaves
  [[nodiscard]] std::uint64_t count(std::size_t level) const { return counts_[level]; }
  [[nodiscard]] std::uint64_t first(std::size_t level) const { return firsts_[level]; }
  [[nodiscard]] std::uint64_t nodes() const noexcept { return nodes_; }
  // The nodes that prove leaf `index`, in the order of a proof.
  [[nodiscard]] std::vector<std::uint64_t> proof_nodes(std::uint64_t index) const;

 private:
  std::array<std::uint64_t, 64> counts_{};
  std::array<std::uint64_t, 64> firsts_{};
  std::size_t levels_ = 0;
  std::uint64_t nodes_ = 0;
};

// The top of a tree from its leaves, one after another, in the memory of one path.
class TopBuilder {
 public:
  void add(const Hash256& leaf);
  [[nodiscard]] std::uint64_t leaves() const noexcept { return leaves_; }
  [[nodiscard]] Hash256 top() const;

 private:
  std::array<Hash256, 64> pending_{};  // pending_[k] is a full subtree of 2^k leaves when bit k of leaves_ is set
  std::uint64_t leaves_ = 0;
};

// A whole tree in memory: 64 bytes for each chunk.
class MerkleTree {
 public:
  MerkleTree(std::uint64_t size, std::vector<Hash256> leaves);

  [[nodiscard]] RootHash root() const;
  [[nodiscard]] std::vector<Hash256> proof(std::uint64_t index) const;

 private:
  std::uint64_t size_;
  TreeShape shape_;
  std::vector<Hash256> nodes_;
};

// Whether chunk `index`, whose leaf hash is `leaf`, belongs to the archive of `size` bytes with this root.
// Errors: chunk_mismatch (also for an index past the end and a proof of the wrong length).
[[nodiscard]] Result<void> verify_chunk(const RootHash& root, std::uint64_t size, std::uint64_t index,
                                        const Hash256& leaf, std::span<const Hash256> proof);

}  // namespace dig::store
