// SPDX-License-Identifier: Apache-2.0
// The header of a `.tree` file, as it comes and with the digest that its fields should have, since no input guesses
// that. What is accepted encodes to the same bytes, and is refused with any one of its bits changed.
#include <algorithm>
#include <cstdlib>

#include "base/byte_reader.hpp"
#include "crypto/hash.hpp"
#include "store/disk/tree_file.hpp"

namespace {

using namespace dig;
using namespace dig::store;

// Up to the digest; nothing when the fields leave no room for it.
std::optional<std::size_t> size_of_fields(BytesView bytes) {
  constexpr std::size_t k_fixed = 8 + 8 + 32 + 32 + 8;
  ByteReader reader(bytes);
  if (!reader.skip(k_fixed)) return std::nullopt;
  for (int text = 0; text < 2; ++text) {  // manifest and signature
    const auto size = reader.u16();
    if (!size || !reader.skip(*size)) return std::nullopt;
  }
  if (reader.remaining() < sizeof(Hash256)) return std::nullopt;
  return bytes.size() - reader.remaining();
}

void check(BytesView bytes) {
  const auto header = TreeHeader::decode(bytes);
  if (!header) {
    if (header.error().code() != Errc::store_damaged) std::abort();
    return;
  }
  const auto encoded = header->encode();
  if (!encoded || !equal(*encoded, bytes)) std::abort();
  Bytes changed = to_bytes(bytes);
  const std::size_t bit = (header->size ^ header->files) % (bytes.size() * 8);
  changed[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  if (TreeHeader::decode(changed)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  check(input);
  Bytes sealed = to_bytes(input);
  sealed.resize(TreeHeader::encoded_bytes);
  const auto fields = size_of_fields(sealed);
  if (!fields) return 0;
  const auto digest = crypto::sha256(BytesView(sealed).first(*fields));
  std::ranges::copy(digest, sealed.begin() + static_cast<std::ptrdiff_t>(*fields));
  check(sealed);
  return 0;
}
