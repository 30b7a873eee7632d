#include "app/delivery_bench/delivery_bench.h"

#include <fmt/format.h>

#include <thread>

#include "app/bench_report/usage.h"
#include "app/delivery_bench/bench_ground.h"
#include "app/delivery_bench/drain_bench.h"
#include "app/delivery_bench/latency_bench.h"
#include "app/delivery_bench/record_fill.h"

namespace outrider::app {
namespace {

using Say = std::function<void(std::string_view)>;

// The crowds come one on top of the other, and stay.
Result<void> MeasureCrowds(const DeliveryBenchOptions& options, DeliveryGround& ground, DeliveryLatencyBench& latency,
                           const Say& say, DeliveryBenchReport& report) {
  struct Step {
    Crowd crowd;
    const char* beside;
  };
  constexpr Step kSteps[] = {{Crowd::kDelayed, "delayed"},
                             {Crowd::kWaiting, "delayed, waiting"},
                             {Crowd::kDead, "delayed, waiting, dead channel"}};
  const auto topic = ground.MakeTopic();
  if (!topic) return std::unexpected(topic.error());
  const auto measure = [&](const std::string& beside) -> Result<void> {
    for (std::size_t run = 0; run < options.repeats; ++run) {
      if (auto done = latency.MeasureBeside(report, *topic, beside); !done) return done;
    }
    return {};
  };
  if (auto done = measure("nothing"); !done) return done;
  for (const Step& step : kSteps) {
    say(fmt::format("filling: {} {}", options.crowd, step.beside));
    if (auto done = FillCrowd(ground, options, *topic, step.crowd); !done) return done;
    if (auto done = measure(step.beside); !done) return done;
  }
  return {};
}

Result<void> MeasureInto(const DeliveryBenchOptions& options, DeliveryGround& ground, const Say& say,
                         DeliveryBenchReport& report) {
  say(fmt::format("filling: {} finished records", options.finished));
  if (auto done = FillFinished(ground, options, options.finished); !done) return done;
  DeliveryDrainBench drain(options, ground, say);
  DeliveryLatencyBench latency(options, ground, say);
  for (std::size_t run = 0; run < options.repeats; ++run) {
    if (!options.replicas.empty()) {
      if (auto done = drain.Measure(report, run); !done) return done;
    }
    for (const bool direct : {false, true}) {
      if (options.rates.empty()) continue;
      if (auto done = latency.Measure(report, direct); !done) return done;
    }
    if (!options.restart) continue;
    say("kill -9 and start");
    auto restart = latency.MeasureRestart();
    if (!restart) return std::unexpected(restart.error());
    report.restart_runs.push_back(*restart);
  }
  return options.crowd > 0 ? MeasureCrowds(options, ground, latency, say, report) : Result<void>{};
}

}  // namespace

Result<DeliveryBenchReport> MeasureDelivery(const DeliveryBenchOptions& options, const Say& say) {
  auto ground = DeliveryGround::Make(options);
  if (!ground) return std::unexpected(ground.error());
  DeliveryBenchReport report;
  report.database_version = (*ground)->connection().server_version();
  report.cores = std::thread::hardware_concurrency();
  report.load_before = Load();
  report.payload_bytes = options.payload_bytes;
  report.partitions = options.partitions;
  report.channels = options.channels;
  report.repeats = options.repeats;
  report.finished = options.finished;
  report.crowd = options.crowd;
  if (auto done = MeasureInto(options, **ground, say, report); !done) return std::unexpected(done.error());
  report.load_after = Load();
  AddMedians(report);
  return report;
}

}  // namespace outrider::app
