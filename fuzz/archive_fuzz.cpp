// SPDX-License-Identifier: Apache-2.0
// Foreign archives: whatever the bytes are, checking ends with a verdict; what is accepted can be read in whole.
#include <cstdlib>

#include "store/disk/archive.hpp"
#include "store/disk/resource_reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dig;
  using namespace dig::store;
  MemorySource source(std::as_bytes(std::span(data, size)));
  const auto checked = check_archive(source);
  ResourceReader reader(source);
  const auto list = reader.list();
  if (checked && (!list || list->size() != checked->files)) std::abort();
  if (!list) return 0;
  for (const auto& resource : *list) {
    const auto content = reader.read_all(resource.name, std::uint64_t{1} << 22);
    if (content && content->size() != resource.size) std::abort();
    if (checked && !content && resource.size <= std::uint64_t{1} << 22) std::abort();
  }
  return 0;
}
