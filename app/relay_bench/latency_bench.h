// LatencyBench: how long a committed row takes to a consumer's poll, at even rates and after idleness, and what a relay
// costs that has nothing to do.
//
// One relay, one consumer of a group of its own, writers that commit each row by itself; all in this process. Threads:
// the caller's, and those of what it measures.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

#include "app/relay_bench/bench_ground.h"
#include "app/relay_bench/report.h"

namespace outrider::app {

class Arrivals;

class LatencyBench final {
 public:
  LatencyBench(const RelayBenchOptions& options, BenchGround& ground, const std::function<void(std::string_view)>& say);

  // Into report.latency_runs and report.idle. kUnavailable when it was told to stop, or rows don't arrive.
  Result<void> Measure(RelayBenchReport& report);

 private:
  Result<void> MeasureLatencies(RelayBenchReport& report);
  Result<LatencyFigures> Pace(Arrivals& arrivals, int rate, std::chrono::milliseconds time);
  Result<LatencyFigures> AfterIdleness(Arrivals& arrivals);
  Result<IdleFigures> Idle();
  Result<void> InsertOne(mysql::MysqlConnection& connection, Arrivals& arrivals);
  Result<void> AwaitArrivals(const Arrivals& arrivals, std::size_t rows);
  Result<double> Queries();

  const RelayBenchOptions& options_;
  BenchGround& ground_;
  const std::function<void(std::string_view)>& say_;
  const std::string insert_;
  const std::string payload_;
  std::atomic<std::uint64_t> next_key_;
};

}  // namespace outrider::app
