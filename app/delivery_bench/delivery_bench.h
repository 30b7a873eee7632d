// MeasureDelivery: measures delivery over a real database, a real Kafka and a fake IM server, beside the floor of the
// same run.
//
// Works on a database and topics of its own (DeliveryGround), put away at its end whatever happens but a kill. Threads:
// the caller's, and those of what it measures; replicas are processes.
#pragma once

#include <functional>
#include <string_view>

#include "app/delivery_bench/options.h"
#include "app/delivery_bench/report.h"
#include "model/result.h"

namespace outrider::app {

// `say` gets a line for each step. kInvalid: it won't be measured here, and why; kUnavailable: something went away, or
// it was told to stop.
Result<DeliveryBenchReport> MeasureDelivery(const DeliveryBenchOptions& options,
                                            const std::function<void(std::string_view)>& say);

}  // namespace outrider::app
