// SPDX-License-Identifier: Apache-2.0
#include "sim/memory_disk.hpp"

#include <algorithm>

#include "store/manifest_check.hpp"

namespace dig::sim {
namespace {

std::shared_ptr<const store::MerkleTree> make_tree(BytesView archive) {
  std::vector<Hash256> leaves;
  for (std::uint64_t i = 0; i < store::chunk_count(archive.size()); ++i) {
    leaves.push_back(store::leaf_hash(
        archive.subspan(static_cast<std::size_t>(store::chunk_offset(i)), store::chunk_size_at(archive.size(), i))));
  }
  return std::make_shared<const store::MerkleTree>(archive.size(), std::move(leaves));
}

template <class T>
Result<node::DiskAnswer> to_answer(Result<T> result) {
  if (!result) return std::unexpected(std::move(result).error());
  return node::DiskAnswer(std::move(*result));
}

}  // namespace

StoreName MemoryDisk::add(Bytes archive, const Identity& owner, std::uint64_t sequence) {
  auto tree = make_tree(archive);
  const Bytes salt = to_bytes("one store for each owner");
  const StoreName name{store::derive_store_id(owner.public_key(), salt), tree->root()};
  SignedManifest manifest = store::make_manifest(owner, salt, name.root, archive.size(), sequence);
  stores_[name] = {std::move(manifest), sequence, std::move(archive), std::move(tree)};
  return name;
}

Result<node::DiskAnswer> MemoryDisk::carry_out(node::DiskRequest request) {
  if (const auto* wanted = std::get_if<node::FindStore>(&request.request)) return to_answer(find(*wanted));
  if (auto* wanted = std::get_if<node::ReadChunk>(&request.request)) return to_answer(read(std::move(*wanted)));
  if (auto* wanted = std::get_if<node::OpenPartial>(&request.request)) return to_answer(open(std::move(*wanted)));
  auto& chunk = std::get<node::WriteChunk>(request.request);
  Result<void> result = write(chunk);
  return node::ChunkWritten{std::move(chunk.data), std::move(result)};
}

Result<node::FoundStore> MemoryDisk::find(const node::FindStore& wanted) const {
  const std::pair<const StoreName, Held>* newest = nullptr;
  for (const auto& entry : stores_) {
    if (entry.first.id != wanted.store || (wanted.root && entry.first.root != *wanted.root)) continue;
    if (newest == nullptr || entry.second.sequence > newest->second.sequence) newest = &entry;
  }
  if (newest == nullptr) return fail(Errc::store_not_found);
  return node::FoundStore{newest->first.root, newest->second.archive.size(), newest->second.manifest};
}

Result<node::ChunkRead> MemoryDisk::read(node::ReadChunk wanted) {
  const auto found = stores_.find({wanted.store, wanted.root});
  if (found == stores_.end()) return fail(Errc::store_not_found);
  const Bytes& archive = found->second.archive;
  const std::size_t size = store::chunk_size_at(archive.size(), wanted.index);
  if (size == 0) return fail(Errc::not_here);
  wanted.buffer.resize(size);
  std::copy_n(archive.begin() + static_cast<std::ptrdiff_t>(store::chunk_offset(wanted.index)), size,
              wanted.buffer.begin());
  if (mutation_) mutation_(wanted.index, wanted.buffer);
  ++status_.chunks_read;
  return node::ChunkRead{std::move(wanted.buffer), found->second.tree->proof(wanted.index)};
}

Result<node::PartialOpened> MemoryDisk::open(node::OpenPartial wanted) {
  DIG_TRY(const Manifest manifest, Manifest::decode(wanted.manifest.manifest));
  const StoreName name{manifest.store_id, manifest.root};
  if (std::ranges::any_of(open_, [&](const auto& entry) { return entry.second == name; })) {
    return fail(Errc::store_busy);
  }
  auto found = partials_.find(name);
  if (found == partials_.end()) {
    found = partials_
                .emplace(name, Partial{std::move(wanted.manifest), manifest, Bytes(manifest.size),
                                       store::ChunkSet(store::chunk_count(manifest.size))})
                .first;
  }
  const node::PartialId id{next_partial_++};
  open_.emplace(id, name);
  return node::PartialOpened{id, found->second.have};
}

Result<void> MemoryDisk::write(const node::WriteChunk& chunk) {
  const auto opened = open_.find(chunk.partial);
  if (opened == open_.end()) return fail(Errc::cancelled);
  if (write_fault_) {
    if (write_fault_->first == 0) return fail(write_fault_->second);
    --write_fault_->first;
  }
  Partial& partial = partials_.at(opened->second);
  const Manifest& manifest = partial.manifest;
  Result<void> verified =
      store::verify_chunk(manifest.root, manifest.size, chunk.index, store::leaf_hash(chunk.data), chunk.proof);
  if (verified && chunk.data.size() != store::chunk_size_at(manifest.size, chunk.index)) {
    verified = fail(Errc::chunk_mismatch);
  }
  if (!verified) {
    ++status_.writes_refused;
    return verified;
  }
  std::ranges::copy(chunk.data, partial.bytes.begin() + static_cast<std::ptrdiff_t>(store::chunk_offset(chunk.index)));
  partial.have.set(chunk.index);
  ++status_.chunks_written;
  return {};
}

void MemoryDisk::close_partial(node::PartialId partial, bool is_complete) {
  const auto opened = open_.extract(partial);
  if (opened.empty() || !is_complete) return;
  const StoreName name = opened.mapped();
  auto finished = partials_.extract(name);
  if (finished.empty() || !finished.mapped().have.all()) return;
  auto tree = make_tree(finished.mapped().bytes);
  stores_[name] = {std::move(finished.mapped().signed_manifest), finished.mapped().manifest.sequence,
                   std::move(finished.mapped().bytes), std::move(tree)};
}

const store::ChunkSet* MemoryDisk::partial_chunks(const StoreName& name) const {
  const auto found = partials_.find(name);
  return found == partials_.end() ? nullptr : &found->second.have;
}

MemoryDisk::Status MemoryDisk::snapshot() const {
  Status status = status_;
  status.partials = partials_.size();
  return status;
}

}  // namespace dig::sim
