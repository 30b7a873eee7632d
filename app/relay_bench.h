// RelayBench: measures a relay over a real database and a real Kafka, beside the floor measured in the same run.
//
// Works on a table of its own in the source's database (made and dropped here) and on the topic
// outbox.event.<aggregatetype>, which must exist. The floor is what the machine can do at all: the same read and delete
// statements without Kafka, and a bare producer without a database; the combined floor is both times added, because
// they share the cores. Threads: the caller's, and those of what it measures. A run that is killed leaves its table.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "platform/kafka/options.h"
#include "platform/mysql/connection.h"

namespace outrider::app {

struct RelayBenchOptions {
  mysql::MysqlOptions database;
  kafka::KafkaOptions kafka;
  std::string table = "outrider_bench";
  std::string aggregatetype = "outrider-bench";
  std::size_t rows = 200'000;  // of a drain
  std::size_t payload_bytes = 400;
  std::size_t keys = 1'000;
  std::size_t repeats = 1;                // drains, each with its floor; the report names the median
  bool hold_purge = false;                // a further drain while an open snapshot keeps delete-marked rows
  std::vector<int> rates{200, 1'000};     // rows per second
  std::chrono::seconds latency_time{10};  // for each rate
  std::size_t idle_samples = 10;          // single rows, each after idle_time
  std::chrono::seconds idle_time{3};
  std::size_t batch_rows = 0;  // 0: the relay's own
};

struct DrainFigures {
  double seconds = 0;
  double rows_per_second = 0;
  double cpu_seconds_per_100k = 0;  // of this process: relay and librdkafka's threads
  double sql_floor_seconds = 0;
  double producer_floor_seconds = 0;
  double peak_rss_mib = 0;
  double of_floor = 0;  // combined floor's time / the drain's
};

struct LatencyFigures {
  int rate = 0;  // 0: after idleness
  std::size_t rows = 0;
  double p50_ms = 0, p99_ms = 0, p999_ms = 0, max_ms = 0;  // insert's return to the consumer's poll
  double cpu_percent = 0;                                  // of one core; the bench's writer and consumer included
};

struct RelayBenchReport {
  std::size_t rows = 0;
  std::size_t payload_bytes = 0;
  std::string database_version;
  double load_before = 0, load_after = 0;  // 1 minute
  std::vector<DrainFigures> drains;        // in order; the last is with purge held back when held_purge
  DrainFigures median;                     // by rows_per_second, of the free ones
  bool held_purge = false;
  DrainFigures purge_held;
  std::vector<LatencyFigures> latencies;
  double idle_queries_per_second = 0;
  double idle_cpu_percent = 0;
  double peak_rss_mib = 0;  // of this process, over the drains
};

// `say` gets a line for each step.
Result<RelayBenchReport> MeasureRelay(const RelayBenchOptions& options,
                                      const std::function<void(std::string_view)>& say);

std::string RelayBenchTable(const RelayBenchReport& report);
std::string RelayBenchJson(const RelayBenchReport& report);

}  // namespace outrider::app
