// The floor of reading: librdkafka with nothing around it. For benches only.
//
// Reads every partition from its beginning, without a group. Threads: the caller's. Nothing is kept.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "model/result.h"
#include "platform/kafka/options.h"

namespace outrider::kafka {

// From the first record to the last of so many. kUnavailable: they don't come.
Result<std::chrono::nanoseconds> TimeBareConsumer(const KafkaOptions& options, const std::string& topic, int partitions,
                                                  std::size_t records);

}  // namespace outrider::kafka
