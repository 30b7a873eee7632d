// QuotaProbe: how quotas are seen. Metric names: metrics/README.md. Thread-safe.
//
// Tenants are no labels: which of them it was stands in the log.
#pragma once

#include <cstddef>
#include <memory>

#include "metrics/registry.h"

namespace outrider {

class QuotaProbe final {
 public:
  explicit QuotaProbe(MetricsRegistry& registry);
  ~QuotaProbe();
  void Refused(std::size_t records);
  void Passed(int percent);  // a day's counter came to 80, 95 or 100 per cent of its quota

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider
