// SPDX-License-Identifier: Apache-2.0
#include "sim/trace.hpp"

#include <array>

#include "crypto/hash.hpp"

namespace dig::sim {

void Trace::add(Instant now, std::uint64_t host, TraceKind kind, std::uint64_t detail, BytesView bytes) {
  const std::array<std::uint64_t, 5> record{static_cast<std::uint64_t>(now.since_origin.count()), host,
                                            static_cast<std::uint64_t>(kind), detail, bytes.size()};
  hash_.bytes = crypto::sha256({hash_.view(), std::as_bytes(std::span(record)), bytes});
  ++records_;
}

}  // namespace dig::sim
