#include <algorithm>

#include "app/bench_report/medians.h"
#include "app/relay_bench/report.h"

namespace outrider::app {
namespace {

// Set for two cores and 400 bytes, before the first line of the relay was written.
constexpr double kOfFloor = 0.75;
constexpr double kCpuSeconds = 0.6;
constexpr double kPeakRssMib = 48;
constexpr double kRssGrowthMib = 4;
constexpr double kOfFreeRate = 0.5;
constexpr double kOfFirstQuarter = 0.75;
constexpr double kIdlePercent = 1;
constexpr std::size_t kFewRows = 50'000;  // a drain of fewer is mostly its start
struct LatencyBar {
  int rate;
  double LatencyFigures::*figure;
  const char* name;
  double ms;
};
constexpr LatencyBar kLatencies[] = {{200, &LatencyFigures::p50_ms, "p50 at 200 rows/s", 5},
                                     {200, &LatencyFigures::p99_ms, "p99 at 200 rows/s", 15},
                                     {5'000, &LatencyFigures::p99_ms, "p99 at 5000 rows/s", 40},
                                     {0, &LatencyFigures::p50_ms, "p50 after idleness", 30},
                                     {0, &LatencyFigures::p99_ms, "p99 after idleness", 60}};

const DrainFigures* Find(const RelayBenchReport& report, DrainKind kind) {
  const auto found = std::find_if(report.medians.begin(), report.medians.end(),
                                  [&](const DrainFigures& drain) { return drain.kind == kind; });
  return found == report.medians.end() ? nullptr : &*found;
}

}  // namespace

void AddMedians(RelayBenchReport& report) {
  report.medians.clear();
  for (const auto& runs : Kinds(report.drains, [](const DrainFigures&one, const DrainFigures&other) {
         return one.sources == other.sources && one.kind == other.kind;
       })) {
    report.medians.push_back(Median(runs, &DrainFigures::seconds, &DrainFigures::rows_per_second,
                                    &DrainFigures::to_one_source, &DrainFigures::cpu_seconds_per_100k,
                                    &DrainFigures::sql_floor_seconds, &DrainFigures::producer_floor_seconds,
                                    &DrainFigures::of_floor, &DrainFigures::peak_rss_mib, &DrainFigures::load));
  }
  report.latencies.clear();
  for (const auto& runs : Kinds(report.latency_runs, [](const LatencyFigures&one, const LatencyFigures&other) {
         return one.rate == other.rate;
       })) {
    report.latencies.push_back(Median(runs, &LatencyFigures::rows, &LatencyFigures::p50_ms, &LatencyFigures::p99_ms,
                                      &LatencyFigures::p999_ms, &LatencyFigures::max_ms, &LatencyFigures::cpu_percent,
                                      &LatencyFigures::load));
  }
}

std::vector<BarVerdict> JudgeBars(const RelayBenchReport& report) {
  std::vector<BarVerdict> bars;
  const auto at_least = [&](std::string what, double bar, std::string unit, double measured) {
    bars.push_back({std::move(what), true, bar, std::move(unit), measured});
  };
  const auto at_most = [&](std::string what, double bar, std::string unit, double measured) {
    bars.push_back({std::move(what), false, bar, std::move(unit), measured});
  };
  const DrainFigures* const free = report.rows < kFewRows ? nullptr : Find(report, DrainKind::kFree);
  if (free != nullptr) {
    at_least("drain, of the combined floor", kOfFloor * 100, "%", free->of_floor * 100);
    at_most("own CPU for 100 000 rows", kCpuSeconds, "s", free->cpu_seconds_per_100k);
  }
  if (const DrainFigures* const held = Find(report, DrainKind::kPurgeHeld); held != nullptr && free != nullptr) {
    at_least("drain with purge held back, of the free one", kOfFreeRate * 100, "%", held->to_one_source * 100);
  }
  for (const LatencyBar& bar : kLatencies) {
    for (const LatencyFigures& latency : report.latencies) {
      if (latency.rate == bar.rate) at_most(bar.name, bar.ms, "ms", latency.*bar.figure);
    }
  }
  if (free != nullptr) at_most("peak RSS over a drain", kPeakRssMib, "MiB", free->peak_rss_mib);
  if (report.waiting) {
    const WaitingFigures& waiting = *report.waiting;
    at_most("peak RSS over waiting rows", kPeakRssMib, "MiB", waiting.peak_rss_mib);
    at_most("RSS grown over waiting rows after a quarter of the time", kRssGrowthMib, "MiB", waiting.rss_growth_mib);
    at_least("rate over waiting rows, last quarter of the first", kOfFirstQuarter * 100, "%",
             waiting.last_quarter_rows_per_second / std::max(1.0, waiting.first_quarter_rows_per_second) * 100);
  }
  at_most("idle, of a core", kIdlePercent, "%", report.idle.cpu_percent);
  return bars;
}

}  // namespace outrider::app
