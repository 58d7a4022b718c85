// SPDX-License-Identifier: Apache-2.0
#include "store/disk/leaves_file.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "crypto/hash.hpp"
#include "store/merkle.hpp"

namespace dig::store {
namespace {

constexpr std::string_view k_magic = "DIGPART1";
constexpr std::size_t k_fields = 8 + 32 + 32 + 8;

}  // namespace

Bytes LeavesHeader::encode() const {
  Bytes out;
  ByteWriter writer(out);
  writer.text(k_magic);
  writer.bytes(store_id.bytes);
  writer.bytes(root.bytes);
  writer.u64(size);
  const crypto::Sha256Digest digest = crypto::sha256(out);
  writer.bytes(digest);
  out.resize(encoded_bytes);
  return out;
}

Result<LeavesHeader> LeavesHeader::decode(BytesView bytes) {
  ByteReader reader(bytes);
  DIG_TRY(const BytesView all, reader.bytes(encoded_bytes));
  ByteReader fields(all);
  LeavesHeader header;
  DIG_TRY(const BytesView magic, fields.bytes(k_magic.size()));
  DIG_TRY(const BytesView store_id, fields.bytes(sizeof(Hash256)));
  DIG_TRY(const BytesView root, fields.bytes(sizeof(Hash256)));
  DIG_TRY(header.size, fields.u64());
  DIG_TRY(const BytesView digest, fields.bytes(sizeof(Hash256)));
  if (as_text(magic) != k_magic || !equal(digest, crypto::sha256(all.first(k_fields)))) return fail(Errc::malformed);
  const bool zero_padded = std::ranges::all_of(fields.rest(), [](std::byte b) { return b == std::byte{0}; });
  if (!zero_padded) return fail(Errc::malformed);
  if (header.size > k_max_store_size) return fail(Errc::oversized);
  std::ranges::copy(store_id, header.store_id.bytes.begin());
  std::ranges::copy(root, header.root.bytes.begin());
  return header;
}

}  // namespace dig::store
