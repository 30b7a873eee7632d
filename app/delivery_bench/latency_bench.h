// DeliveryLatencyBench: how long a committed notification takes to its provider, at even rates; over Kafka or direct,
// with relay and consumer in one process; beside crowds that wait in the table; and across a kill -9.
//
// Writers commit each row by itself from this process. The provider's clock is this machine's. Threads: the caller's,
// and those of the writers; the replica is a process.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "app/delivery_bench/bench_ground.h"
#include "app/delivery_bench/replica.h"
#include "app/delivery_bench/report.h"

namespace outrider::app {

class DeliveryLatencyBench final {
 public:
  DeliveryLatencyBench(const DeliveryBenchOptions& options, DeliveryGround& ground,
                       const std::function<void(std::string_view)>& say)
      : options_(options), ground_(ground), say_(say) {}

  // Into report.latency_runs, one for each rate. kUnavailable: it was told to stop, or something isn't sent.
  Result<void> Measure(DeliveryBenchReport& report, bool direct);
  // The same at options.crowd_rate, over Kafka, beside what stands in the topic's shards.
  Result<void> MeasureBeside(DeliveryBenchReport& report, const DeliveryGround::Topic& topic,
                             const std::string& beside);
  Result<RestartFigures> MeasureRestart();

 private:
  Result<void> MeasureRates(DeliveryBenchReport& report, const DeliveryGround::Topic& topic, bool direct,
                            const std::vector<int>& rates, const std::string& beside);
  using Commits = std::map<std::string, Timestamp>;
  Result<Commits> Write(const std::string& aggregatetype, int rate, std::size_t count);
  Result<std::vector<FakeBots::Taken>> Await(const Commits& commits, std::size_t skip, std::size_t but_for);
  Result<DeliveryLatency> Pace(Replica& replica, const std::string& aggregatetype, int rate);

  const DeliveryBenchOptions& options_;
  DeliveryGround& ground_;
  const std::function<void(std::string_view)>& say_;
  std::size_t next_ = 0;
};

}  // namespace outrider::app
