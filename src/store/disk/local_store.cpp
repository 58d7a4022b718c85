// SPDX-License-Identifier: Apache-2.0
#include "store/disk/local_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <system_error>

#include "store/disk/leaves_file.hpp"
#include "store/disk/store_index.hpp"
#include "store/disk/tree_file.hpp"

namespace dig::store {
namespace {

StoreInfo info_of(const IndexRow& row) {
  return {row.store_id, row.root, row.size, row.files, row.sequence, !row.manifest.signature.empty()};
}

IndexRow row_of(const TreeHeader& header, const Manifest& manifest) {
  return {header.store_id, header.root, header.size, header.files, manifest.sequence, header.manifest};
}

// Hashes an archive into a new tree file (without its header); returns the root.
Result<RootHash> hash_archive(const File& archive, std::uint64_t size, TreeFileWriter& tree, const Progress& progress) {
  Bytes buffer(k_chunk_size);
  for (std::uint64_t index = 0; index < chunk_count(size); ++index) {
    const MutableBytes chunk = MutableBytes(buffer).first(chunk_size_at(size, index));
    DIG_CHECK(archive.read_exactly(chunk_offset(index), chunk));
    DIG_CHECK(tree.add(leaf_hash(chunk)));
    if (progress && !progress(chunk_offset(index) + chunk.size(), size)) return fail(Errc::cancelled);
  }
  return tree.finish();
}

// For work that goes over the same bytes several times: each pass moves the one count by its share.
Progress pass_of(const Progress& progress, std::uint64_t pass, std::uint64_t passes) {
  if (!progress) return {};
  return [&progress, pass, passes](std::uint64_t done, std::uint64_t total) {
    return progress((pass * total + done) / passes, total);
  };
}

// Makes `target` the archive of a folder or a file, or the copy of an archive that passes the checks.
Result<ArchiveInfo> make_or_copy(const fs::path& source, const fs::path& target, const Progress& progress) {
  std::error_code error;
  const bool is_archive = source.extension() == ".dig" && fs::is_regular_file(source, error);
  if (!is_archive) return make_archive(source, target, progress);
  DIG_TRY(const File original, File::open_regular(source));
  DIG_TRY(const File copy, File::open(target, O_RDWR | O_CREAT | O_EXCL));
  DIG_CHECK(copy_contents(original, copy, pass_of(progress, 0, 2)));
  return check_archive(copy, pass_of(progress, 1, 2));
}

Result<bool> same_contents(const fs::path& first, const fs::path& second) {
  DIG_TRY(const File a, File::open_regular(first));
  DIG_TRY(const File b, File::open_regular(second));
  Bytes left(1U << 18), right(1U << 18);
  for (std::uint64_t offset = 0;; offset += left.size()) {
    DIG_TRY(const std::size_t got, a.read_at(offset, left));
    DIG_TRY(const std::size_t other, b.read_at(offset, right));
    if (!equal(BytesView(left).first(got), BytesView(right).first(other))) return false;
    if (got == 0) return true;
  }
}

}  // namespace

struct LocalStore::Paths {
  fs::path home;

  fs::path stores() const { return home / "stores"; }
  fs::path partial() const { return home / "partial"; }
  fs::path quarantine() const { return home / "quarantine"; }
  fs::path scratch() const { return home / "tmp"; }
  fs::path index() const { return home / "index.db"; }
  fs::path folder(const StoreId& id) const { return stores() / id.to_hex(); }
  fs::path archive(const StoreId& id, const RootHash& root) const { return folder(id) / (root.to_hex() + ".dig"); }
  fs::path tree(const StoreId& id, const RootHash& root) const { return folder(id) / (root.to_hex() + ".tree"); }
  fs::path mark(const StoreId& id, const RootHash& root, Leaving how) const {
    return partial() / (id.to_hex() + "-" + root.to_hex() + (how == Leaving::removal ? ".removal" : ".quarantine"));
  }

