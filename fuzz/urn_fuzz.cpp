// SPDX-License-Identifier: Apache-2.0
// Store URNs: what is accepted prints and parses again to the same value, and its key is a proper resource name.
#include <cstdlib>

#include "store/resource_name.hpp"
#include "store/urn.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dig::store;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto urn = Urn::parse(text);
  if (urn) {
    if (!urn->resource.empty() && !check_resource_name(urn->resource)) std::abort();
    const auto again = Urn::parse(urn->to_string());
    if (!again || *again != *urn || again->to_string() != urn->to_string()) std::abort();
  }
  if (check_resource_name(text)) {
    const std::string key = collision_key(text);
    if (collision_key(key) != key) std::abort();
  }
  return 0;
}
