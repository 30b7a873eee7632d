#include "consumer/record_audit.h"

namespace outrider::consumer {
namespace {

// consumer_shards is small. Before the records are counted: what ingest adds meanwhile makes them more, never fewer.
constexpr std::string_view kShards =
    "SELECT shard, topic, partition_no, next_offset, events_recorded, events_duplicate, events_conflicting, "
    "events_rejected "
    "FROM consumer_shards ORDER BY topic, partition_no";
// Index records_by_due (its first column).
constexpr std::string_view kRecordsOfShard = "SELECT COUNT(*) FROM notification_records WHERE shard = ?";
// Primary key. After the records are counted: what is removed meanwhile is counted twice, never missed.
constexpr std::string_view kRemovedOfShard = "SELECT records FROM record_removals WHERE shard = ?";
// One scan of the records.
constexpr std::string_view kFaults =
    "SELECT CAST(COALESCE(SUM(status IN ('pending', 'sending', 'failed')), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(parked_by IS NOT NULL AND status IN ('pending', 'failed')), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(status = 'sending' AND due_at < NOW(6) - INTERVAL ? SECOND), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(status IN ('pending', 'failed') AND due_at < NOW(6) - INTERVAL ? SECOND), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(uncertain), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(status IN ('dead', 'skipped') AND COALESCE(reason, '') = ''), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(status = 'sent' AND sent_at IS NULL), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(status IN ('sent', 'dead', 'skipped') AND due_at IS NOT NULL), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(attempts_spent > attempt_no), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(private AND status IN ('sent', 'dead', 'skipped') AND (request IS NOT NULL OR (recipient "
    "<> '' AND recipient NOT LIKE 'hmac:%'))), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(private AND request IS NOT NULL AND sealed_by IS NULL), 0) AS UNSIGNED) FROM "
    "notification_records";
// notification_attempts by its primary key, for each record's row by its own.
constexpr std::string_view kAttemptsBeyond =
    "SELECT COUNT(*) FROM notification_attempts a JOIN notification_records r ON r.id = a.record_id "
    "WHERE a.attempt_no > r.attempt_no";

}  // namespace

Result<RecordAudit> AuditRecords(mysql::MysqlConnection& connection, std::chrono::seconds patience) {
  RecordAudit audit;
  auto shards = connection.Execute(kShards);
  if (!shards) return std::unexpected(shards.error());
  for (const mysql::Row& row : shards->rows) {
    auto records = connection.Execute(kRecordsOfShard, {row.Int(0)});
    if (!records) return std::unexpected(records.error());
    auto removed = connection.Execute(kRemovedOfShard, {row.Int(0)});
    if (!removed) return std::unexpected(removed.error());
    audit.shards.push_back({row.Text(1), static_cast<std::int32_t>(row.Int(2)), row.Int(3), row.Unsigned(4),
                            row.Unsigned(5), row.Unsigned(6), row.Unsigned(7), records->rows.front().Unsigned(0),
                            removed->rows.empty() ? 0 : removed->rows.front().Unsigned(0)});
  }
  const std::int64_t late = patience.count();
  auto faults = connection.Execute(kFaults, {late, late});
  if (!faults) return std::unexpected(faults.error());
  const mysql::Row& row = faults->rows.front();
  audit.under_way = row.Unsigned(0);
  audit.parked = row.Unsigned(1);
  audit.stuck = row.Unsigned(2);
  audit.overdue = row.Unsigned(3);
  audit.uncertain = row.Unsigned(4);
  audit.without_reason = row.Unsigned(5);
  audit.sent_without_time = row.Unsigned(6);
  audit.ended_but_due = row.Unsigned(7);
  audit.spent_beyond_made = row.Unsigned(8);
  audit.private_bodies_left = row.Unsigned(9);
  audit.private_bodies_clear = row.Unsigned(10);
  auto beyond = connection.Execute(kAttemptsBeyond);
  if (!beyond) return std::unexpected(beyond.error());
  audit.attempts_beyond = beyond->rows.front().Unsigned(0);
  return audit;
}

}  // namespace outrider::consumer
