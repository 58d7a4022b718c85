// SPDX-License-Identifier: Apache-2.0
#include "api/catalogue_file.hpp"

#include "store/disk/file.hpp"

namespace dig::api {
namespace {

constexpr std::uint64_t k_max_file = 256 * 1024;

}  // namespace

Result<ladder::Catalogue> load_catalogue(const std::filesystem::path& path) {
  if (path.empty()) return ladder::parse_catalogue(ladder::shipped_catalogue_text(), "the built-in catalogue");
  DIG_TRY(const store::File file, store::File::open_regular(path));
  const auto text = file.read_text(k_max_file);
  if (!text && text.error().code() == Errc::limit_reached) return fail(Errc::bad_config, text.error().detail());
  if (!text) return std::unexpected(text.error());
  return ladder::parse_catalogue(*text, path.native());
}

}  // namespace dig::api
