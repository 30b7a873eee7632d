// Rows of notification_records made by the thousand with INSERT ... SELECT: what a long life, a backlog or a crowd
// leaves in the table. Each call commits as it goes; kUnavailable: told to stop, or the database's own error.
#pragma once

#include <cstddef>
#include <string_view>

#include "app/delivery_bench/bench_ground.h"

namespace outrider::app {

// Sent, without their requests; keys spread evenly over the whole range of hashes, so that new ones fall between them.
Result<void> FillFinished(DeliveryGround& ground, const DeliveryBenchOptions& options, std::size_t rows);
// Pending and due, over the bench's channels and the topic's shards. Keys begin with `prefix`.
Result<void> FillPending(DeliveryGround& ground, const DeliveryBenchOptions& options,
                         const DeliveryGround::Topic& topic, std::size_t rows, std::string_view prefix);
enum class Crowd { kDelayed, kWaiting, kDead };
// Delayed: over the bench's channels, due in an hour. Waiting: all due, for a bot that takes five a second. Dead: all
// due, half for a bot that refuses connections, half for one that never answers.
Result<void> FillCrowd(DeliveryGround& ground, const DeliveryBenchOptions& options, const DeliveryGround::Topic& topic,
                       Crowd crowd);

}  // namespace outrider::app
