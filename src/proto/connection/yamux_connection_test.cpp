// SPDX-License-Identifier: Apache-2.0
#include "proto/connection/yamux_connection.hpp"

#include "proto/connection/testing/connection_conformance.hpp"
#include "proto/connection/testing/yamux_pair.hpp"

namespace dig::testing {
namespace {

[[maybe_unused]] const bool k_registered = register_conformance(
    "YamuxConformance", []() -> std::unique_ptr<ConnectionPair> { return std::make_unique<YamuxPair>(); });

}  // namespace
}  // namespace dig::testing
