// RelayBenchReport: what a run of the bench measured, as values, as JSON with documented fields, and as a table for
// people. docs/bench.md tells the fields; a test compares. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "app/bench_report/bar_verdict.h"

namespace outrider::app {

enum class DrainKind {
  kFree,
  kPurgeHeld,   // an open snapshot keeps what was deleted
  kSideBySide,  // several sources in turn with one; last, because what they leave on the heap counts as memory
};

struct DrainFigures {
  DrainKind kind = DrainKind::kFree;
  std::size_t sources = 1;
  double seconds = 0;  // from the relays' start to the last row deleted
  double rows_per_second = 0;
  // This rate / that of one source: free, in the median; side by side, in the same repeat.
  double to_one_source = 0;
  double cpu_seconds_per_100k = 0;  // of this process
  double sql_floor_seconds = 0;
  double producer_floor_seconds = 0;
  double of_floor = 0;  // both floors' seconds / the drain's
  double peak_rss_mib = 0;
  double load = 0;
};

// A backlog that isn't drained to its end.
struct WaitingFigures {
  std::size_t rows = 0;
  double fill_seconds = 0;
  std::size_t drained = 0;
  double seconds = 0;
  double rows_per_second = 0;
  double first_quarter_rows_per_second = 0, last_quarter_rows_per_second = 0;  // of the time
  double peak_rss_mib = 0;
  double rss_growth_mib = 0;  // the most after the first quarter of the time, above what it was at that quarter's end
  double cpu_seconds_per_100k = 0;
  double load = 0;
};

struct LatencyFigures {
  int rate = 0;  // 0: single rows after idleness
  std::size_t rows = 0;
  double p50_ms = 0, p99_ms = 0, p999_ms = 0, max_ms = 0;  // from the insert's return to the consumer's poll
  double cpu_percent = 0;                                  // of one core; the bench's writers and consumer included
  double load = 0;
};

struct IdleFigures {
  double queries_per_second = 0;  // of the whole server
  double cpu_percent = 0;         // of one core, this process
};

struct RelayBenchReport {
  std::string database_version;
  unsigned cores = 0;
  double load_before = 0, load_after = 0;  // over a minute
  std::size_t rows = 0, payload_bytes = 0, repeats = 0;
  int partitions = 0;
  std::vector<DrainFigures> drains;   // each repeat
  std::vector<DrainFigures> medians;  // field by field, over the repeats
  std::optional<WaitingFigures> waiting;
  std::vector<LatencyFigures> latency_runs, latencies;  // the same
  IdleFigures idle;
};

// The medians of `drains` and `latency_runs`, in the order in which their kinds first come.
void AddMedians(RelayBenchReport& report);
// Only those for which something was measured.
std::vector<BarVerdict> JudgeBars(const RelayBenchReport& report);

std::string RelayBenchTable(const RelayBenchReport& report);
std::string RelayBenchJson(const RelayBenchReport& report);

}  // namespace outrider::app
