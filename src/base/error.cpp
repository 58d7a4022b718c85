// SPDX-License-Identifier: Apache-2.0
#include "dignet/error.hpp"

#include <array>

#include "base/safe_text.hpp"

namespace dig {
namespace {

constexpr std::array k_error_infos = {
#define DIG_ERROR(name, code, kind, meaning, hint) ErrorInfo{#name, code, ErrorKind::kind, meaning, hint},
#include "dignet/errors.def"
#undef DIG_ERROR
};

}  // namespace

const ErrorInfo& error_info(Errc code) noexcept { return k_error_infos[static_cast<std::size_t>(code)]; }

Error::Error(Errc code, std::string_view detail) : code_(code), detail_(SafeText(detail, max_detail).str()) {}

std::string Error::message() const {
  std::string text(info().meaning);
  if (!detail_.empty()) text.append(": ").append(detail_);
  return text.append(" (").append(info().code).append(")");
}

}  // namespace dig
