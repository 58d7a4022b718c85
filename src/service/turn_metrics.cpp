// SPDX-License-Identifier: Apache-2.0
#include "service/turn_metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <vector>

namespace dig::service {
namespace {

// Families of metrics, in the order in which they are added.
class Families {
 public:
  void begin(prometheus::MetricType type, std::string name, std::string help) {
    families_.push_back(
        {.name = "dignet_turn_" + std::move(name), .help = std::move(help), .type = type, .metric = {}});
  }
  // A value of the family begun last, with one label or none.
  void add(std::uint64_t value, std::string label = {}, std::string label_value = {}) {
    prometheus::ClientMetric metric;
    if (!label.empty()) metric.label.push_back({std::move(label), std::move(label_value)});
    // Both are read by the type of the family; a double holds every count below 2^53.
    metric.counter.value = metric.gauge.value = static_cast<double>(value);
    families_.back().metric.push_back(std::move(metric));
  }
  void counter(std::string name, std::string help, std::uint64_t value) {
    begin(prometheus::MetricType::Counter, std::move(name), std::move(help));
    add(value);
  }
  void gauge(std::string name, std::string help, std::uint64_t value) {
    begin(prometheus::MetricType::Gauge, std::move(name), std::move(help));
    add(value);
  }
  [[nodiscard]] std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

void add_traffic(Families& families, const turn::Counters& counters) {
  constexpr auto k_counter = prometheus::MetricType::Counter;
  families.begin(k_counter, "relayed_bytes_total", "Payload relayed");
  families.add(counters.bytes_to_peers, "direction", "to_peers");
  families.add(counters.bytes_to_clients, "direction", "to_clients");
  families.begin(k_counter, "relayed_packets_total", "Packets relayed");
  families.add(counters.packets_to_peers, "direction", "to_peers");
  families.add(counters.packets_to_clients, "direction", "to_clients");
  families.counter("peer_errors_total", "ICMP errors about peers that clients were told of", counters.peer_errors);
}

void add_requests(Families& families, const turn::Counters& counters) {
  families.counter("bindings_total", "Binding requests answered", counters.bindings);
  families.counter("allocations_made_total", "Allocations made", counters.allocations_made);
  families.counter("allocations_ended_total", "Allocations ended, for whatever reason", counters.allocations_ended);
  families.begin(prometheus::MetricType::Counter, "refused_requests_total",
                 "Requests answered with an error, by its code; 401 and 438 ask for credentials");
  for (const std::uint16_t code : turn::k_refusals) families.add(counters.refused(code), "code", std::to_string(code));
}

void add_drops(Families& families, const net::TurnShardStatus& status) {
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
  Families families;
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
