// RunningRelays: as many relays as there are sources, each with its producer, at work in this process and seen through
// their own metrics. Starts them; stops them and waits for that at its end. Threads: any for deleted(); one owner.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "app/relay_bench/bench_ground.h"
#include "app/relay_bench/options.h"
#include "model/result.h"

namespace outrider::app {

class RunningRelays final {
 public:
  // Of the ground's first `sources`. kUnavailable, kInvalid: as the producer says.
  static Result<std::unique_ptr<RunningRelays>> Start(const RelayBenchOptions& options, const BenchGround& ground,
                                                      std::size_t sources);
  ~RunningRelays();

  std::size_t deleted() const;  // rows, since the start
  std::string words() const;    // what they do, or what keeps them from it
  // kUnavailable: told to stop, or a long time has passed.
  Result<void> AwaitDeleted(std::size_t rows) const;

 private:
  class OneRelay;
  explicit RunningRelays(const RelayBenchOptions& options);
  const RelayBenchOptions& options_;
  std::vector<std::unique_ptr<OneRelay>> relays_;
};

// False when it was told to stop.
bool SleepUnlessStopped(const std::stop_token& stop, std::chrono::milliseconds time);

}  // namespace outrider::app
