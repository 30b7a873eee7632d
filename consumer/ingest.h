// Ingest: a batch of events becomes records, once each.
//
// One transaction a batch: new keys become `pending` records, copies are counted and change nothing, events without structure go to
// `rejected_events` with every fault, the partitions' progress is recorded. Structure alone rejects; an unknown channel is recorded and
// parked. When Store() returns, the batch is durable and its offsets may be committed.
//
// Threads: one call at a time per object; several objects (and processes) may run at once, the unique dedupe hash decides. On a crash
// the batch isn't there or is there whole; it comes again and its copies are counted.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "metrics/ingest_probe.h"
#include "metrics/log.h"
#include "model/event.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/pool.h"
#include "providers/sender.h"

namespace outrider::consumer {

struct IngestOptions {
  std::chrono::hours dedupe_memory{24 * 30};  // older events are kept back: reason older_than_dedupe_memory
};

struct IngestCounts {
  std::size_t recorded = 0;
  std::size_t duplicates = 0;
  std::size_t conflicts = 0;
  std::size_t rejected = 0;
};

class Ingest final {
 public:
  Ingest(mysql::MysqlPool& pool, const providers::Sender& sender, IngestProbe& probe, Log& log, IngestOptions options);
  // kUnavailable, kUnknown: call again with the same batch (repeating is harmless).
  Result<IngestCounts> Store(std::span<const Event> events);

 private:
  mysql::MysqlPool& pool_;
  const providers::Sender& sender_;
  IngestProbe& probe_;
  Log& log_;
  IngestOptions options_;
};

}  // namespace outrider::consumer
