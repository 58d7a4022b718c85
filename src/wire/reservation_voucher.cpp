// SPDX-License-Identifier: Apache-2.0
#include "wire/reservation_voucher.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "reservation_voucher.pb.h"
#include "wire/protobuf.hpp"
#include "wire/signed_envelope.hpp"

namespace dig {
namespace {

constexpr std::string_view k_domain = "libp2p-relay-rsvp";
// The spec names the codec 0x0302. All implementations send these two bytes, not its varint (82 06).
constexpr std::array k_payload_type = {std::byte{0x03}, std::byte{0x02}};
constexpr std::size_t k_max_payload = 256;

}  // namespace

Bytes ReservationVoucher::seal(const Identity& identity) const {
  pb::ReservationVoucher message;
  message.set_relay(to_field(relay.bytes()));
  message.set_peer(to_field(peer.bytes()));
  message.set_expiration(static_cast<std::uint64_t>(std::max<std::int64_t>(0, expiration.seconds)));
  return SignedEnvelope::seal(identity, k_domain, k_payload_type, serialise_protobuf(message)).encode();
}

Result<ReservationVoucher> ReservationVoucher::open(BytesView bytes) {
  DIG_TRY(const SignedEnvelope envelope, SignedEnvelope::decode(bytes));
  DIG_CHECK(envelope.verify(k_domain, k_payload_type));
  DIG_TRY(const auto message, parse_protobuf<pb::ReservationVoucher>(envelope.payload, k_max_payload));
  auto relay = PeerId::from_bytes(as_bytes(message.relay()));
  auto peer = PeerId::from_bytes(as_bytes(message.peer()));
  constexpr std::uint64_t k_latest = std::numeric_limits<std::int64_t>::max();
  if (!relay || !peer || message.expiration() > k_latest) return fail(Errc::malformed, "a reservation voucher");
  if (envelope.signer() != *relay) return fail(Errc::peer_id_mismatch, "the voucher was not signed by its relay");
  return ReservationVoucher{*std::move(relay), *std::move(peer), {static_cast<std::int64_t>(message.expiration())}};
}

}  // namespace dig
