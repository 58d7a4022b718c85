// SPDX-License-Identifier: Apache-2.0
#include "ladder/methods.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace dig::ladder {
namespace {

constexpr std::array k_methods = {
    MethodRow{Tier::direct, Method::tcp, "direct", "tcp", 0, 10s, 1s, true},
    MethodRow{Tier::direct, Method::quic, "direct", "quic", 0, 10s, 1s, false},
    MethodRow{Tier::traversal, Method::upnp, "traversal", "upnp", 0, 5s, 1s, false},
    MethodRow{Tier::traversal, Method::natpmp, "traversal", "natpmp", 0, 5s, 1s, false},
    MethodRow{Tier::traversal, Method::pcp, "traversal", "pcp", 0, 5s, 1s, false},
    MethodRow{Tier::traversal, Method::punch_udp, "traversal", "punch-udp", 1, 10s, 2s, false},
    MethodRow{Tier::traversal, Method::punch_tcp, "traversal", "punch-tcp", 1, 10s, 2s, false},
    MethodRow{Tier::traversal, Method::webrtc, "traversal", "webrtc", 1, 10s, 2s, false},
    MethodRow{Tier::traversal, Method::circuit, "traversal", "circuit", 1, 10s, 2s, true},
    MethodRow{Tier::peer_turn, Method::turn_udp, "peer-turn", "turn-udp", 2, 10s, 1s, false},
    MethodRow{Tier::peer_turn, Method::turn_tcp, "peer-turn", "turn-tcp", 2, 10s, 1s, false},
    MethodRow{Tier::peer_turn, Method::turn_tls, "peer-turn", "turn-tls", 2, 10s, 1s, false},
    MethodRow{Tier::bootstrap_turn, Method::turn_udp, "bootstrap-turn", "turn-udp", 2, 10s, 1s, false},
    MethodRow{Tier::bootstrap_turn, Method::turn_tcp, "bootstrap-turn", "turn-tcp", 2, 10s, 1s, false},
    MethodRow{Tier::bootstrap_turn, Method::turn_tls, "bootstrap-turn", "turn-tls", 2, 10s, 1s, false},
    MethodRow{Tier::public_turn, Method::turn_udp, "public-turn", "turn-udp", 3, 10s, 0s, false},
    MethodRow{Tier::public_turn, Method::turn_tcp, "public-turn", "turn-tcp", 3, 10s, 0s, false},
    MethodRow{Tier::public_turn, Method::turn_tls, "public-turn", "turn-tls", 3, 10s, 0s, false},
};

}  // namespace

std::span<const MethodRow> methods() { return k_methods; }

const MethodRow& method_row(Tier tier, Method method) {
  return *std::ranges::find_if(k_methods,
                               [&](const MethodRow& row) { return row.tier == tier && row.method == method; });
}

dignet::PathEvent path_event(const MethodRow& row, std::string from, std::string to, std::string peer_id) {
  return {.from = std::move(from),
          .to = std::move(to),
          .tier = static_cast<int>(row.tier),
          .tier_name = std::string(row.tier_name),
          .method = std::string(row.name),
          .peer_id = std::move(peer_id)};
}

std::string_view tier_name(Tier tier) { return std::ranges::find(k_methods, tier, &MethodRow::tier)->tier_name; }

}  // namespace dig::ladder
