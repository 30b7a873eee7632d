#include "metrics/ingest_probe.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "metrics/registry_state.h"

namespace outrider {

struct IngestProbe::State {
  explicit State(MetricsRegistry::State& registry)
      : recorded(Records(registry, "new")),
        duplicates(Records(registry, "duplicate")),
        conflicts(Records(registry, "conflict")),
        rejected(Records(registry, "invalid")),
        unknown_fields(registry.Counter("consumer_unknown_fields_total",
                                        "Fields of requests that this version doesn't know; kept and ignored.")),
        offsets_skipped(registry.Counter("ingest_offsets_skipped_total",
                                         "Offsets that were never read, because the log had lost them.")),
        assigned(registry.Gauge("assigned_partitions", "Kafka partitions this process owns now.")),
        rebalances(registry.Counter("rebalances_total", "Changes of the partitions this process owns.")),
        store_failures(registry.Counter("ingest_store_failures_total",
                                        "Batches that could not be stored and will be tried again.")) {}

  static prometheus::Counter& Records(MetricsRegistry::State& registry, const std::string& result) {
    return registry.Counter("consumer_records_total", "Events taken from the log, by what became of them.",
                            {{"result", result}});
  }

  prometheus::Counter& recorded;
  prometheus::Counter& duplicates;
  prometheus::Counter& conflicts;
  prometheus::Counter& rejected;
  prometheus::Counter& unknown_fields;
  prometheus::Counter& offsets_skipped;
  prometheus::Gauge& assigned;
  prometheus::Counter& rebalances;
  prometheus::Counter& store_failures;
};

IngestProbe::IngestProbe(MetricsRegistry& registry) : state_(std::make_unique<State>(registry.state())) {}
IngestProbe::~IngestProbe() = default;

void IngestProbe::Recorded(std::size_t events) { state_->recorded.Increment(static_cast<double>(events)); }
void IngestProbe::Duplicates(std::size_t events) { state_->duplicates.Increment(static_cast<double>(events)); }
void IngestProbe::Conflicts(std::size_t events) { state_->conflicts.Increment(static_cast<double>(events)); }
void IngestProbe::Rejected(std::size_t events) { state_->rejected.Increment(static_cast<double>(events)); }
void IngestProbe::UnknownFields(std::size_t fields) { state_->unknown_fields.Increment(static_cast<double>(fields)); }
void IngestProbe::OffsetsSkipped(std::size_t offsets) {
  state_->offsets_skipped.Increment(static_cast<double>(offsets));
}
void IngestProbe::Assigned(std::size_t partitions) { state_->assigned.Set(static_cast<double>(partitions)); }
void IngestProbe::Rebalanced() { state_->rebalances.Increment(); }
void IngestProbe::StoreFailed() { state_->store_failures.Increment(); }

}  // namespace outrider
