// Topics made and removed by hand: for programs that work on topics of their own.
//
// Each call opens a client and waits 15 s at most for an answer. Threads: the caller's. Nothing is kept. Errors:
// kUnavailable: no broker answers; kInvalid: the broker refuses (rights, name).
#pragma once

#include <string>

#include "model/result.h"
#include "platform/kafka/options.h"

namespace outrider::kafka {

// With the broker's own replication factor; returns when it is known to the brokers. False: it was there already.
Result<bool> CreateTopic(const KafkaOptions& options, const std::string& name, int partitions);
// With all that is in it. Nothing to do when it isn't there.
Result<void> DeleteTopic(const KafkaOptions& options, const std::string& name);

}  // namespace outrider::kafka
