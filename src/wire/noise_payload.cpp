// SPDX-License-Identifier: Apache-2.0
#include "wire/noise_payload.hpp"

#include "base/safe_text.hpp"
#include "noise.pb.h"
#include "wire/protobuf.hpp"

namespace dig {

Result<NoisePayload> NoisePayload::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::NoiseHandshakePayload>(bytes, max_encoded_size));
  NoisePayload payload;
  DIG_TRY(payload.identity_key, PublicKey::decode(as_bytes(message.identity_key())));
  payload.identity_key_bytes = to_bytes(message.identity_key());
  if (message.identity_sig().empty()) return fail(Errc::malformed, "a Noise payload without signature");
  if (message.identity_sig().size() > max_signature) return fail(Errc::oversized, "a signature longer than its limit");
  payload.signature = to_bytes(message.identity_sig());
  const auto& muxers = message.extensions().stream_muxers();
  if (muxers.size() > static_cast<int>(max_muxers)) return fail(Errc::oversized, "too many muxers");
  for (const std::string& muxer : muxers) {
    if (muxer.size() > max_muxer_name) return fail(Errc::oversized, "the name of a muxer is too long");
    if (muxer.empty() || !is_safe_text(muxer)) return fail(Errc::malformed, "not the name of a muxer");
    payload.muxers.push_back(muxer);
  }
  return payload;
}

Bytes NoisePayload::encode() const {
  pb::NoiseHandshakePayload message;
  message.set_identity_key(to_field(identity_key.encode()));
  message.set_identity_sig(to_field(signature));
  for (const std::string& muxer : muxers) message.mutable_extensions()->add_stream_muxers(muxer);
  return serialise_protobuf(message);
}

}  // namespace dig
