// SPDX-License-Identifier: Apache-2.0
// The counters of a TURN server in Prometheus' text format. No names of users and no addresses: who may read metrics
// need not know who talks.
#pragma once

#include <string>

#include "net/turn_shard.hpp"

namespace dig::service {

[[nodiscard]] std::string turn_metrics(const net::TurnShardStatus& status);

}  // namespace dig::service
