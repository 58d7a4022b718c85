// SPDX-License-Identifier: Apache-2.0
#include "store/disk/sequence_file.hpp"

#include <charconv>
#include <string>

namespace dig::store {
namespace {

constexpr std::uint64_t k_max_size = 32;

}  // namespace

fs::path sequence_file(const fs::path& home) { return home / "record.sequence"; }

Result<std::uint64_t> read_sequence(const fs::path& path) {
  const auto file = File::open_regular(path);
  if (!file && file.error().code() == Errc::file_not_found) return 0;
  if (!file) return std::unexpected(file.error());
  DIG_TRY(const std::string text, file->read_text(k_max_size));
  std::uint64_t sequence = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, sequence);
  const bool is_whole = error == std::errc() && std::string_view(rest, end) == "\n";
  if (!is_whole) return fail(Errc::malformed, path.string() + " holds no sequence number");
  return sequence;
}

Result<void> write_sequence(const fs::path& path, std::uint64_t sequence) {
  DIG_TRY(PendingFile file, PendingFile::create(path));
  DIG_CHECK(file.file().write_at(0, as_bytes(std::to_string(sequence) + "\n")));
  return file.commit();
}

}  // namespace dig::store
