// SPDX-License-Identifier: Apache-2.0
// The messages of /dignet/udp-probe/1.0.0: each has one spelling, what is accepted is within its limits, and the
// datagram that a request asks for is no larger than the request.
#include "wire/udp_probe_message.hpp"

#include <algorithm>

#include "input.hpp"

using namespace dig;
using namespace dig::udp_probe;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  if (const auto request = Request::decode(input)) {
    require(request->target.port >= Request::min_port && input.size() <= Request::max_encoded_size);
    require(std::ranges::equal(request->encode(), input));
    require(Datagram{request->nonce}.encode().size() <= input.size());
  }
  if (const auto response = Response::decode(input)) {
    require(response->status <= Status::refused && std::ranges::equal(response->encode(), input));
  }
  if (const auto datagram = Datagram::decode(input)) require(std::ranges::equal(datagram->encode(), input));
  return 0;
}
