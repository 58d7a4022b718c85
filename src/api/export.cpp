// SPDX-License-Identifier: Apache-2.0
#include "api/export.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/base_encoding.hpp"
#include "crypto/hash.hpp"

namespace dignet {
namespace {

namespace fs = std::filesystem;

fs::path target_of(const fs::path& output, std::string_view name) {
  std::error_code ignored;
  return fs::is_directory(output, ignored) ? output / name : output;
}

std::string_view last_part(std::string_view key) { return key.substr(key.rfind('/') + 1); }

// A file beside the target that is renamed over it at the end and removed otherwise.
class PendingFile {
 public:
  static Result<PendingFile> create(const fs::path& target) {
    fs::path path = target;
    path += ".digpart-" + std::to_string(::getpid());
    DIG_TRY(auto file, dig::store::File::open(path, O_RDWR | O_CREAT | O_TRUNC));
    return PendingFile(std::move(file), target);
  }
  PendingFile(PendingFile&&) noexcept = default;
  PendingFile& operator=(PendingFile&&) = delete;
  ~PendingFile() {
    if (file_.is_open()) (void)dig::store::remove_file(file_.path());
  }

  Result<void> append(dig::BytesView bytes) {
    DIG_CHECK(file_.write_at(size_, bytes));
    size_ += bytes.size();
    return {};
  }
  Result<void> commit() {
    DIG_CHECK(file_.sync());
    DIG_CHECK(dig::store::rename_durably(file_.path(), target_));
    file_ = {};
    return {};
  }

 private:
  PendingFile(dig::store::File file, fs::path target) : file_(std::move(file)), target_(std::move(target)) {}
  dig::store::File file_;
  fs::path target_;
  std::uint64_t size_ = 0;
};

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
  std::optional<PendingFile> pending;
  if (!output.empty()) {
    exported.output = target_of(output, last_part(key));
    DIG_TRY(PendingFile created, PendingFile::create(exported.output));
    pending.emplace(std::move(created));
  }
  dig::crypto::Sha256 hash;
  dig::store::ResourceReader reader(archive);
  const auto size = reader.read(key, [&](dig::BytesView piece) -> Result<void> {
    if (want_sha256) hash.update(piece);
    return pending ? pending->append(piece) : Result<void>{};
  });
  missing = reader.missing();
  if (!size) return std::unexpected(size.error());
  exported.bytes = *size;
  if (want_sha256) exported.sha256 = dig::to_hex(hash.finish());
  if (pending) DIG_CHECK(pending->commit());
  return exported;
}

}  // namespace dignet
