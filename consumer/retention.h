// Retention: removes what isn't to be kept any longer, a little at a time.
//
// Bodies of finished records after a time for each status; the record itself, with its attempts, only once every copy
// of its event is older than the dedupe memory (and an hour), so that ingest keeps it back; counted for `verify` in the
// same transaction; rejected events after theirs, and not before the memory ends; quotas' counters of days gone by. A
// dead record that holds its ordering key stays. Every process may do it at once: who comes second takes other rows.
// What is kept costs nothing: an index leads to what is to go, and a batch looks at no more rows than its size.
//
// Threads: one. On a crash a batch is gone whole or not at all, and the next turn goes on.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "metrics/log.h"
#include "metrics/retention_probe.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/pool.h"

namespace outrider::consumer {

struct RetentionOptions {
  using Days = std::chrono::days;
  std::chrono::milliseconds sent = Days{7};  // bodies of sent records; so the next two
  std::chrono::milliseconds skipped = Days{7};
  std::chrono::milliseconds dead = Days{90};
  std::chrono::milliseconds rejected = Days{90};  // rejected events, whole; at least the memory
  std::chrono::hours dedupe_memory = Days{30};    // records, once their body is gone
  std::size_t batch = 500;
  std::chrono::milliseconds idle = std::chrono::seconds{10};  // between turns that found little
};

class Retention final {
 public:
  Retention(RetentionOptions options, mysql::MysqlPool& pool, RetentionProbe& probe, Log& log);
  Retention(const Retention&) = delete;
  Retention& operator=(const Retention&) = delete;

  struct Round {
    std::size_t bodies = 0;
    std::size_t records = 0;
    std::size_t rejected = 0;
    std::size_t counters = 0;
    bool more = false;  // a batch was full
  };
  // At most one batch of each kind. After an error those before it are done.
  Result<Round> RunOnce();
  // Until stopped; rests at least as long as it worked.
  void Run(const std::stop_token& stop);

 private:
  // Where a stage's next batch begins: behind the last one's end, so that what stays is passed once, not in each batch.
  struct Place {
    Timestamp since;
    std::int64_t id = 0;
  };
  using Work = std::function<Result<std::size_t>(mysql::MysqlConnection&)>;
  // In a transaction of its own; how many rows went.
  Result<std::size_t> InBatch(const Work& remove);
  // One batch of that stage: bodies of those that have one, else the whole.
  Result<void> RemoveFinished(int stage, std::chrono::milliseconds kept, Round& round);
  Result<std::size_t> RemoveRejected(std::chrono::milliseconds kept);
  void Say(const Result<Round>& round);

  const RetentionOptions options_;
  mysql::MysqlPool& pool_;
  RetentionProbe& probe_;
  Log& log_;
  std::array<Place, 6> places_;  // by stage
  std::string complaint_;
};

}  // namespace outrider::consumer
