#include "metrics/retention_probe.h"

#include <prometheus/counter.h>

#include "metrics/registry_state.h"

namespace outrider {

struct RetentionProbe::State {
  explicit State(MetricsRegistry::State& registry)
      : bodies(Removed(registry, "body")),
        records(Removed(registry, "record")),
        rejected(Removed(registry, "rejected")) {}

  static prometheus::Counter& Removed(MetricsRegistry::State& registry, const char* what) {
    return registry.Counter("retention_removed_total", "What was removed because its time was over.", {{"what", what}});
  }

  prometheus::Counter& bodies;
  prometheus::Counter& records;
  prometheus::Counter& rejected;
};

RetentionProbe::RetentionProbe(MetricsRegistry& registry) : state_(std::make_unique<State>(registry.state())) {}
RetentionProbe::~RetentionProbe() = default;

void RetentionProbe::BodiesRemoved(std::size_t records) { state_->bodies.Increment(static_cast<double>(records)); }
void RetentionProbe::RecordsRemoved(std::size_t records) { state_->records.Increment(static_cast<double>(records)); }
void RetentionProbe::RejectedRemoved(std::size_t events) { state_->rejected.Increment(static_cast<double>(events)); }

}  // namespace outrider
