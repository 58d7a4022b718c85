// SPDX-License-Identifier: Apache-2.0
// The header of a partial store's `.leaves` file, as it comes and with the digest that its fields should have, since no
// input guesses that. What is accepted encodes to the same bytes, and is refused with any one of its bits changed.
#include <algorithm>
#include <cstdlib>

#include "crypto/hash.hpp"
#include "store/disk/leaves_file.hpp"

namespace {

using namespace dig;
using namespace dig::store;

void check(BytesView bytes) {
  const auto header = LeavesHeader::decode(bytes);
  if (!header) return;
  const BytesView read = bytes.first(LeavesHeader::encoded_bytes);
  if (!equal(header->encode(), read)) std::abort();
  Bytes changed = to_bytes(read);
  const std::size_t bit = header->size % (read.size() * 8);
  changed[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  if (LeavesHeader::decode(changed)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t k_fields = 8 + 32 + 32 + 8;
  const BytesView input = std::as_bytes(std::span(data, size));
  check(input);
  Bytes sealed = to_bytes(input);
  sealed.resize(LeavesHeader::encoded_bytes);
  const auto digest = crypto::sha256(BytesView(sealed).first(k_fields));
  std::ranges::copy(digest, sealed.begin() + static_cast<std::ptrdiff_t>(k_fields));
  check(sealed);
  return 0;
}
