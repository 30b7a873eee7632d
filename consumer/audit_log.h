// AuditLog: who did what to which records, written in the transaction that does it. Appends only; on a crash an entry
// is there exactly when what it tells of is. Thread-safe: the connection is the caller's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "consumer/record.h"
#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

struct AuditEntry {
  std::string actor;   // "mei@ops-1"
  std::string action;  // replay, discard, cancel, pause, resume, replay_rejected, reopen
  std::string target;  // in words
  std::string reason;  // the person's own
  std::string job;     // of an action in batches; empty: none
  std::string detail = "{}";
};

class AuditLog final {
 public:
  // Gives the entry's id. REQUIRES: an open transaction.
  static Result<std::int64_t> Add(mysql::MysqlConnection& connection, const AuditEntry& entry, std::size_t records);
  // Which records it was, as they were before. REQUIRES: the same transaction.
  static Result<void> AddRecords(mysql::MysqlConnection& connection, std::int64_t entry,
                                 std::span<const Record> records);
};

}  // namespace outrider::consumer
