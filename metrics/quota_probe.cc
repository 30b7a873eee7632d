#include "metrics/quota_probe.h"

#include <prometheus/counter.h>

#include <map>
#include <string>

#include "metrics/registry_state.h"

namespace outrider {

struct QuotaProbe::State {
  explicit State(MetricsRegistry::State& registry)
      : refused(registry.Counter("quota_refused_total", "Records skipped because a day's quota was used up.")) {
    for (const int percent : {80, 95, 100}) {
      passed[percent] =
          &registry.Counter("quota_passed_total", "Days' counters that came to that share of their quota.",
                            {{"percent", std::to_string(percent)}});
    }
  }

  prometheus::Counter& refused;
  std::map<int, prometheus::Counter*> passed;
};

QuotaProbe::QuotaProbe(MetricsRegistry& registry) : state_(std::make_unique<State>(registry.state())) {}
QuotaProbe::~QuotaProbe() = default;

void QuotaProbe::Refused(std::size_t records) { state_->refused.Increment(static_cast<double>(records)); }
void QuotaProbe::Passed(int percent) {
  const auto found = state_->passed.find(percent);
  if (found != state_->passed.end()) found->second->Increment();
}

}  // namespace outrider
