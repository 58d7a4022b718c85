// SPDX-License-Identifier: Apache-2.0
#include "wire/peer_certificate.hpp"

#include "crypto/der.hpp"
#include "crypto/x509.hpp"

namespace dig {
namespace {

using crypto::der::Tag;

const std::string k_extension = "1.3.6.1.4.1.53594.1.1";  // libp2p TLS spec, "libp2p Public Key Extension"
constexpr std::string_view k_prefix = "libp2p-tls-handshake:";
constexpr UnixTime k_from{946'684'800};                                       // 2000-01-01
constexpr std::chrono::seconds k_validity{4'102'444'800LL - k_from.seconds};  // until 2100-01-01

Bytes signed_text(BytesView spki) {
  Bytes text;
  text.reserve(k_prefix.size() + spki.size());
  append(text, as_bytes(k_prefix));
  append(text, spki);
  return text;
}

}  // namespace

Bytes encode_signed_key(const Identity& identity, BytesView spki) {
  Bytes fields;
  crypto::der::append_element(fields, Tag::octet_string, identity.public_key().encode());
  crypto::der::append_element(fields, Tag::octet_string, identity.sign(signed_text(spki)));
  Bytes content;
  crypto::der::append_element(content, Tag::sequence, fields);
  return content;
}

Result<PeerId> verify_signed_key(BytesView content, BytesView spki) {
  ByteReader outer(content);
  DIG_TRY(const BytesView fields, crypto::der::read_element(outer, Tag::sequence));
  ByteReader inner(fields);
  DIG_TRY(const BytesView encoded, crypto::der::read_element(inner, Tag::octet_string));
  DIG_TRY(const BytesView signature, crypto::der::read_element(inner, Tag::octet_string));
  if (!outer.empty() || !inner.empty()) return fail(Errc::malformed, "bytes behind a signed key");
  DIG_TRY(const PublicKey key, PublicKey::decode(encoded));
  DIG_CHECK(verify_signature(key, signed_text(spki), signature));
  return PeerId::from_public_key(key);
}

std::shared_ptr<const crypto::TlsIdentity> make_peer_certificate(const Identity& identity) {
  const crypto::TlsIdentity::Extension extension{k_extension,
                                                 [&](BytesView spki) { return encode_signed_key(identity, spki); }};
  // The name is a host name, so that nothing is left that could be refused.
  return crypto::TlsIdentity::make_self_signed({identity.peer_id().to_string()}, k_validity, k_from, extension).value();
}

Result<PeerId> peer_of_certificate(BytesView leaf) {
  DIG_TRY(const crypto::BoundKey bound, crypto::read_bound_key(leaf, k_extension));
  const auto peer = verify_signed_key(bound.extension, bound.spki);
  if (!peer) return fail(Errc::certificate_refused, "its peer's key: " + peer.error().message());
  return *peer;
}

}  // namespace dig
