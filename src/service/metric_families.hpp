// SPDX-License-Identifier: Apache-2.0
// Families of metrics as Prometheus reads them, in the order in which they are added.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dig::service {

class MetricFamilies {
 public:
  // `prefix` stands before every name: "dignet_turn_".
  explicit MetricFamilies(std::string prefix) : prefix_(std::move(prefix)) {}

  void begin(prometheus::MetricType type, const std::string& name, std::string help);
  using Labels = std::vector<std::pair<std::string, std::string>>;
  // A value of the family begun last, with its labels.
  void add(std::uint64_t value, Labels labels = {});
  void add(std::uint64_t value, std::string label, std::string label_value);
  void counter(const std::string& name, std::string help, std::uint64_t value);
  void gauge(const std::string& name, std::string help, std::uint64_t value);
  [[nodiscard]] std::string text() const;

 private:
  std::string prefix_;
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace dig::service
