// MeasureRelay: measures a relay over a real database and a real Kafka, beside the floor of the same run.
//
// Works on tables and topics of its own (BenchGround), put away at its end whatever happens but a kill. Threads: the
// caller's, and those of what it measures.
#pragma once

#include <functional>
#include <string_view>

#include "app/relay_bench/options.h"
#include "app/relay_bench/report.h"
#include "model/result.h"

namespace outrider::app {

// `say` gets a line for each step. kInvalid: it won't be measured here, and why; kUnavailable: something went away, or
// it was told to stop.
Result<RelayBenchReport> MeasureRelay(const RelayBenchOptions& options,
                                      const std::function<void(std::string_view)>& say);

}  // namespace outrider::app
