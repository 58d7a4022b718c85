// SPDX-License-Identifier: Apache-2.0
#include "wire/peer_id.hpp"

#include "base/base_encoding.hpp"
#include "base/byte_reader.hpp"
#include "crypto/hash.hpp"
#include "wire/multihash.hpp"

namespace dig {
namespace {

// Multicodec table: the CID version and the content type of a libp2p key.
constexpr std::uint8_t k_cid_v1 = 0x01;
constexpr std::uint8_t k_libp2p_key = 0x72;
constexpr std::size_t k_max_inlined_key = 42;
constexpr std::size_t k_max_text = 128;  // the longest accepted form has 93 characters

Result<void> check_multihash(BytesView bytes) {
  DIG_TRY(const Multihash multihash, Multihash::decode(bytes));
  if (multihash.code == k_multihash_sha2_256) return {};
  if (multihash.code != k_multihash_identity || multihash.digest.size() > k_max_inlined_key) {
    return fail(Errc::bad_peer_id, "a multihash of another kind");
  }
  DIG_CHECK(PublicKey::decode(multihash.digest));
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
  if (encoded.size() <= k_max_inlined_key) {
    id.multihash_ = as_text(Multihash{k_multihash_identity, encoded}.encode());
  } else {
    const crypto::Sha256Digest digest = crypto::sha256(encoded);
    id.multihash_ = as_text(Multihash{k_multihash_sha2_256, digest}.encode());
  }
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
  if (multihash_.empty() || static_cast<std::uint64_t>(multihash_.front()) != k_multihash_identity) return std::nullopt;
  Result<PublicKey> key = PublicKey::decode(bytes().subspan(2));
  if (!key) return std::nullopt;
  return *std::move(key);
}

}  // namespace dig
