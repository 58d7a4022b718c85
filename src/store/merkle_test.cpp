// SPDX-License-Identifier: Apache-2.0
#include "store/merkle.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/rng.hpp"
#include "crypto/hash.hpp"

namespace dig::store {
namespace {

std::vector<Hash256> some_leaves(std::uint64_t count) {
  SeededRng rng(count + 1);
  std::vector<Hash256> leaves(count);
  for (Hash256& leaf : leaves) leaf.bytes = rng.array<32>();
  return leaves;
}

// RFC 9162 §2.1.1, literally: split at the largest power of two below n.
Hash256 reference_top(std::span<const Hash256> leaves) {
  if (leaves.empty()) return Hash256{crypto::sha256(BytesView{})};
  if (leaves.size() == 1) return leaves[0];
  std::size_t split = 1;
  while (split * 2 < leaves.size()) split *= 2;
  return node_hash(reference_top(leaves.first(split)), reference_top(leaves.subspan(split)));
}

std::uint64_t size_with_chunks(std::uint64_t count) { return count == 0 ? 0 : (count - 1) * k_chunk_size + 17; }

TEST(Merkle, HashesAreDomainSeparated) {
  const Bytes chunk = to_bytes("abc");
  Bytes input{std::byte{0}};
  append(input, chunk);
  EXPECT_EQ(leaf_hash(chunk).bytes, crypto::sha256(input));
  const Hash256 left = leaf_hash(to_bytes("l")), right = leaf_hash(to_bytes("r"));
  input = {std::byte{1}};
  append(input, left.bytes);
  append(input, right.bytes);
  EXPECT_EQ(node_hash(left, right).bytes, crypto::sha256(input));
  input = {std::byte{2}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
           std::byte{0}, std::byte{0}, std::byte{1}, std::byte{2}};
  append(input, left.bytes);
  EXPECT_EQ(root_hash(258, left).bytes, crypto::sha256(input));
}

TEST(Merkle, KnownRootsStayWhatTheyAre) {
  EXPECT_EQ(MerkleTree(0, {}).root().to_hex(), root_hash(0, Hash256{crypto::sha256(BytesView{})}).to_hex());
  const Bytes chunk(5, std::byte{'x'});
  EXPECT_EQ(MerkleTree(5, {leaf_hash(chunk)}).root().to_hex(),
            "01fd6a6868e55a89b1c99b2394eb1fcdb949dae46217b219cc5c98453af869a8");
}

TEST(Merkle, ChunksCoverTheArchiveExactly) {
  EXPECT_EQ(chunk_count(0), 0U);
  EXPECT_EQ(chunk_count(1), 1U);
  EXPECT_EQ(chunk_count(k_chunk_size), 1U);
  EXPECT_EQ(chunk_count(k_chunk_size + 1), 2U);
  EXPECT_EQ(chunk_count(UINT64_MAX), UINT64_MAX / k_chunk_size + 1);
  EXPECT_EQ(chunk_size_at(0, 0), 0U);
  EXPECT_EQ(chunk_size_at(k_chunk_size + 1, 0), k_chunk_size);
  EXPECT_EQ(chunk_size_at(k_chunk_size + 1, 1), 1U);
  EXPECT_EQ(chunk_size_at(k_chunk_size + 1, 2), 0U);
  EXPECT_EQ(chunk_size_at(k_chunk_size, 0), k_chunk_size);
}

TEST(Merkle, TreesHaveTheShapeOfTheRfc) {
  for (std::uint64_t count = 0; count <= 130; ++count) {
    const std::vector<Hash256> leaves = some_leaves(count);
    const std::uint64_t size = size_with_chunks(count);
    const RootHash expected = root_hash(size, reference_top(leaves));
    EXPECT_EQ(MerkleTree(size, leaves).root(), expected) << count;
    TopBuilder builder;
    for (const Hash256& leaf : leaves) builder.add(leaf);
    EXPECT_EQ(root_hash(size, builder.top()), expected) << count;
    EXPECT_EQ(builder.leaves(), count);
  }
}

TEST(Merkle, EveryChunkOfEveryTreeIsProven) {
  for (std::uint64_t count = 1; count <= 70; ++count) {
    const std::vector<Hash256> leaves = some_leaves(count);
    const std::uint64_t size = size_with_chunks(count);
    const MerkleTree tree(size, leaves);
    for (std::uint64_t index = 0; index < count; ++index) {
      const std::vector<Hash256> proof = tree.proof(index);
      EXPECT_LE(proof.size(), k_max_proof_hashes);
      EXPECT_TRUE(verify_chunk(tree.root(), size, index, leaves[index], proof)) << count << " " << index;
    }
  }
}

TEST(Merkle, NothingTamperedWithIsAccepted) {
  for (const std::uint64_t count : {1U, 2U, 3U, 5U, 8U, 13U}) {
    const std::vector<Hash256> leaves = some_leaves(count);
    const std::uint64_t size = size_with_chunks(count);
    const MerkleTree tree(size, leaves);
    for (std::uint64_t index = 0; index < count; ++index) {
      const std::vector<Hash256> proof = tree.proof(index);
      const auto refused = [&](const RootHash& root, std::uint64_t s, std::uint64_t i, const Hash256& leaf,
                               std::span<const Hash256> p) {
        const auto result = verify_chunk(root, s, i, leaf, p);
        return !result && result.error().code() == Errc::chunk_mismatch;
      };
      for (std::size_t bit = 0; bit < 256; bit += 37) {
        const auto flip = std::byte{1} << static_cast<int>(bit % 8);
        Hash256 leaf = leaves[index];
        leaf.bytes[bit / 8] ^= flip;
        EXPECT_TRUE(refused(tree.root(), size, index, leaf, proof));
        RootHash root = tree.root();
        root.bytes[bit / 8] ^= flip;
        EXPECT_TRUE(refused(root, size, index, leaves[index], proof));
        for (std::size_t i = 0; i < proof.size(); ++i) {
          std::vector<Hash256> bad = proof;
          bad[i].bytes[bit / 8] ^= flip;
          EXPECT_TRUE(refused(tree.root(), size, index, leaves[index], bad));
        }
      }
      for (std::uint64_t other = 0; other < count + 3; ++other) {
        if (other == index) continue;
        EXPECT_TRUE(refused(tree.root(), size, other, leaves[index], proof));
      }
      for (const std::uint64_t other : {std::uint64_t{0}, size - 1, size + 1, size + k_chunk_size, UINT64_MAX}) {
        EXPECT_TRUE(refused(tree.root(), other, index, leaves[index], proof));
      }
      std::vector<Hash256> longer = proof;
      longer.push_back(leaves[0]);
      EXPECT_TRUE(refused(tree.root(), size, index, leaves[index], longer));
      if (!proof.empty()) {
        EXPECT_TRUE(refused(tree.root(), size, index, leaves[index], std::span(proof).first(proof.size() - 1)));
      }
    }
  }
}

TEST(Merkle, AnInnerNodeIsNeverTakenForALeaf) {
  const std::vector<Hash256> leaves = some_leaves(4);
  const MerkleTree tree(size_with_chunks(4), leaves);
  const Hash256 inner = node_hash(leaves[0], leaves[1]);
  const std::vector<Hash256> proof{node_hash(leaves[2], leaves[3])};
  EXPECT_FALSE(verify_chunk(tree.root(), size_with_chunks(2), 0, inner, proof));  // the size is part of the root
}

TEST(Merkle, ProofNodesPointIntoTheLaidOutLevels) {
  const TreeShape shape(5);
  EXPECT_EQ(shape.levels(), 4U);
  EXPECT_EQ(shape.nodes(), 5U + 3 + 2 + 1);
  EXPECT_EQ(shape.proof_nodes(4), (std::vector<std::uint64_t>{8}));
  EXPECT_EQ(shape.proof_nodes(0), (std::vector<std::uint64_t>{1, 6, 9}));
  EXPECT_EQ(TreeShape(0).levels(), 0U);
  EXPECT_TRUE(TreeShape(1).proof_nodes(0).empty());
}

TEST(Merkle, TheLargestStoreHasProofsWithinTheLimit) {
  const TreeShape shape(chunk_count(k_max_store_size));
  EXPECT_EQ(shape.proof_nodes(0).size(), k_max_proof_hashes);
}

}  // namespace
}  // namespace dig::store