  // Held while files and the index change together, so that other threads and processes see both or neither.
  Result<File> lock() const {
    DIG_TRY(File folder, File::open_folder(stores()));
    DIG_CHECK(folder.lock());
    return folder;
  }
};

LocalStore::LocalStore(const fs::path& home) : paths_(new Paths{home}) {}
LocalStore::~LocalStore() = default;

Result<std::unique_ptr<LocalStore>> LocalStore::open(const fs::path& home) {
  std::unique_ptr<LocalStore> store(new LocalStore(home));
  for (const fs::path& folder :
       {store->paths_->stores(), store->paths_->partial(), store->paths_->quarantine(), store->paths_->scratch()}) {
    DIG_CHECK(make_folders(folder));
  }
  clean_temporary_folders(store->paths_->scratch());
  DIG_TRY(store->index_, StoreIndex::open(store->paths_->index()));
  DIG_CHECK(store->finish_interrupted());
  return store;
}

Result<std::unique_ptr<LocalStore>> LocalStore::open_rebuilding_index(const fs::path& home) {
  auto store = open(home);
  if (store || store.error().code() != Errc::index_damaged) return store;
  const Paths paths{home};
  DIG_CHECK(make_folders(paths.quarantine()));
  {
    DIG_TRY(const File lock, paths.lock());
    // The write-ahead log belongs to the damaged file; it must not be replayed into the new one.
    DIG_CHECK(rename_durably(paths.index(), paths.quarantine() / "index.db"));
    DIG_CHECK(remove_file(home / "index.db-wal"));
    DIG_CHECK(remove_file(home / "index.db-shm"));
  }
  DIG_TRY(auto fresh, open(home));
  DIG_CHECK(fresh->adopt_strays());
  return fresh;
}

// Puts a store into the index whose files are in place, unless it is there already. A tree without its archive is what
// a crash left: it goes.
Result<void> LocalStore::adopt(const StoreId& store_id, const RootHash& root) {
  DIG_TRY(const File lock, paths_->lock());
  DIG_CHECK(finish_leaving(store_id, root));
  if (!path_exists(paths_->archive(store_id, root))) {
    DIG_CHECK(remove_file(paths_->tree(store_id, root)));
    return sync_removed_from(store_id);
  }
  const auto reader = StoreReader::open(paths_->archive(store_id, root), paths_->tree(store_id, root));
  const auto tree = TreeFile::open(paths_->tree(store_id, root));
  if (!reader || !tree || tree->header().store_id != store_id || tree->header().root != root) return {};
  const auto manifest = Manifest::decode(tree->header().manifest.manifest);
  if (!manifest || manifest->root != root || manifest->store_id != store_id) return {};
  DIG_TRY(const auto row, index_->get(store_id, root));
  if (row) return {};
  return index_->put(row_of(tree->header(), *manifest));
}

// What a crash left of fetches that were complete, and of removals and quarantines that were not.
Result<void> LocalStore::finish_interrupted() {
  std::error_code error;
  for (fs::directory_iterator it(paths_->partial(), error), end; !error && it != end; it.increment(error)) {
    const fs::path path = it->path();
    const std::string name = path.stem().native();
    if (name.size() != 129) continue;
    const auto store_id = StoreId::from_hex(name.substr(0, 64));
    const auto root = RootHash::from_hex(name.substr(65));
    if (!store_id || !root) continue;
    if (path.extension() == ".leaves") DIG_CHECK(finish_fetch(path, *store_id, *root));
    if (path.extension() != ".removal" && path.extension() != ".quarantine") continue;
    DIG_TRY(const File lock, paths_->lock());
    (void)finish_leaving(*store_id, *root);  // what cannot be removed now is tried again the next time
  }
  return {};
}

// A crash between the renames and the index. The `.leaves` file goes last, so it marks such a store.
Result<void> LocalStore::finish_fetch(const fs::path& leaves_path, const StoreId& store_id, const RootHash& root) {
  if (path_exists(fs::path(leaves_path).replace_extension(".part"))) return {};
  auto leaves = File::open(leaves_path, O_RDWR);
  if (!leaves) return {};
  DIG_TRY(const bool is_locked, leaves->try_lock());
  if (!is_locked) return {};
  DIG_CHECK(adopt(store_id, root));
  return remove_file(leaves_path);
}

// Every store whose files are in place but which the index does not know.
Result<void> LocalStore::adopt_strays() {
  std::error_code error;
  for (fs::recursive_directory_iterator it(paths_->stores(), error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".tree") continue;
    const auto store_id = StoreId::from_hex(it->path().parent_path().filename().native());
    const auto root = RootHash::from_hex(it->path().stem().native());
    if (store_id && root) DIG_CHECK(adopt(*store_id, *root));
  }
  return {};
}

// The manifest of a new version of `store_id`, or of a new own store.
Result<SignedManifest> LocalStore::sign(const Identity& identity, const std::optional<StoreId>& store_id,
                                        const RootHash& root, std::uint64_t size) {
  if (!store_id) return make_manifest(identity, salt_for_root(root), root, size, 1);
  DIG_TRY(const std::vector<IndexRow> rows, index_->versions(*store_id));
  for (const IndexRow& row : rows) {
    const auto manifest = Manifest::decode(row.manifest.manifest);
    if (!manifest || manifest->owner_key != identity.public_key()) continue;
    return make_manifest(identity, manifest->salt, root, size, rows.front().sequence + 1);
  }
  return make_unsigned_manifest(*store_id, root, size);
}

// Both files into their places, the archive last, then the index. The caller holds the lock.
Result<void> LocalStore::publish(const fs::path& archive, const fs::path& tree, const IndexRow& row) {
  DIG_CHECK(finish_leaving(row.store_id, row.root));
  DIG_CHECK(make_folders(paths_->folder(row.store_id)));
  DIG_CHECK(sync_folder(paths_->stores()));
  DIG_CHECK(rename_durably(tree, paths_->tree(row.store_id, row.root)));
  DIG_CHECK(rename_durably(archive, paths_->archive(row.store_id, row.root)));
  return index_->put(row);
}

Result<AddedStore> LocalStore::add(const fs::path& path, const Identity& identity,
                                   const std::optional<StoreId>& store_id, const Progress& progress) {
  std::error_code error;
  const fs::path source = fs::canonical(path, error);
  if (error) return std::unexpected(system_error(error.value(), path.native()));
  DIG_TRY(const TemporaryFolder work, TemporaryFolder::create(paths_->scratch()));
  const fs::path archive_path = work.path() / "archive.dig", tree_path = work.path() / "archive.tree";
  DIG_TRY(const ArchiveInfo info, make_or_copy(source, archive_path, pass_of(progress, 0, 2)));
  DIG_TRY(const File archive, File::open_regular(archive_path));
  DIG_TRY(TreeFileWriter tree, TreeFileWriter::create(tree_path, info.bytes));
  DIG_TRY(const RootHash root, hash_archive(archive, info.bytes, tree, pass_of(progress, 1, 2)));
  DIG_CHECK(archive.sync());

  DIG_TRY(const File lock, paths_->lock());
  // The last moment: making it durable and waiting for the lock may have taken long.
  if (progress && !progress(info.bytes, info.bytes)) return fail(Errc::cancelled);
  DIG_TRY(const SignedManifest signed_manifest, sign(identity, store_id, root, info.bytes));
  DIG_TRY(const Manifest manifest, Manifest::decode(signed_manifest.manifest));
  DIG_CHECK(finish_leaving(manifest.store_id, root));
  DIG_TRY(const auto row, index_->get(manifest.store_id, root));
  if (row && StoreReader::open(paths_->archive(manifest.store_id, root), paths_->tree(manifest.store_id, root))) {
    return AddedStore{info_of(*row), row->manifest, true};
  }
  const TreeHeader header{manifest.store_id, root, info.bytes, info.files, signed_manifest};
  DIG_CHECK(tree.write_header(header));
  const IndexRow added = row_of(header, manifest);
  DIG_CHECK(publish(archive_path, tree_path, added));
  return AddedStore{info_of(added), signed_manifest, false};
}

Result<IndexRow> LocalStore::row(const StoreId& store_id, const std::optional<RootHash>& root) {
  if (root) {
    DIG_TRY(auto row, index_->get(store_id, *root));
    if (row) return std::move(*row);
  } else {
    DIG_TRY(auto rows, index_->versions(store_id));
    if (!rows.empty()) return std::move(rows.front());
  }
  return fail(Errc::store_not_found, Urn{store_id, root, {}}.to_string());
}

Result<std::vector<StoreInfo>> LocalStore::list() {
  DIG_TRY(const std::vector<IndexRow> rows, index_->all());
  std::vector<StoreInfo> out;
  for (const IndexRow& row : rows) out.push_back(info_of(row));
  return out;
}

Result<StoreInfo> LocalStore::find(const StoreId& store_id, const std::optional<RootHash>& root) {
  if (root && !row(store_id, root) && path_exists(paths_->archive(store_id, *root))) DIG_CHECK(adopt(store_id, *root));
  DIG_TRY(const IndexRow found, row(store_id, root));
  return info_of(found);
}

Result<SignedManifest> LocalStore::manifest(const StoreId& store_id, const std::optional<RootHash>& root) {
  DIG_TRY(IndexRow found, row(store_id, root));
  return std::move(found.manifest);
}

Result<std::vector<IndexRow>> LocalStore::rows_of(const Urn& urn) {
  if (!urn.resource.empty()) return fail(Errc::invalid_argument, "this works on whole stores, not on one resource");
  DIG_TRY(const IndexRow newest, row(urn.store_id, urn.root));
  if (urn.root) return std::vector<IndexRow>{newest};
  return index_->versions(urn.store_id);
}

Result<void> LocalStore::remove(const Urn& urn) {
  DIG_TRY(const File lock, paths_->lock());
  DIG_TRY(const std::vector<IndexRow> rows, rows_of(urn));
  return take_out(rows, Leaving::removal);
}

// The caller holds the lock.
Result<void> LocalStore::take_out(const std::vector<IndexRow>& rows, Leaving how) {
  for (const IndexRow& row : rows) {
    DIG_CHECK(File::open(paths_->mark(row.store_id, row.root, how), O_WRONLY | O_CREAT));
  }
  DIG_CHECK(sync_folder(paths_->partial()));  // from here on it happens, whatever happens
  for (const IndexRow& row : rows) DIG_CHECK(finish_leaving(row.store_id, row.root, how));
  return {};
}

// Takes away what was marked, in whichever way; nothing happens without a mark. The caller holds the lock.
Result<void> LocalStore::finish_leaving(const StoreId& store_id, const RootHash& root) {
  DIG_CHECK(finish_leaving(store_id, root, Leaving::quarantine));
  return finish_leaving(store_id, root, Leaving::removal);
}

// The index goes first, so that a listed store always has its files, and the mark last, so that no file stays behind
// that nobody knows.
Result<void> LocalStore::finish_leaving(const StoreId& store_id, const RootHash& root, Leaving how) {
  const fs::path mark = paths_->mark(store_id, root, how);
  if (!path_exists(mark)) return {};
  DIG_CHECK(index_->remove(store_id, root));
  DIG_CHECK(how == Leaving::removal ? remove_file(paths_->archive(store_id, root)) : set_archive_aside(store_id, root));
  DIG_CHECK(remove_file(paths_->tree(store_id, root)));
  DIG_CHECK(sync_removed_from(store_id));
  DIG_CHECK(remove_file(mark));
  return sync_folder(paths_->partial());
}

Result<void> LocalStore::set_archive_aside(const StoreId& store_id, const RootHash& root) {
  const fs::path archive = paths_->archive(store_id, root);
  if (!path_exists(archive)) return {};
  return rename_durably(archive, paths_->quarantine() / (store_id.to_hex() + "-" + root.to_hex() + ".dig"));
}

// The folder of a store goes with its last version.
Result<void> LocalStore::sync_removed_from(const StoreId& store_id) {
  const fs::path folder = paths_->folder(store_id);
  ::rmdir(folder.c_str());
  return sync_folder(path_exists(folder) ? folder : paths_->stores());
}

// Reads the archive again and compares with the root; a tree file that is not what it must be is replaced.
Result<void> LocalStore::verify_one(const IndexRow& row, const Progress& progress) {
  DIG_TRY(const File archive, File::open_regular(paths_->archive(row.store_id, row.root)));
  DIG_TRY(const std::uint64_t size, archive.size());
  if (size != row.size) return fail(Errc::store_damaged, "the archive has a wrong size");
  DIG_TRY(const TemporaryFolder work, TemporaryFolder::create(paths_->scratch()));
  const fs::path tree_path = work.path() / "archive.tree";
  DIG_TRY(TreeFileWriter tree, TreeFileWriter::create(tree_path, size));
  DIG_TRY(const RootHash root, hash_archive(archive, size, tree, progress));
  if (root != row.root) return fail(Errc::store_damaged, "the archive does not match its root hash");
  DIG_CHECK(tree.write_header({row.store_id, row.root, row.size, row.files, row.manifest}));
  const fs::path place = paths_->tree(row.store_id, row.root);
  const auto same = same_contents(tree_path, place);
  return same && *same ? Result<void>{} : rename_durably(tree_path, place);
}

Result<VerifyReport> LocalStore::verify(const std::optional<Urn>& urn, const Progress& progress) {
  if (!urn) DIG_CHECK(adopt_strays());
  DIG_TRY(const std::vector<IndexRow> rows, urn ? rows_of(*urn) : index_->all());
  std::uint64_t total = 0;
  for (const IndexRow& row : rows) total += row.size;
  VerifyReport report;
  for (const IndexRow& row : rows) {
    const auto checked = verify_one(
        row, [&](std::uint64_t done, std::uint64_t) { return !progress || progress(report.bytes + done, total); });
    ++report.stores;
    report.bytes += row.size;
    if (checked) continue;
    if (checked.error().code() == Errc::cancelled) return std::unexpected(checked.error());
    DIG_TRY(const File lock, paths_->lock());
    DIG_TRY(const auto still_here, index_->get(row.store_id, row.root));
    if (!still_here) continue;  // removed while it was read
    if (!is_damage(checked.error())) return std::unexpected(checked.error());
    DIG_CHECK(take_out({row}, Leaving::quarantine));
    report.damaged.push_back({row.store_id, row.root, checked.error()});
  }
  return report;
}

// A disk that is full or a file that may not be read says nothing about the store's content.
bool LocalStore::is_damage(const Error& error) {
  return error.code() != Errc::disk_full && error.code() != Errc::permission_denied &&
         error.code() != Errc::limit_reached;
}

Result<std::shared_ptr<StoreReader>> LocalStore::open_reader(const StoreId& store_id, const RootHash& root) {
  DIG_CHECK(row(store_id, root));
  auto reader = StoreReader::open(paths_->archive(store_id, root), paths_->tree(store_id, root));
  if (!reader && reader.error().code() == Errc::file_not_found) return fail(Errc::store_damaged, "its files are gone");
  return reader;
}

Result<std::unique_ptr<PartialStore>> LocalStore::open_partial(const SignedManifest& manifest) {
  return PartialStore::open(paths_->partial(), manifest);
}

Result<StoreInfo> LocalStore::complete(PartialStore& partial) {
  if (!partial.have().all()) return fail(Errc::not_here, "chunks are missing");
  DIG_TRY(const TemporaryFolder work, TemporaryFolder::create(paths_->scratch()));
  const fs::path tree_path = work.path() / "archive.tree";
  DIG_TRY(TreeFileWriter tree, TreeFileWriter::create(tree_path, partial.size()));
  DIG_CHECK(partial.for_each_leaf([&](const Hash256& leaf) { return tree.add(leaf); }));
  DIG_TRY(const RootHash root, tree.finish());
  if (root != partial.root()) {
    DIG_CHECK(partial.empty());
    return fail(Errc::store_damaged, "the chunk hashes on disk do not make the root hash");
  }
  DIG_CHECK(partial.data_.sync());
  // Content is what its hash says, whether or not it is an archive that we would make.
  const auto directory = read_zip_directory(partial);
  const TreeHeader header{partial.store_id(), root, partial.size(), directory ? directory->files : 0,
                          partial.signed_manifest()};
  DIG_CHECK(tree.write_header(header));
  DIG_TRY(const File lock, paths_->lock());
  const IndexRow added = row_of(header, partial.manifest_);
  DIG_CHECK(publish(partial.data_.path(), tree_path, added));
  DIG_CHECK(remove_file(partial.leaves_.path()));
  return info_of(added);
}

Result<std::uint64_t> LocalStore::export_archive(const StoreId& store_id, const RootHash& root, const fs::path& path) {
  DIG_CHECK(row(store_id, root));
  DIG_TRY(const File archive, File::open_regular(paths_->archive(store_id, root)));
  DIG_TRY(PendingFile copy, PendingFile::create(path));
  DIG_TRY(const std::uint64_t size, copy_contents(archive, copy.file()));
  DIG_CHECK(copy.commit());
  return size;
}

}  // namespace dig::store
