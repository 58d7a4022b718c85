// SPDX-License-Identifier: Apache-2.0
#include "api/export.hpp"

#include "base/base_encoding.hpp"
#include "crypto/hash.hpp"
#include "store/disk/file.hpp"

namespace dignet {
namespace {

namespace fs = std::filesystem;

fs::path target_of(const fs::path& output, std::string_view name) {
  std::error_code ignored;
  return fs::is_directory(output, ignored) ? output / name : output;
}

std::string_view last_part(std::string_view key) { return key.substr(key.rfind('/') + 1); }

}  // namespace

Result<Exported> export_store(dig::store::LocalStore& store, const dig::store::StoreInfo& info,
                              const fs::path& output) {
  Exported exported{info.size, {}, {}};
  if (!output.empty()) {
    exported.output = target_of(output, info.store_id.to_hex() + ".dig");
    DIG_CHECK(store.export_archive(info.store_id, info.root, exported.output));
  }
  return exported;
}

Result<Exported> export_resource(dig::store::ArchiveSource& archive, std::string_view key, const fs::path& output,
                                 bool want_sha256, std::optional<dig::store::ResourceReader::Missing>& missing) {
  Exported exported;
  std::optional<dig::store::PendingFile> pending;
  if (!output.empty()) {
    exported.output = target_of(output, last_part(key));
    DIG_TRY(auto created, dig::store::PendingFile::create(exported.output));
    pending.emplace(std::move(created));
  }
  dig::crypto::Sha256 hash;
  std::uint64_t offset = 0;
  dig::store::ResourceReader reader(archive);
  const auto size = reader.read(key, [&](dig::BytesView piece) -> Result<void> {
    if (want_sha256) hash.update(piece);
    if (pending) DIG_CHECK(pending->file().write_at(offset, piece));
    offset += piece.size();
    return {};
  });
  missing = reader.missing();
  if (!size) return std::unexpected(size.error());
  exported.bytes = *size;
  if (want_sha256) exported.sha256 = dig::to_hex(hash.finish());
  if (pending) DIG_CHECK(pending->commit());
  return exported;
}

}  // namespace dignet
