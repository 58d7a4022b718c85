// SPDX-License-Identifier: Apache-2.0
// libp2p ping on a stream, both roles.
#pragma once

#include <memory>

#include "base/rng.hpp"
#include "node/outputs.hpp"
#include "node/stream_handler.hpp"

namespace dig::node {

// Echoes until the peer finishes.
[[nodiscard]] std::unique_ptr<StreamHandler> make_ping_responder();
// Pings once, tells PingEnded and ends its stream.
[[nodiscard]] std::unique_ptr<StreamHandler> make_pinger(OutputSink& sink, OperationId operation, Rng& rng);

}  // namespace dig::node
