// SPDX-License-Identifier: Apache-2.0
#include "service/turn_metrics.hpp"

#include <string>

#include "service/metric_families.hpp"

namespace dig::service {
namespace {

void add_traffic(MetricFamilies& families, const turn::Counters& counters) {
  constexpr auto k_counter = prometheus::MetricType::Counter;
  families.begin(k_counter, "relayed_bytes_total", "Payload relayed");
  families.add(counters.bytes_to_peers, "direction", "to_peers");
  families.add(counters.bytes_to_clients, "direction", "to_clients");
  families.begin(k_counter, "relayed_packets_total", "Packets relayed");
  families.add(counters.packets_to_peers, "direction", "to_peers");
  families.add(counters.packets_to_clients, "direction", "to_clients");
  families.counter("peer_errors_total", "ICMP errors about peers that clients were told of", counters.peer_errors);
}

void add_requests(MetricFamilies& families, const turn::Counters& counters) {
  families.counter("bindings_total", "Binding requests answered", counters.bindings);
  families.counter("allocations_made_total", "Allocations made", counters.allocations_made);
  families.counter("allocations_ended_total", "Allocations ended, for whatever reason", counters.allocations_ended);
  families.begin(prometheus::MetricType::Counter, "refused_requests_total",
                 "Requests answered with an error, by its code; 401 and 438 ask for credentials");
  for (const std::uint16_t code : turn::k_refusals) families.add(counters.refused(code), "code", std::to_string(code));
}

void add_drops(MetricFamilies& families, const net::TurnShardStatus& status) {
  families.begin(prometheus::MetricType::Counter, "dropped_packets_total", "Packets that went nowhere, by cause");
  for (std::size_t i = 0; i < status.counters.drops.size(); ++i) {
    families.add(status.counters.drops[i], "cause", std::string(turn::drop_name(static_cast<turn::Drop>(i))));
  }
  families.add(status.sends.lost_full, "cause", "socket_full");
  families.add(status.sends.lost_refused, "cause", "send_refused");
  families.add(status.lost_stream_full, "cause", "stream_full");
}

}  // namespace

std::string turn_metrics(const net::TurnShardStatus& status) {
  MetricFamilies families("dignet_turn_");
  families.gauge("allocations", "Allocations that stand", status.allocations);
  families.gauge("streams", "Clients connected over TCP or TLS", status.streams);
  families.gauge("dtls_sessions", "Clients connected over DTLS", status.dtls_sessions);
  families.gauge("free_ports", "Relay ports that are free", status.free_ports);
  add_traffic(families, status.counters);
  add_requests(families, status.counters);
  add_drops(families, status);
  families.counter("sent_datagrams_total", "UDP datagrams sent", status.sends.datagrams);
  families.counter("send_calls_total", "System calls that sent UDP datagrams", status.sends.send_calls);
  families.counter("receive_calls_total", "System calls that asked for UDP datagrams", status.receive_calls);
  return families.text();
}

}  // namespace dig::service
