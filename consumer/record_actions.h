// RecordActions: what persons do to records: replay, discard, cancel. The status table decides what is legal.
//
// An action is a job of small batches, each one transaction: the records (by version, locked for that moment), what it
// means for their ordering keys, and its entries in the audit log. Each record is changed at most once by a job,
// because a job looks only at what stood still since before it began; a job that was interrupted goes on where it
// stopped. Replayed records are new: attempts, send key and doubt are forgotten (the audit log keeps the doubt).
//
// Threads: one a job; several jobs may run at once, and beside delivery. On a crash a batch is there whole or not at
// all.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "consumer/audit_log.h"
#include "consumer/ordering_store.h"
#include "consumer/record_filter.h"
#include "consumer/record_store.h"
#include "model/delivery_status.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/pool.h"

namespace outrider::consumer {

struct ActionJob {
  DeliveryEvent event = DeliveryEvent::kReplayed;  // or kDiscarded, kCancelled
  RecordFilter filter;
  std::string actor, reason;
  std::string id;          // unique
  Timestamp started_at{};  // the database's clock: what changed later is left alone
};

class RecordActions final {
 public:
  RecordActions(mysql::MysqlPool& pool, KeyPolicy blocks) : pool_(pool), blocks_(std::move(blocks)) {}
  RecordActions(const RecordActions&) = delete;
  RecordActions& operator=(const RecordActions&) = delete;

  // A job that begins now.
  Result<ActionJob> Begin(DeliveryEvent event, RecordFilter filter, std::string actor, std::string reason);
  // A job that was interrupted, and how many records it has changed. kNotFound: it has changed none.
  struct Resumed {
    ActionJob job;
    std::size_t done = 0;
  };
  Result<Resumed> Resume(const std::string& id);

  struct Preview {
    std::size_t records = 0;       // that the job will change
    std::size_t without_body = 0;  // of a replay: left alone, because there is nothing to send any more
    std::size_t expired = 0;       // of a replay: left alone
  };
  Result<Preview> Look(const ActionJob& job);

  // Changes at most `most` records, by id from `after_id`.
  struct Batch {
    std::size_t changed = 0;
    std::size_t too_late = 0;  // somebody else was first
    std::int64_t last_id = 0;  // the next batch begins behind it
    bool finished = false;     // nothing is left
  };
  Result<Batch> RunBatch(const ActionJob& job, std::int64_t after_id, std::size_t most);

 private:
  mysql::MysqlPool& pool_;
  const KeyPolicy blocks_;
  RecordStore store_;
  OrderingStore ordering_;
};

}  // namespace outrider::consumer
