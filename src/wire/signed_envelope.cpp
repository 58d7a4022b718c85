// SPDX-License-Identifier: Apache-2.0
#include "wire/signed_envelope.hpp"

#include "base/uvarint.hpp"
#include "envelope.pb.h"
#include "wire/protobuf.hpp"

namespace dig {
namespace {

// Each part behind its length, so that no two different triples give the same bytes.
Bytes signed_bytes(std::string_view domain, BytesView payload_type, BytesView payload) {
  Bytes text;
  for (const BytesView part : {as_bytes(domain), payload_type, payload}) {
    write_uvarint(text, part.size());
    append(text, part);
  }
  return text;
}

}  // namespace

SignedEnvelope SignedEnvelope::seal(const Identity& identity, std::string_view domain, BytesView payload_type,
                                    BytesView payload) {
  const auto signature = identity.sign(signed_bytes(domain, payload_type, payload));
  return {identity.public_key(), to_bytes(payload_type), to_bytes(payload), to_bytes(signature)};
}

Result<SignedEnvelope> SignedEnvelope::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::Envelope>(bytes, max_encoded_size));
  SignedEnvelope envelope;
  DIG_TRY(envelope.public_key, PublicKey::decode(as_bytes(message.public_key())));
  if (message.payload_type().empty() || message.signature().empty()) {
    return fail(Errc::malformed, "an envelope without payload type or signature");
  }
  if (message.payload_type().size() > max_payload_type || message.signature().size() > max_signature) {
    return fail(Errc::oversized, "the payload type or signature of an envelope is too long");
  }
  envelope.payload_type = to_bytes(message.payload_type());
  envelope.payload = to_bytes(message.payload());
  envelope.signature = to_bytes(message.signature());
  return envelope;
}

Bytes SignedEnvelope::encode() const {
  pb::Envelope message;
  message.set_public_key(to_field(public_key.encode()));
  message.set_payload_type(to_field(payload_type));
  message.set_payload(to_field(payload));
  message.set_signature(to_field(signature));
  return serialise_protobuf(message);
}

Result<void> SignedEnvelope::verify(std::string_view domain, BytesView expected_type) const {
  if (!equal(payload_type, expected_type)) return fail(Errc::malformed, "an envelope with something else in it");
  return verify_signature(public_key, signed_bytes(domain, payload_type, payload), signature);
}

}  // namespace dig
