// SPDX-License-Identifier: Apache-2.0
// The catalogue of servers: it becomes providers within their bounds, or an error that says where.
#include <cstdint>
#include <string_view>

#include "input.hpp"
#include "ladder/catalogue.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto catalogue = dig::ladder::parse_catalogue({reinterpret_cast<const char*>(data), size}, "servers.toml");
  if (!catalogue) {
    dig::fuzz::require(catalogue.error().code() == dig::Errc::bad_config && !catalogue.error().detail().empty());
    return 0;
  }
  dig::fuzz::require(!catalogue->providers.empty() && catalogue->providers.size() <= 64);
  for (const dig::ladder::Provider& provider : catalogue->providers) {
    const bool is_minted = provider.minting != dig::ladder::Minting::none;
    dig::fuzz::require(!provider.name.empty() && provider.servers.size() <= 32);
    dig::fuzz::require(is_minted == !provider.key_file.empty());
    dig::fuzz::require(is_minted || !provider.servers.empty());
  }
  return 0;
}
