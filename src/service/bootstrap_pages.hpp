// SPDX-License-Identifier: Apache-2.0
// What a bootstrap server answers over HTTP: a page for people, its health, its status as JSON, and metrics. Numbers of
// the server alone: nothing about any peer, nor about who asked for what. Nothing can be changed over HTTP.
//
//   /             for people
//   /health       "ok"
//   /status.json  {version, peer_id, crypto_ipv6, roles, uptime_s, connections, relay, directory, one_port}
//   /metrics      for Prometheus
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "dignet/node.hpp"
#include "net/port_streams.hpp"

namespace dig::service {

struct ServerFacts {
  std::string version;
  dignet::NodeIdentity identity;
  std::chrono::seconds uptime{0};
};

// `path` without the query. 404 for everything else.
[[nodiscard]] net::PageAnswer bootstrap_page(std::string_view path, const ServerFacts& facts,
                                             const dignet::NodeStatus& status);

}  // namespace dig::service
