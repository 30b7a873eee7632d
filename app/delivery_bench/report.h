// DeliveryBenchReport: what a run of the bench measured, as values, as JSON with documented fields, and as a table for
// people. docs/bench.md tells the fields; a test compares. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "app/bench_report/bar_verdict.h"

namespace outrider::app {

// What the machine does at all with the same rows: bare SQL, bare HTTP, bare reading; one after another.
struct DeliveryFloor {
  std::size_t notifications = 0;
  double sql_insert_seconds = 0;
  double sql_claim_seconds = 0;
  double sql_settle_seconds = 0;  // attempts included
  double http_seconds = 0;
  double kafka_seconds = 0;
  double load = 0;
};

struct DeliveryDrain {
  std::string from;  // "topic": events; "table": records that are pending
  std::size_t replicas = 1;
  std::size_t notifications = 0;
  double start_seconds = 0;  // from the processes' start to the first sign of work
  double seconds = 0;        // from there to the last one sent
  double per_second = 0;
  double floor_seconds = 0;         // of the same number
  double of_floor = 0;              // the floor's seconds / the drain's
  double statements = 0;            // of the database, for each notification
  double cpu_seconds_per_100k = 0;  // of the replicas
  double peak_rss_mib = 0;          // of the largest replica
  double load = 0;
};

struct DeliveryLatency {
  std::string transport;  // "kafka", "direct"
  std::string beside;     // "nothing", or the crowd
  int rate = 0;
  std::size_t notifications = 0;
  double p50_ms = 0, p99_ms = 0, p999_ms = 0, max_ms = 0;  // from the commit's return to the provider
  double cpu_percent = 0;                                  // of one core, the replica
  double statements = 0;
  double peak_rss_mib = 0;
  double load = 0;
};

struct RestartFigures {
  double first_send_seconds = 0;  // from the kill and the start of the next process to its first send
  double caught_up_seconds = 0;   // to the last of what was committed meanwhile
  std::size_t in_flight = 0;      // sending at the kill: they wait for the end of their leases
  std::size_t twice = 0;          // taken twice by the provider
  double load = 0;
};

struct DeliveryBenchReport {
  std::string database_version;
  unsigned cores = 0;
  double load_before = 0, load_after = 0;  // over a minute
  std::size_t payload_bytes = 0, repeats = 0, finished = 0, crowd = 0, channels = 0;
  int partitions = 0;
  std::vector<DeliveryFloor> floor_runs;
  std::optional<DeliveryFloor> floor;  // the median of each part
  std::vector<DeliveryDrain> drain_runs, drains;
  std::vector<DeliveryLatency> latency_runs, latencies;
  std::vector<RestartFigures> restart_runs;
  std::optional<RestartFigures> restart;
};

double Seconds(const DeliveryFloor& floor, bool from_topic);

// The medians, in the order in which their kinds first come.
void AddMedians(DeliveryBenchReport& report);
// Only those for which something was measured.
std::vector<BarVerdict> JudgeBars(const DeliveryBenchReport& report);

std::string DeliveryBenchTable(const DeliveryBenchReport& report);
std::string DeliveryBenchJson(const DeliveryBenchReport& report);

}  // namespace outrider::app
