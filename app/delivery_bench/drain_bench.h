// DrainBench of delivery: how fast replicas send what waits, as events in the topic or as pending records in the table,
// beside the floor of the same repeat. Threads: the caller's, and the replicas' processes.
#pragma once

#include <functional>
#include <string_view>

#include "app/delivery_bench/bench_ground.h"
#include "app/delivery_bench/report.h"

namespace outrider::app {

class DeliveryDrainBench final {
 public:
  DeliveryDrainBench(const DeliveryBenchOptions& options, DeliveryGround& ground,
                     const std::function<void(std::string_view)>& say)
      : options_(options), ground_(ground), say_(say) {}

  // Into report.floor_runs and report.drain_runs. kUnavailable: it was told to stop, or something isn't sent.
  Result<void> Measure(DeliveryBenchReport& report, std::size_t run);

 private:
  Result<DeliveryDrain> Drain(bool from_topic, std::size_t replicas, std::size_t run, const DeliveryFloor& floor);

  const DeliveryBenchOptions& options_;
  DeliveryGround& ground_;
  const std::function<void(std::string_view)>& say_;
};

}  // namespace outrider::app
