// SPDX-License-Identifier: Apache-2.0
#include "wire/multihash.hpp"

#include "base/byte_reader.hpp"
#include "base/uvarint.hpp"

namespace dig {

Result<Multihash> Multihash::decode(BytesView bytes) {
  ByteReader reader(bytes);
  DIG_TRY(const std::uint64_t code, read_uvarint(reader));
  DIG_TRY(const std::uint64_t size, read_uvarint(reader));
  if (size > k_max_multihash_digest) return fail(Errc::oversized, "a digest longer than its limit");
  if (code == k_multihash_sha2_256 && size != 32) return fail(Errc::malformed, "a SHA-256 digest has 32 bytes");
  DIG_TRY(const BytesView digest, reader.bytes(static_cast<std::size_t>(size)));
  DIG_CHECK(reader.expect_end());
  return Multihash{code, digest};
}

Bytes Multihash::encode() const {
  Bytes out;
  out.reserve(uvarint_size(code) + uvarint_size(digest.size()) + digest.size());
  write_uvarint(out, code);
  write_uvarint(out, digest.size());
  append(out, digest);
  return out;
}

}  // namespace dig
