// IngestProbe: how the way from the log to the record table is seen. Metric names: metrics/README.md. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>

#include "metrics/registry.h"

namespace outrider {

class IngestProbe final {
 public:
  explicit IngestProbe(MetricsRegistry& registry);
  ~IngestProbe();
  void Recorded(std::size_t events);
  void Duplicates(std::size_t events);  // same key and content, or the same event again
  void Conflicts(std::size_t events);   // same key, other event, other content
  void Rejected(std::size_t events);
  void UnknownFields(std::size_t fields);
  void OffsetsSkipped(
      std::size_t offsets);               // between what was read before and what came: lost by the log, or no events
  void Assigned(std::size_t partitions);  // now
  void Rebalanced();
  void StoreFailed();  // a batch will be tried again

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider
