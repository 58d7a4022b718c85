// SPDX-License-Identifier: Apache-2.0
// Heads of HTTP requests and responses: where the input is cut does not matter, what is held is bounded, nothing behind
// a head is taken, and what is accepted is what it must be. The first byte says how long the pieces are.
#include <algorithm>
#include <cstdint>

#include "input.hpp"
#include "proto/http/request_head.hpp"
#include "proto/http/response_head.hpp"

namespace {

using dig::BytesView;
using dig::fuzz::require;
using namespace dig::http;

constexpr HeadLimits k_limits{.bytes = 600, .fields = 8};

struct Outcome {
  unsigned status = 0;  // of the refusal; 0: accepted, or not over
  bool is_over = false;
  std::string path;
  std::string host;
  std::size_t taken = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read(BytesView input, std::size_t piece) {
  RequestReader reader({}, {.head = k_limits});
  Outcome outcome;
  while (!input.empty() && !reader.result()) {
    const BytesView part = input.first(std::min(piece, input.size()));
    const std::size_t taken = reader.handle_bytes(part);
    require(taken <= part.size() && (taken == part.size() || reader.result()));
    require(reader.snapshot().buffered_bytes <= k_limits.bytes);
    input = input.subspan(part.size());
    outcome.taken += taken;
  }
  if (!reader.result()) return outcome;
  outcome.is_over = true;
  if (!*reader.result()) {
    outcome.status = reader.result()->error().status;
    outcome.taken = 0;
    require(outcome.status >= 400 && !reason_of(static_cast<std::uint16_t>(outcome.status)).empty());
    return outcome;
  }
  const RequestHead& head = **reader.result();
  require(head.path.starts_with('/') && !head.path.contains('?') && !head.path.contains(' '));
  require(!head.host.empty() && head.host == to_lower(head.host) && !head.host.contains('@'));
  require(head.fields.only("host").has_value() && head.fields.count("transfer-encoding") == 0);
  outcome.path = head.path;
  outcome.host = head.host;
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const BytesView input = std::as_bytes(std::span(data, size)).subspan(1);
  const Outcome whole = read(input, size);
  require(read(input, 1) == whole);
  require(read(input, data[0] / 8U + 1U) == whole);

  HeadCollector collector(k_limits.bytes);
  const auto taken = collector.feed(input);
  require(!taken || *taken <= input.size());
  if (!taken || !collector.is_complete()) return 0;
  const auto response = parse_response_head(collector.text(), k_limits);
  require(!response || (response->status >= 100 && response->status <= 599));
  return 0;
}
