// SPDX-License-Identifier: Apache-2.0
// The configuration file: it becomes settings within their bounds, or an error that says where.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "service/settings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto settings = dig::service::parse_settings({reinterpret_cast<const char*>(data), size}, "dignet.toml");
  if (!settings) {
    if (settings.error().code() != dig::Errc::bad_config || settings.error().detail().empty()) std::abort();
    return 0;
  }
  const auto merged = dig::service::merge(*settings, *settings);
  if (merged.port != settings->port || merged.tiers != settings->tiers) std::abort();
  return 0;
}
