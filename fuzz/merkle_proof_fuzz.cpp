// SPDX-License-Identifier: Apache-2.0
// Chunk proofs: of a known tree, only the true leaf, index, size and proof are accepted.
#include <cstdlib>
#include <vector>

#include "base/byte_reader.hpp"
#include "store/merkle.hpp"

namespace {

using namespace dig;
using namespace dig::store;

// The input: number of chunks, true index, claimed index, change of the size, then the change of the leaf and of each
// proof hash, 32 bytes each.
Result<void> run(BytesView input) {
  ByteReader reader(input);
  DIG_TRY(const std::uint8_t raw_count, reader.u8());
  DIG_TRY(const std::uint8_t raw_index, reader.u8());
  DIG_TRY(const std::uint64_t claimed_index, reader.u64());
  DIG_TRY(const std::uint64_t size_change, reader.u64());
  const std::uint64_t count = raw_count % 40U + 1, index = raw_index % count;
  const std::uint64_t size = count * k_chunk_size - raw_index;
  std::vector<Hash256> leaves(count);
  for (std::uint64_t i = 0; i < count; ++i) leaves[i].bytes[i % 32] = static_cast<std::byte>(i + 1);
  const MerkleTree tree(size, leaves);
  std::vector<Hash256> hashes{leaves[index]};
  for (const Hash256& hash : tree.proof(index)) hashes.push_back(hash);
  const std::size_t true_hashes = hashes.size();

  bool is_true = claimed_index == index && size_change == 0;
  std::vector<Hash256> claimed;
  for (std::size_t i = 0; reader.remaining() >= 32 && i < 70; ++i) {
    DIG_TRY(const BytesView change, reader.bytes(32));
    Hash256 hash = i < true_hashes ? hashes[i] : Hash256{};
    for (std::size_t b = 0; b < 32; ++b) hash.bytes[b] ^= change[b];
    is_true = is_true && i < true_hashes && hash == hashes[i];
    claimed.push_back(hash);
  }
  if (claimed.empty()) return {};
  is_true = is_true && claimed.size() == true_hashes;
  const auto verified =
      verify_chunk(tree.root(), size + size_change, claimed_index, claimed[0], std::span(claimed).subspan(1));
  if (verified.has_value() != is_true) std::abort();
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)run(std::as_bytes(std::span(data, size)));
  return 0;
}
