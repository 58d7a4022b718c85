// SPDX-License-Identifier: Apache-2.0
// Read by hand and not through protobuf: the bytes are hashed into the PeerId, so only the one canonical encoding may
// pass, and no key byte is copied before its size is checked.
#include "wire/public_key.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/uvarint.hpp"

namespace dig {
namespace {

constexpr std::uint8_t k_type_tag = 0x08;  // field 1, varint
constexpr std::uint8_t k_data_tag = 0x12;  // field 2, length-delimited

bool is_allowed_size(KeyType type, std::uint64_t size) {
  switch (type) {
    case KeyType::rsa:
      return size > 0 && size <= 1024;
    case KeyType::ed25519:
      return size == 32;
    case KeyType::secp256k1:
      return size == 33;
    case KeyType::ecdsa:
      return size > 0 && size <= 256;
  }
  return false;
}

Result<PublicKey> decode_fields(ByteReader& reader) {
  DIG_TRY(const std::uint8_t type_tag, reader.u8());
  if (type_tag != k_type_tag) return fail(Errc::bad_public_key, "the key type is missing");
  DIG_TRY(const std::uint64_t type, read_uvarint(reader));
  if (type > static_cast<std::uint64_t>(KeyType::ecdsa)) return fail(Errc::bad_public_key, "an unknown key type");
  PublicKey key{static_cast<KeyType>(type), {}};
  DIG_TRY(const std::uint8_t data_tag, reader.u8());
  if (data_tag != k_data_tag) return fail(Errc::bad_public_key, "the key bytes are missing");
  DIG_TRY(const std::uint64_t size, read_uvarint(reader));
  if (!is_allowed_size(key.type, size)) return fail(Errc::bad_public_key, "a key of a size its type does not have");
  DIG_TRY(const BytesView data, reader.bytes(static_cast<std::size_t>(size)));
  DIG_CHECK(reader.expect_end());
  key.data = to_bytes(data);
  return key;
}

}  // namespace

Result<PublicKey> PublicKey::decode(BytesView protobuf) {
  ByteReader reader(protobuf);
  Result<PublicKey> key = decode_fields(reader);
  if (!key) return fail(Errc::bad_public_key, key.error().detail());
  return key;
}

Bytes PublicKey::encode() const {
  Bytes out;
  out.reserve(data.size() + 6);
  ByteWriter writer(out);
  writer.u8(k_type_tag);
  writer.u8(static_cast<std::uint8_t>(type));
  writer.u8(k_data_tag);
  write_uvarint(out, data.size());
  writer.bytes(data);
  return out;
}

PublicKey PublicKey::ed25519(BytesView key) { return {KeyType::ed25519, to_bytes(key)}; }

}  // namespace dig
