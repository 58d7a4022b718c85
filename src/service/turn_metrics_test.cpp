// SPDX-License-Identifier: Apache-2.0
#include "service/turn_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dig::service {
namespace {

using ::testing::HasSubstr;

TEST(TurnMetrics, EveryCounterStandsUnderItsNameAndLabel) {
  net::TurnShardStatus status;
  status.allocations = 1;
  status.streams = 2;
  status.dtls_sessions = 3;
  status.free_ports = 4;
  status.counters.bytes_to_peers = 5;
  status.counters.bytes_to_clients = 6;
  status.counters.packets_to_peers = 7;
  status.counters.packets_to_clients = 8;
  status.counters.peer_errors = 9;
  status.counters.bindings = 10;
  status.counters.allocations_made = 11;
  status.counters.allocations_ended = 12;
  status.sends.lost_full = 13;
  status.sends.lost_refused = 14;
  status.lost_stream_full = 15;
  status.sends.datagrams = 16;
  status.sends.send_calls = 17;
  status.receive_calls = 18;
  const std::string text = turn_metrics(status);
  for (const std::string_view line :
       {"allocations 1", "streams 2", "dtls_sessions 3", "free_ports 4",
        "relayed_bytes_total{direction=\"to_peers\"} 5", "relayed_bytes_total{direction=\"to_clients\"} 6",
        "relayed_packets_total{direction=\"to_peers\"} 7", "relayed_packets_total{direction=\"to_clients\"} 8",
        "peer_errors_total 9", "bindings_total 10", "allocations_made_total 11", "allocations_ended_total 12",
        "dropped_packets_total{cause=\"socket_full\"} 13", "dropped_packets_total{cause=\"send_refused\"} 14",
        "dropped_packets_total{cause=\"stream_full\"} 15", "sent_datagrams_total 16", "send_calls_total 17",
        "receive_calls_total 18"}) {
    EXPECT_THAT(text, HasSubstr("\ndignet_turn_" + std::string(line) + "\n"));
  }
}

TEST(TurnMetrics, EveryCauseAndCodeHasAValue) {
  net::TurnShardStatus status;
  for (std::size_t i = 0; i < status.counters.drops.size(); ++i) status.counters.drops[i] = 100 + i;
  for (const std::uint16_t code : turn::k_refusals) {
    for (int i = 0; i < code; ++i) status.counters.refuse(code);
  }
  const std::string text = turn_metrics(status);
  for (std::size_t i = 0; i < status.counters.drops.size(); ++i) {
    const std::string cause(turn::drop_name(static_cast<turn::Drop>(i)));
    EXPECT_THAT(text, HasSubstr("_dropped_packets_total{cause=\"" + cause + "\"} " + std::to_string(100 + i) + "\n"));
  }
  for (const std::uint16_t code : turn::k_refusals) {
    const std::string number = std::to_string(code);
    std::string line = "_refused_requests_total{code=\"";
    line.append(number).append("\"} ").append(number).append("\n");
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(TurnMetrics, LargeCountsAreExact) {
  net::TurnShardStatus status;
  status.counters.bytes_to_peers = (std::uint64_t{1} << 53U) - 1;
  EXPECT_THAT(turn_metrics(status), HasSubstr("{direction=\"to_peers\"} 9007199254740991\n"));
}

}  // namespace
}  // namespace dig::service
