// RetentionProbe: what retention removes. Metric names: metrics/README.md. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>

#include "metrics/registry.h"

namespace outrider {

class RetentionProbe final {
 public:
  explicit RetentionProbe(MetricsRegistry& registry);
  ~RetentionProbe();
  void BodiesRemoved(std::size_t records);
  void RecordsRemoved(std::size_t records);
  void RejectedRemoved(std::size_t events);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider
