// SPDX-License-Identifier: Apache-2.0
#include "sim/world.hpp"

#include <stdexcept>

namespace dig::sim {

Host& World::add_host(HostSpec spec) {
  if (spec.endpoint == Endpoint{}) spec.endpoint = {next_address(), 4001};
  if (spec.clock_origin == Duration{0}) {
    spec.clock_origin = std::chrono::hours(1 + static_cast<std::int64_t>(rng_.below(10'000)));
  }
  const std::uint64_t seed = rng_.u64();
  hosts_.push_back(std::make_unique<Host>(std::move(spec), seed, next_number(), events_, network_, trace_));
  return *hosts_.back();
}

IpAddress World::next_address() { return IpAddress::v4({198, 51, 100, next_address_++}); }

Bytes World::random_bytes(std::size_t size) {
  Bytes bytes(size);
  rng_.fill(bytes);
  return bytes;
}

bool World::step(Instant end) {
  const auto next = events_.next();
  if (!next || *next > end) {
    events_.advance(end);
    return false;
  }
  if (++steps_ > max_events) throw std::logic_error("the virtual world does not come to rest");
  events_.step();
  return true;
}

}  // namespace dig::sim
