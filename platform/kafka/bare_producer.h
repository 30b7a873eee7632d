// The floor of publishing: librdkafka with nothing around it. For benches only.
//
// One idempotent producer (acks=all, linger 5 ms, librdkafka's own number of requests in flight), no headers, one value
// for all records, reports only counted. Threads: the caller's. Nothing is kept.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "model/result.h"
#include "platform/kafka/options.h"

namespace outrider::kafka {

// From the first record to the last acknowledgement; the producer is connected before. kUnavailable: not all of them
// were acknowledged.
Result<std::chrono::nanoseconds> TimeBareProducer(const KafkaOptions& options, const std::string& topic,
                                                  std::size_t records, std::size_t value_bytes, std::size_t keys);

}  // namespace outrider::kafka
