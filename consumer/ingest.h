// Ingest: a batch of events becomes records, once each.
//
// One transaction a batch: new keys become records, `pending` or claimed already (FreshClaims); copies are counted and
// change nothing; events without structure go to `rejected_events` with every fault; the partitions' progress is
// recorded. Structure alone rejects; an unknown channel is recorded and parked. What the server refuses to store for
// its contents is found by halving the batch, and rejected. When Store() returns, the batch is durable and its offsets
// may be committed.
//
// Threads: one call at a time per object; several objects (and processes) may run at once, the unique dedupe hash
// decides. On a crash the batch isn't there or is there whole; it comes again and changes nothing, counters included.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "metrics/ingest_probe.h"
#include "metrics/log.h"
#include "model/event.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/crypto/sealer.h"
#include "platform/mysql/pool.h"
#include "providers/sender.h"

namespace outrider::consumer {

class FreshClaims;

struct IngestOptions {
  std::chrono::hours dedupe_memory{24 *
                                   30};  // older events of unknown keys are kept back: reason older_than_dedupe_memory
  // Seals private requests and what is rejected; it outlives the Ingest. Without a key private requests are rejected
  // (no_sealing_key) and their bytes not kept, and other rejected bytes are kept in clear.
  const crypto::Sealer* sealer = nullptr;
  FreshClaims* claims = nullptr;  // claims what may leave at once; none: all is left to a scan. It outlives the Ingest
};

// Every event of a batch is in exactly one of these.
struct IngestCounts {
  std::size_t recorded = 0;
  std::size_t duplicates = 0;  // the key is known: the same event id, or the same content
  std::size_t conflicts = 0;   // the key is known with another event id and another content
  std::size_t rejected = 0;
  std::size_t repeated = 0;  // read again at a position that was durable before: counted then, and in no metric now
  std::set<std::string> waiting;  // channels that the scan will find something new in
};

class Ingest final {
 public:
  Ingest(mysql::MysqlPool& pool, const providers::Sender& sender, IngestProbe& probe, Log& log, IngestOptions options);
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  // REQUIRES: events of one Kafka partition in the order of their offsets. kUnavailable, kUnknown: call again with the
  // same batch (repeating is harmless; after a commit whose answer was lost the repetition gives that commit's counts).
  // kInvalid: the tables or this account's rights are at fault; the same call may succeed once that is mended.
  Result<IngestCounts> Store(std::span<const Event> events);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::consumer
