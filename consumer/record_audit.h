// RecordAudit: what ingest and the records say of themselves, for `outrider verify`. Reads only; several scans of the
// records, so not for a tight loop. Threads: the connection's.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

struct ShardAudit {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t next_offset = 0;  // everything below is recorded or rejected
  std::uint64_t recorded = 0, duplicates = 0, conflicting = 0, rejected = 0;  // events, as ingest counted them
  std::uint64_t records = 0;                                                  // rows that are there
  std::uint64_t removed = 0;                                                  // by retention
};

struct RecordAudit {
  std::vector<ShardAudit> shards;
  std::uint64_t under_way = 0;             // pending, sending, failed
  std::uint64_t parked = 0;                // of those: waiting for a channel, a key or a template
  std::uint64_t stuck = 0;                 // sending although the lease ended longer than the patience ago
  std::uint64_t overdue = 0;               // due for longer than the patience and not claimed
  std::uint64_t uncertain = 0;             // may have been delivered twice, or once without an answer
  std::uint64_t without_reason = 0;        // dead or skipped and no reason
  std::uint64_t sent_without_time = 0;     // sent and no sent_at
  std::uint64_t ended_but_due = 0;         // ended and still with a due time
  std::uint64_t spent_beyond_made = 0;     // more attempts spent than made
  std::uint64_t attempts_beyond = 0;       // attempt rows with a higher number than the record has made
  std::uint64_t private_bodies_left = 0;   // private, ended, and the request or recipient is still there
  std::uint64_t private_bodies_clear = 0;  // private, and the request isn't sealed
};

// `patience`: what a busy installation may be late.
Result<RecordAudit> AuditRecords(mysql::MysqlConnection& connection, std::chrono::seconds patience);

}  // namespace outrider::consumer
