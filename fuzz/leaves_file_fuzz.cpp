// SPDX-License-Identifier: Apache-2.0
// The headers of a partial store's `.leaves` file and of a `.tree` file: what is accepted encodes to the same bytes.
#include <algorithm>
#include <cstdlib>

#include "store/disk/leaves_file.hpp"
#include "store/disk/tree_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dig;
  using namespace dig::store;
  const BytesView input = std::as_bytes(std::span(data, size));
  const auto leaves = LeavesHeader::decode(input);
  if (leaves && !equal(leaves->encode(), input.first(LeavesHeader::encoded_bytes))) std::abort();
  const auto tree = TreeHeader::decode(input);
  if (tree) {
    const auto encoded = tree->encode();
    if (encoded && TreeHeader::decode(*encoded)->root != tree->root) std::abort();
  }
  return 0;
}
