#include "app/relay_bench/relay_bench.h"

#include <thread>

#include "app/bench_report/usage.h"
#include "app/relay_bench/bench_ground.h"
#include "app/relay_bench/drain_bench.h"
#include "app/relay_bench/latency_bench.h"

namespace outrider::app {

Result<RelayBenchReport> MeasureRelay(const RelayBenchOptions& options,
                                      const std::function<void(std::string_view)>& say) {
  RelayBenchReport report;
  report.cores = std::thread::hardware_concurrency();
  report.load_before = Load();
  report.rows = options.rows;
  report.payload_bytes = options.payload_bytes;
  report.repeats = options.repeats;
  report.partitions = options.partitions;
  auto ground = BenchGround::Make(options);
  if (!ground) return std::unexpected(ground.error());
  report.database_version = (*ground)->connection().server_version();
  if (auto done = DrainBench(options, **ground, say).Measure(report); !done) return std::unexpected(done.error());
  if (auto done = LatencyBench(options, **ground, say).Measure(report); !done) return std::unexpected(done.error());
  report.load_after = Load();
  AddMedians(report);
  return report;
}

}  // namespace outrider::app
