// SPDX-License-Identifier: Apache-2.0
#include "store/merkle.hpp"

#include <algorithm>
#include <bit>

#include "crypto/hash.hpp"

namespace dig::store {
namespace {

constexpr std::byte k_leaf_tag{0x00};
constexpr std::byte k_node_tag{0x01};
constexpr std::byte k_root_tag{0x02};

Hash256 empty_top() { return Hash256{crypto::sha256({})}; }

}  // namespace

Hash256 leaf_hash(BytesView chunk) {
  crypto::Sha256 hash;
  hash.update(std::span(&k_leaf_tag, 1));
  hash.update(chunk);
  return Hash256{hash.finish()};
}

Hash256 node_hash(const Hash256& left, const Hash256& right) {
  std::array<std::byte, 65> input;
  input[0] = k_node_tag;
  std::ranges::copy(left.bytes, input.begin() + 1);
  std::ranges::copy(right.bytes, input.begin() + 33);
  return Hash256{crypto::sha256(input)};
}

RootHash root_hash(std::uint64_t size, const Hash256& top) {
  std::array<std::byte, 41> input;
  input[0] = k_root_tag;
  for (std::size_t i = 0; i < 8; ++i) input[1 + i] = static_cast<std::byte>(size >> (56 - 8 * i));
  std::ranges::copy(top.bytes, input.begin() + 9);
  return RootHash{crypto::sha256(input)};
}

TreeShape::TreeShape(std::uint64_t leaves) {
  for (std::uint64_t count = leaves; count > 0; count = count / 2 + count % 2) {
    counts_[levels_] = count;
    firsts_[levels_] = nodes_;
    nodes_ += count;
    ++levels_;
    if (count == 1) break;
  }
}

std::vector<std::uint64_t> TreeShape::proof_nodes(std::uint64_t index) const {
  std::vector<std::uint64_t> nodes;
  for (std::size_t level = 0; level + 1 < levels_; ++level, index /= 2) {
    const std::uint64_t sibling = index ^ 1;
    if (sibling < counts_[level]) nodes.push_back(firsts_[level] + sibling);
  }
  return nodes;
}

void TopBuilder::add(const Hash256& leaf) {
  Hash256 node = leaf;
  std::size_t level = 0;
  for (; ((leaves_ >> level) & 1) != 0; ++level) node = node_hash(pending_[level], node);
  pending_[level] = node;
  ++leaves_;
}

Hash256 TopBuilder::top() const {
  if (leaves_ == 0) return empty_top();
  auto level = static_cast<std::size_t>(std::countr_zero(leaves_));
  Hash256 node = pending_[level];
  for (++level; level < 64; ++level) {
    if (((leaves_ >> level) & 1) != 0) node = node_hash(pending_[level], node);
  }
  return node;
}

MerkleTree::MerkleTree(std::uint64_t size, std::vector<Hash256> leaves)
    : size_(size), shape_(leaves.size()), nodes_(std::move(leaves)) {
  nodes_.reserve(shape_.nodes());
  for (std::size_t level = 0; level + 1 < shape_.levels(); ++level) {
    const std::uint64_t first = shape_.first(level);
    for (std::uint64_t i = 0; i < shape_.count(level); i += 2) {
      const bool has_sibling = i + 1 < shape_.count(level);
      nodes_.push_back(has_sibling ? node_hash(nodes_[first + i], nodes_[first + i + 1]) : nodes_[first + i]);
    }
  }
}

RootHash MerkleTree::root() const { return root_hash(size_, nodes_.empty() ? empty_top() : nodes_.back()); }

std::vector<Hash256> MerkleTree::proof(std::uint64_t index) const {
  std::vector<Hash256> proof;
  for (const std::uint64_t node : shape_.proof_nodes(index)) proof.push_back(nodes_[node]);
  return proof;
}

Result<void> verify_chunk(const RootHash& root, std::uint64_t size, std::uint64_t index, const Hash256& leaf,
                          std::span<const Hash256> proof) {
  std::uint64_t count = chunk_count(size);
  if (index >= count) return fail(Errc::chunk_mismatch, "there is no chunk with this index");
  Hash256 node = leaf;
  for (; count > 1; count = count / 2 + count % 2, index /= 2) {
    if ((index ^ 1) >= count) continue;  // no sibling: the node moves up unchanged
    if (proof.empty()) return fail(Errc::chunk_mismatch, "the proof is too short");
    node = index % 2 == 0 ? node_hash(node, proof.front()) : node_hash(proof.front(), node);
    proof = proof.subspan(1);
  }
  if (!proof.empty()) return fail(Errc::chunk_mismatch, "the proof is too long");
  if (root_hash(size, node) != root) return fail(Errc::chunk_mismatch);
  return {};
}

}  // namespace dig::store
