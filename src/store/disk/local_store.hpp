// SPDX-License-Identifier: Apache-2.0
// The stores on this machine, below <home>:
//   stores/<store id>/<root>.dig    the archive         stores/<store id>/<root>.tree   every level of its Merkle tree
//   partial/<store id>-<root>.part  a fetch under way   partial/<…>.leaves              the leaf hash of each chunk
//                                                       partial/<…>.removal             a removal under way
//                                                       partial/<…>.quarantine          a move to quarantine under way
//   index.db                        SQLite index        quarantine/, tmp/               what verify() took out; scratch
//
// What is visible in stores/ is complete: files are written elsewhere, made durable, and renamed into place.
//
// Thread-safety: every function may be called from any thread (disk workers); calls block on the disk. Other processes
// may use the same home at the same time: nothing is cached, so what they add or remove is seen at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/chunk_set.hpp"
#include "store/disk/archive.hpp"
#include "store/disk/partial_store.hpp"
#include "store/disk/store_reader.hpp"
#include "store/manifest_check.hpp"
#include "store/urn.hpp"
#include "wire/hash256.hpp"
#include "wire/identity.hpp"
#include "wire/manifest.hpp"

namespace dig::store {

class StoreIndex;
struct IndexRow;

struct StoreInfo {
  StoreId store_id;
  RootHash root;
  std::uint64_t size = 0;  // bytes of the archive
  std::uint64_t files = 0;
  std::uint64_t sequence = 0;
  bool is_signed = false;

  [[nodiscard]] Urn urn() const { return {store_id, root, {}}; }
};

struct AddedStore {
  StoreInfo info;
  SignedManifest manifest;
  bool was_here = false;  // the same content was here before
};

struct DamagedStore {
  StoreId store_id;
  RootHash root;
  Error error;
};

struct VerifyReport {
  std::uint64_t stores = 0;
  std::uint64_t bytes = 0;
  std::vector<DamagedStore> damaged;  // moved to quarantine/ and no longer listed
};

class LocalStore {
 public:
  // Opens or makes the folders and the index, and finishes what a crash interrupted. Errors: index_damaged (then
  // open_rebuilding_index helps), index_newer (nothing was changed), the errors of files.
  [[nodiscard]] static Result<std::unique_ptr<LocalStore>> open(const fs::path& home);
  // Moves a damaged index away and makes a new one from the files.
  [[nodiscard]] static Result<std::unique_ptr<LocalStore>> open_rebuilding_index(const fs::path& home);
  ~LocalStore();

  // A folder, a file, or a `.dig` archive, which is checked and kept as it is. Without a store id the store is
  // the identity's own. With the id of an own store here it is the next version of it; with any other id it has no
  // owner. A byte is done when its archive is made and it is hashed; the bytes in all are those of the content until
  // the archive is made, and then its own.
  [[nodiscard]] Result<AddedStore> add(const fs::path& path, const Identity& identity,
                                       const std::optional<StoreId>& store_id = std::nullopt,
                                       const Progress& progress = {});
  [[nodiscard]] Result<std::vector<StoreInfo>> list();
  // Without a root: the newest (highest sequence, then the latest added). Errors: store_not_found.
  [[nodiscard]] Result<StoreInfo> find(const StoreId& store_id, const std::optional<RootHash>& root = std::nullopt);
  [[nodiscard]] Result<SignedManifest> manifest(const StoreId& store_id,
                                                const std::optional<RootHash>& root = std::nullopt);
  // All versions when the URN has no root. A resource key is refused. Open readers go on.
  [[nodiscard]] Result<void> remove(const Urn& urn);
  // Reads everything again. A damaged archive is moved to quarantine/; a damaged tree beside a good archive is made
  // anew.
  [[nodiscard]] Result<VerifyReport> verify(const std::optional<Urn>& urn = std::nullopt,
                                            const Progress& progress = {});

  [[nodiscard]] Result<std::shared_ptr<StoreReader>> open_reader(const StoreId& store_id, const RootHash& root);
  // Goes on with what an earlier fetch left, if anything. The manifest must have been verified.
  // Errors: store_busy when this partial store is open elsewhere, manifest_mismatch when chunks that are here prove
  // another size.
  [[nodiscard]] Result<std::unique_ptr<PartialStore>> open_partial(const SignedManifest& manifest);
  // Moves a partial store whose chunks are all here into its place. The root is computed again from the leaves.
  // Errors: store_damaged (the partial store is emptied, so that the next fetch starts afresh).
  [[nodiscard]] Result<StoreInfo> complete(PartialStore& partial);

  // Copies the archive (sharing blocks where the file system can) to `path`, replacing a file there.
  [[nodiscard]] Result<std::uint64_t> export_archive(const StoreId& store_id, const RootHash& root,
                                                     const fs::path& path);

 private:
  struct Paths;
  explicit LocalStore(const fs::path& home);
  [[nodiscard]] Result<void> adopt(const StoreId& store_id, const RootHash& root);
  [[nodiscard]] Result<void> adopt_strays();
  [[nodiscard]] Result<void> finish_interrupted();
  [[nodiscard]] Result<void> finish_fetch(const fs::path& leaves, const StoreId& store_id, const RootHash& root);
  enum class Leaving : std::uint8_t { removal, quarantine };  // how a store goes
  [[nodiscard]] Result<void> take_out(const std::vector<IndexRow>& rows, Leaving how);
  [[nodiscard]] Result<void> finish_leaving(const StoreId& store_id, const RootHash& root);
  [[nodiscard]] Result<void> finish_leaving(const StoreId& store_id, const RootHash& root, Leaving how);
  [[nodiscard]] Result<void> set_archive_aside(const StoreId& store_id, const RootHash& root);
  [[nodiscard]] Result<void> sync_removed_from(const StoreId& store_id);
  [[nodiscard]] Result<SignedManifest> sign(const Identity& identity, const std::optional<StoreId>& store_id,
                                            const RootHash& root, std::uint64_t size);
  [[nodiscard]] Result<void> publish(const fs::path& archive, const fs::path& tree, const IndexRow& row);
  [[nodiscard]] Result<IndexRow> row(const StoreId& store_id, const std::optional<RootHash>& root);
  [[nodiscard]] Result<std::vector<IndexRow>> rows_of(const Urn& urn);
  [[nodiscard]] Result<void> verify_one(const IndexRow& row, const Progress& progress);
  [[nodiscard]] static bool is_damage(const Error& error);

  std::unique_ptr<Paths> paths_;
  std::unique_ptr<StoreIndex> index_;
};

}  // namespace dig::store
