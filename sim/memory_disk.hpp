// SPDX-License-Identifier: Apache-2.0
// The disk of a simulated host: whole stores and partial ones, in memory. It keeps the promise of the real one (a chunk
// is checked against the root before it is written) and can be made to fail or to lie. It outlives a crash of its host.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "node/outputs.hpp"
#include "store/chunk_set.hpp"
#include "store/merkle.hpp"
#include "wire/identity.hpp"

namespace dig::sim {

struct StoreName {
  StoreId id;
  RootHash root;
  friend auto operator<=>(const StoreName&, const StoreName&) = default;
};

class MemoryDisk {
 public:
  // Changes a chunk on its way out: how a holder lies.
  using Mutation = std::function<void(std::uint64_t index, Bytes& data)>;
  struct Status {
    std::uint64_t chunks_read = 0;
    std::uint64_t chunks_written = 0;
    std::uint64_t writes_refused = 0;  // did not verify
    std::size_t partials = 0;
  };

  StoreName add(Bytes archive, const Identity& owner, std::uint64_t sequence = 1);
  void remove(const StoreName& name) { stores_.erase(name); }
  [[nodiscard]] bool has(const StoreName& name) const { return stores_.contains(name); }
  [[nodiscard]] BytesView archive(const StoreName& name) const { return stores_.at(name).archive; }

  [[nodiscard]] Result<node::DiskAnswer> carry_out(node::DiskRequest request);
  // What the shell does when a fetch has ended: a complete partial becomes a store, another stays for the next time.
  void close_partial(node::PartialId partial, bool is_complete);
  // What a partial store has; nullptr when there is none.
  [[nodiscard]] const store::ChunkSet* partial_chunks(const StoreName& name) const;
  [[nodiscard]] BytesView partial_bytes(const StoreName& name) const { return partials_.at(name).bytes; }
  void close_all_partials() { open_.clear(); }

  void set_mutation(Mutation mutation) { mutation_ = std::move(mutation); }
  // After so many more chunks every write fails.
  void fail_writes_after(std::uint64_t chunks, Errc error) { write_fault_ = {chunks, error}; }
  void repair() { write_fault_.reset(); }
  [[nodiscard]] Status snapshot() const;

 private:
  struct Held {
    SignedManifest manifest;
    std::uint64_t sequence = 0;
    Bytes archive;
    std::shared_ptr<const store::MerkleTree> tree;
  };
  struct Partial {
    SignedManifest signed_manifest;
    Manifest manifest;
    Bytes bytes;
    store::ChunkSet have;
  };

  [[nodiscard]] Result<node::FoundStore> find(const node::FindStore& wanted) const;
  [[nodiscard]] Result<node::ChunkRead> read(node::ReadChunk wanted);
  [[nodiscard]] Result<node::PartialOpened> open(node::OpenPartial wanted);
  [[nodiscard]] Result<void> write(const node::WriteChunk& chunk);

  std::map<StoreName, Held> stores_;
  std::map<StoreName, Partial> partials_;
  std::map<node::PartialId, StoreName> open_;
  std::uint64_t next_partial_ = 1;
  Mutation mutation_;
  std::optional<std::pair<std::uint64_t, Errc>> write_fault_;
  Status status_;
};

}  // namespace dig::sim
