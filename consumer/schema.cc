#include "consumer/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "record_migrations.embedded.h"

namespace outrider::consumer {
namespace {

// Served by the data dictionary.
constexpr std::string_view kColumns =
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN "
    "('notification_records', 'notification_attempts', 'consumer_shards', 'rejected_events')";

struct NeededTable {
  std::string_view name;
  std::vector<std::string_view> columns;
};

const std::vector<NeededTable>& NeededTables() {
  static const std::vector<NeededTable> kTables = {
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
        "held_since",
        "expires_at",
        "private",
        "recipient",
        "request",
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
        "created_at"}}};
  return kTables;
}

// MySQL 8 gives the dictionary's column names in capitals, and some servers keep table names in lower case.
std::string Lower(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return lower;
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
  auto rows = connection.Execute(kColumns);
  if (!rows) return std::unexpected(rows.error());
  std::map<std::string, std::set<std::string>> present;
  for (const mysql::Row& row : rows->rows) present[Lower(row.Text(0))].insert(Lower(row.Text(1)));

  std::vector<std::string> faults;
  std::string absent;
  for (const NeededTable& needed : NeededTables()) {
    const auto found = present.find(std::string(needed.name));
    if (found == present.end()) {
      absent += fmt::format("{}{}", absent.empty() ? "" : ", ", needed.name);
      continue;
    }
    std::string columns;
    for (const std::string_view column : needed.columns) {
      if (found->second.contains(std::string(column))) continue;
      columns += fmt::format("{}{}", columns.empty() ? "" : ", ", column);
    }
    if (columns.empty()) continue;
    faults.push_back(
        fmt::format("table {} lacks the column(s) {}: compare it with the output of `outrider migrate sql`; `outrider "
                    "migrate up` creates missing tables but doesn't alter one that is there",
                    needed.name, columns));
  }
  if (!absent.empty()) {
    faults.insert(
        faults.begin(),
        fmt::format("missing, or closed to this account: {}; create what is missing with `outrider migrate up`, "
                    "or give a DBA the output of `outrider migrate sql`",
                    absent));
  }
  return faults;
}

}  // namespace outrider::consumer
