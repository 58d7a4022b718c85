// SPDX-License-Identifier: Apache-2.0
#include "base/uvarint.hpp"

namespace dig {

Result<std::optional<Uvarint>> peek_uvarint(BytesView input) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < k_max_uvarint_size; ++i) {
    if (i == input.size()) return std::optional<Uvarint>();
    const auto byte = std::to_integer<std::uint64_t>(input[i]);
    value |= (byte & 0x7F) << (7 * i);
    if ((byte & 0x80) != 0) continue;
    if (byte == 0 && i > 0) return fail(Errc::malformed, "a varint that is not minimal");
    return std::optional(Uvarint{value, i + 1});
  }
  return fail(Errc::malformed, "a varint of more than 9 bytes");
}

Result<std::uint64_t> read_uvarint(ByteReader& reader) {
  DIG_TRY(const std::optional<Uvarint> found, peek_uvarint(reader.rest()));
  if (!found) return fail(Errc::truncated);
  DIG_CHECK(reader.skip(found->size));
  return found->value;
}

void write_uvarint(Bytes& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::byte>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::byte>(value));
}

}  // namespace dig
