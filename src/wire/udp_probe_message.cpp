// SPDX-License-Identifier: Apache-2.0
#include "wire/udp_probe_message.hpp"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

namespace dig::udp_probe {
namespace {

// Whoever else gets the datagram takes it for nothing of his own.
constexpr std::string_view k_mark = "dignet";
constexpr std::size_t k_nonce_size = std::tuple_size_v<Nonce>;
static_assert(Datagram::encoded_size == k_mark.size() + k_nonce_size);

Nonce nonce_of(BytesView bytes) {
  Nonce nonce;
  std::ranges::copy(bytes, nonce.begin());
  return nonce;
}

}  // namespace

Result<Request> Request::decode(BytesView bytes) {
  constexpr std::size_t k_behind_address = sizeof(std::uint16_t) + k_nonce_size;
  if (bytes.size() < k_behind_address) return fail(Errc::malformed, "a short request for a UDP probe");
  ByteReader reader(bytes);
  DIG_TRY(const BytesView address, reader.bytes(bytes.size() - k_behind_address));
  Request request;
  DIG_TRY(request.target.address, IpAddress::from_bytes(address));
  DIG_TRY(request.target.port, reader.u16());
  if (request.target.port < min_port) {
    return fail(Errc::malformed, "a request for a UDP probe of a port of the system");
  }
  request.nonce = nonce_of(reader.rest());
  return request;
}

Bytes Request::encode() const {
  Bytes out;
  ByteWriter writer(out);
  writer.bytes(target.address.bytes());
  writer.u16(target.port);
  writer.bytes(nonce);
  return out;
}

Result<Response> Response::decode(BytesView bytes) {
  if (bytes.size() != max_encoded_size || bytes[0] > std::byte{static_cast<std::uint8_t>(Status::refused)}) {
    return fail(Errc::malformed, "an unknown answer about a UDP probe");
  }
  return Response{static_cast<Status>(bytes[0])};
}

Bytes Response::encode() const { return Bytes(1, std::byte{static_cast<std::uint8_t>(status)}); }

Result<Datagram> Datagram::decode(BytesView bytes) {
  if (bytes.size() != encoded_size || as_text(bytes.first(k_mark.size())) != k_mark) {
    return fail(Errc::malformed, "no datagram of a UDP probe");
  }
  return Datagram{nonce_of(bytes.last(k_nonce_size))};
}

Bytes Datagram::encode() const {
  Bytes out;
  ByteWriter writer(out);
  writer.text(k_mark);
  writer.bytes(nonce);
  return out;
}

}  // namespace dig::udp_probe
