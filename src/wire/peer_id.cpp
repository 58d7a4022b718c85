// SPDX-License-Identifier: Apache-2.0
#include "wire/peer_id.hpp"

#include "base/base_encoding.hpp"
#include "base/byte_reader.hpp"
#include "base/uvarint.hpp"
#include "crypto/hash.hpp"

namespace dig {
namespace {

// Multicodec table: hash functions, the CID version and the content type of a libp2p key.
constexpr std::uint8_t k_identity = 0x00;
constexpr std::uint8_t k_sha2_256 = 0x12;
constexpr std::uint8_t k_cid_v1 = 0x01;
constexpr std::uint8_t k_libp2p_key = 0x72;
constexpr std::size_t k_max_inlined_key = 42;
constexpr std::size_t k_max_text = 128;  // the longest accepted form has 93 characters

std::string make_multihash(std::uint8_t function, BytesView digest) {
  std::string multihash;
  multihash += static_cast<char>(function);
  multihash += static_cast<char>(digest.size());
  return multihash += as_text(digest);
}

// Every code and length here is below 0x80, so each varint is one byte and a longer one is not minimal.
Result<void> check_multihash(BytesView multihash) {
  ByteReader reader(multihash);
  DIG_TRY(const std::uint8_t function, reader.u8());
  DIG_TRY(const std::uint8_t size, reader.u8());
  if (size != reader.remaining()) return fail(Errc::bad_peer_id, "a multihash with a wrong length");
  if (function == k_sha2_256 && size == 32) return {};
  if (function != k_identity || size > k_max_inlined_key) return fail(Errc::bad_peer_id, "a multihash of another kind");
  DIG_CHECK(PublicKey::decode(reader.rest()));
  return {};
}

Result<Bytes> strip_cid(BytesView cid) {
  ByteReader reader(cid);
  DIG_TRY(const std::uint8_t version, reader.u8());
  DIG_TRY(const std::uint8_t codec, reader.u8());
  if (version != k_cid_v1 || codec != k_libp2p_key) return fail(Errc::bad_peer_id, "a CID of something else");
  return to_bytes(reader.rest());
}

Result<Bytes> decode_text(std::string_view text) {
  if (text.empty() || text.size() > k_max_text) return fail(Errc::bad_peer_id, "the length does not fit");
  if (text.front() == '1' || text.starts_with("Qm")) return decode_base(Base::base58, text);
  if (std::string_view("bBkKz").find(text.front()) == std::string_view::npos) {
    return fail(Errc::bad_peer_id, "it starts like no peer id");
  }
  DIG_TRY(const Bytes cid, decode_multibase(text));
  return strip_cid(cid);
}

}  // namespace

PeerId PeerId::from_public_key(const PublicKey& key) {
  const Bytes encoded = key.encode();
  PeerId id;
  id.multihash_ = encoded.size() <= k_max_inlined_key ? make_multihash(k_identity, encoded)
                                                      : make_multihash(k_sha2_256, crypto::sha256(encoded));
  return id;
}

Result<PeerId> PeerId::from_bytes(BytesView multihash) {
  if (const auto checked = check_multihash(multihash); !checked) {
    return fail(Errc::bad_peer_id, checked.error().detail());
  }
  PeerId id;
  id.multihash_ = as_text(multihash);
  return id;
}

Result<PeerId> PeerId::parse(std::string_view text) {
  const Result<Bytes> multihash = decode_text(text);
  if (!multihash) return fail(Errc::bad_peer_id, multihash.error().detail());
  return from_bytes(*multihash);
}

std::string PeerId::to_string() const { return encode_base(Base::base58, bytes()); }

std::string PeerId::to_cid() const {
  Bytes cid = {std::byte{k_cid_v1}, std::byte{k_libp2p_key}};
  append(cid, bytes());
  return encode_multibase(Base::base32, cid);
}

std::optional<PublicKey> PeerId::public_key() const {
  if (multihash_.empty() || static_cast<std::uint8_t>(multihash_.front()) != k_identity) return std::nullopt;
  Result<PublicKey> key = PublicKey::decode(bytes().subspan(2));
  if (!key) return std::nullopt;
  return *std::move(key);
}

}  // namespace dig
