// SPDX-License-Identifier: Apache-2.0
// The answer of an HTTPS server or a proxy: bounded, and the same wherever it is cut; what it holds becomes servers or
// an error. The first byte says where it is cut and whether it answers CONNECT.
#include <cstdint>

#include "input.hpp"
#include "net/http_response.hpp"
#include "net/minting.hpp"

namespace {

using dig::BytesView;
using dig::net::HttpResponseReader;

struct Outcome {
  bool is_refused = false;
  bool is_complete = false;
  unsigned status = 0;
  std::size_t rest = 0;
  std::string body;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read(HttpResponseReader::Body kind, BytesView first, BytesView second) {
  HttpResponseReader reader(kind, {.max_head = 1024, .max_body = 4096});
  Outcome outcome;
  for (const BytesView part : {first, second}) {
    const auto rest = reader.put(part);
    outcome.is_refused = outcome.is_refused || !rest;
    if (outcome.is_refused) return outcome;
    outcome.rest += rest->size();
  }
  outcome.is_complete = reader.is_complete();
  if (!outcome.is_complete) return outcome;
  outcome.status = reader.status();
  outcome.body = reader.take_body();
  dig::fuzz::require(outcome.body.size() <= 4096);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const BytesView bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const auto kind = (data[0] & 1U) != 0 ? HttpResponseReader::Body::none : HttpResponseReader::Body::expected;
  const std::size_t cut = bytes.empty() ? 0 : (data[0] >> 1U) % (bytes.size() + 1);
  const Outcome whole = read(kind, bytes, {});
  const Outcome parts = read(kind, bytes.first(cut), bytes.subspan(cut));
  // A limit may be met a little earlier or later; what is taken is the same.
  dig::fuzz::require(whole == parts || whole.is_refused || parts.is_refused);
  const auto groups = dig::net::parse_ice_servers(whole.body);
  dig::fuzz::require(!groups || (!groups->empty() && groups->size() <= 32));
  return 0;
}
