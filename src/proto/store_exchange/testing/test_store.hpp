// SPDX-License-Identifier: Apache-2.0
// A store in memory with its tree and manifests, and a disk that checks what is written to it: for the tests of the
// store exchange.
#pragma once

#include <set>
#include <vector>

#include "base/rng.hpp"
#include "store/chunk_set.hpp"
#include "store/manifest_check.hpp"
#include "store/merkle.hpp"
#include "wire/identity.hpp"

namespace dig::exchange::testing {

class TestStore {
 public:
  TestStore(std::uint64_t size, std::uint64_t seed, std::uint64_t sequence = 1)
      : archive_(random_bytes(size, seed)), tree_(size, leaves()), owner_(make_owner()) {
    const Bytes salt(8, std::byte{7});
    id = store::derive_store_id(owner_.public_key(), salt);
    root = tree_.root();
    signed_manifest = store::make_manifest(owner_, salt, root, size, sequence);
    unsigned_manifest = store::make_unsigned_manifest(id, root, size);
  }

  [[nodiscard]] std::uint64_t size() const { return archive_.size(); }
  [[nodiscard]] std::uint64_t chunks() const { return store::chunk_count(size()); }
  [[nodiscard]] Bytes chunk(std::uint64_t index) const {
    return to_bytes(BytesView(archive_).subspan(store::chunk_offset(index), store::chunk_size_at(size(), index)));
  }
  [[nodiscard]] std::vector<Hash256> proof(std::uint64_t index) const { return tree_.proof(index); }
  [[nodiscard]] HaveResponse have_all() const {
    HaveResponse have{.root = root, .size = size(), .ranges = {}};
    if (chunks() > 0) have.ranges.push_back({0, chunks()});
    return have;
  }

  StoreId id;
  RootHash root;
  SignedManifest signed_manifest;
  SignedManifest unsigned_manifest;

 private:
  static Bytes random_bytes(std::uint64_t size, std::uint64_t seed) {
    SeededRng rng(seed);
    Bytes bytes(size);
    rng.fill(bytes);
    return bytes;
  }
  // The same owner each time, so that stores of different content are versions of one store.
  static Identity make_owner() {
    SeededRng rng(4711);
    return Identity::generate(rng);
  }
  [[nodiscard]] std::vector<Hash256> leaves() const {
    std::vector<Hash256> leaves;
    for (std::uint64_t i = 0; i < chunks(); ++i) leaves.push_back(store::leaf_hash(chunk(i)));
    return leaves;
  }

  Bytes archive_;
  store::MerkleTree tree_;
  Identity owner_;
};

// What the owner of a Fetch does on its disk pool: checks a chunk against the root, then keeps it.
class TestDisk {
 public:
  void open(const Manifest& manifest) {
    manifest_ = manifest;
    if (have.size() == 0) have = store::ChunkSet(store::chunk_count(manifest.size));
  }
  [[nodiscard]] Result<void> write(std::uint64_t index, const Bytes& data, const std::vector<Hash256>& proof) {
    if (writes_left == 0) return fail(Errc::disk_full);
    --writes_left;
    DIG_CHECK(store::verify_chunk(manifest_.root, manifest_.size, index, store::leaf_hash(data), proof));
    have.set(index);
    return {};
  }

  store::ChunkSet have;
  std::uint64_t writes_left = ~std::uint64_t{0};

 private:
  Manifest manifest_;
};

}  // namespace dig::exchange::testing
