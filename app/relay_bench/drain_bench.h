// DrainBench: how fast relays empty their tables, beside the floor of the same repeat.
//
// The floor is what the machine can do at all: a table read and deleted with the relay's own statements, one after
// another, without Kafka; and a bare producer without a database. Both times are added, because they share the cores.
// Threads: the caller's, and those of what it measures.
#pragma once

#include <functional>
#include <string_view>

#include "app/relay_bench/bench_ground.h"
#include "app/relay_bench/report.h"

namespace outrider::app {

class DrainBench final {
 public:
  DrainBench(const RelayBenchOptions& options, BenchGround& ground, const std::function<void(std::string_view)>& say)
      : options_(options), ground_(ground), say_(say) {}

  // Into report.drains and report.waiting. kUnavailable when it was told to stop.
  Result<void> Measure(RelayBenchReport& report);

 private:
  struct Floor {
    double sql_seconds = 0;
    double producer_seconds = 0;
  };
  Result<Floor> MeasureFloor();
  Result<double> ReadAndDelete();
  Result<DrainFigures> Drain(std::size_t sources, const Floor& floor);
  Result<void> DrainFree(RelayBenchReport& report);
  Result<void> DrainWithPurgeHeld(RelayBenchReport& report);
  Result<void> DrainSideBySide(RelayBenchReport& report);
  Result<WaitingFigures> DrainWaiting();

  const RelayBenchOptions& options_;
  BenchGround& ground_;
  const std::function<void(std::string_view)>& say_;
};

}  // namespace outrider::app
