#include "consumer/schema.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "platform/mysql/needed_tables.h"
#include "record_migrations.embedded.h"

namespace outrider::consumer {
namespace {

const std::vector<mysql::NeededTable>& NeededTables() {
  static const std::vector<mysql::NeededTable> kTables = {
      {"notification_records",
       {"id",
        "dedupe_hash",
        "tenant",
        "channel",
        "dedupe_key",
        "event_id",
        "content_hash",
        "status",
        "reason",
        "version",
        "shard",
        "due_at",
        "parked_by",
        "priority",
        "ordering_hash",
        "lease_owner",
        "attempt_no",
        "attempts_spent",
        "max_attempts",
        "uncertain",
        "send_key",
        "send_key_first_used_at",
        "form_no",
        "held_since",
        "expires_at",
        "private",
        "recipient",
        "request",
        "sealed_by",
        "counted_in_quota",
        "keep_stage",
        "kept_since",
        "metadata",
        "traceparent",
        "tracestate",
        "provider",
        "last_error",
        "provider_message_id",
        "provider_log_id",
        "source_topic",
        "source_partition",
        "source_offset",
        "source_key",
        "committed_at",
        "created_at",
        "updated_at",
        "sent_at"}},
      {"notification_attempts",
       {"record_id", "attempt_no", "started_at", "duration_us", "worker", "provider", "verdict", "reason",
        "http_status", "provider_code", "provider_log_id", "detail", "answer"}},
      {"consumer_shards",
       {"shard", "topic", "partition_no", "owner", "epoch", "lease_until", "next_offset", "events_recorded",
        "events_duplicate", "events_conflicting", "events_rejected", "offsets_skipped", "updated_at"}},
      {"rejected_events",
       {"id", "topic", "partition_no", "offset_no", "event_hash", "event_key", "value", "headers", "reason", "faults",
        "sealed_by", "created_at"}},
      {"ordering_flights", {"ordering_hash", "record_id"}},
      {"ordering_blocks", {"record_id", "ordering_hash", "channel", "blocked_at"}},
      {"delivery_pauses", {"kind", "name", "paused_at", "actor", "reason"}},
      {"audit_log", {"id", "acted_at", "actor", "action", "target", "records", "reason", "job", "detail"}},
      {"audit_records", {"record_id", "audit_id", "was_status", "was_reason", "was_uncertain"}},
      {"rejected_replays", {"rejected_id", "audit_id", "event_id"}},
      {"rate_leases",
       {"limit_key", "kind", "name", "version", "written_by", "shares", "closed_until", "booked_until", "ends_at"}},
      {"record_removals", {"shard", "records", "updated_at"}},
      {"quota_counters", {"day", "tenant", "kind", "name", "used", "updated_at"}}};
  return kTables;
}

}  // namespace

std::vector<mysql::Migration> RecordMigrations() {
  std::vector<mysql::Migration> migrations;
  for (const embedded::File& file : embedded::record_migrations()) {
    mysql::Migration migration;
    std::from_chars(file.name.data(), file.name.data() + file.name.size(), migration.number);
    migration.name = file.name.substr(0, file.name.rfind('.'));
    migration.sql = file.text;
    migration.hash_text = file.text;
    migrations.push_back(std::move(migration));
  }
  return migrations;
}

Result<std::vector<std::string>> MissingTables(mysql::MysqlConnection& connection) {
  return mysql::MissingTables(connection, NeededTables());
}

}  // namespace outrider::consumer
