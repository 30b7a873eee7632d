// The floor of delivery: what this machine does at all with the same rows, measured part by part.
//
// SQL: the same rows in the same tables beside the same others, by one connection, in the product's batch sizes, each
// batch in a transaction of its own. HTTP: a bare curl multi handle on 64 connections against the same server. Kafka:
// a bare consumer that reads the same events. The times are added, because all of it shares the cores. Threads: the
// caller's.
#pragma once

#include "app/delivery_bench/bench_ground.h"
#include "app/delivery_bench/report.h"

namespace outrider::app {

Result<DeliveryFloor> MeasureFloor(DeliveryGround& ground, const DeliveryBenchOptions& options, std::size_t run);

// Events of so many notifications, keys "<prefix><number>", as a relay would publish them.
Result<void> Publish(const DeliveryGround& ground, const DeliveryBenchOptions& options,
                     const DeliveryGround::Topic& topic, std::string_view prefix, std::size_t count);

}  // namespace outrider::app
