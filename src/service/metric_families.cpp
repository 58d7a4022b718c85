// SPDX-License-Identifier: Apache-2.0
#include "service/metric_families.hpp"

#include <prometheus/text_serializer.h>

namespace dig::service {

void MetricFamilies::begin(prometheus::MetricType type, const std::string& name, std::string help) {
  families_.push_back({.name = prefix_ + name, .help = std::move(help), .type = type, .metric = {}});
}

void MetricFamilies::add(std::uint64_t value, std::string label, std::string label_value) {
  add(value, {{std::move(label), std::move(label_value)}});
}

void MetricFamilies::add(std::uint64_t value, Labels labels) {
  prometheus::ClientMetric metric;
  for (auto& [label, label_value] : labels) metric.label.push_back({std::move(label), std::move(label_value)});
  // Both are read by the type of the family; a double holds every count below 2^53.
  metric.counter.value = metric.gauge.value = static_cast<double>(value);
  families_.back().metric.push_back(std::move(metric));
}

void MetricFamilies::counter(const std::string& name, std::string help, std::uint64_t value) {
  begin(prometheus::MetricType::Counter, name, std::move(help));
  add(value);
}

void MetricFamilies::gauge(const std::string& name, std::string help, std::uint64_t value) {
  begin(prometheus::MetricType::Gauge, name, std::move(help));
  add(value);
}

std::string MetricFamilies::text() const { return prometheus::TextSerializer().Serialize(families_); }

}  // namespace dig::service
