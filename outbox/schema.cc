#include "outbox/schema.h"

#include <charconv>
#include <utility>

#include "outbox_migrations.embedded.h"
#include "platform/mysql/needed_tables.h"

namespace outrider::outbox {
namespace {

std::vector<mysql::NeededTable> NeededTables(std::string_view outbox) {
  return {{outbox,
           {"seq", "id", "aggregatetype", "aggregateid", "type", "payload", "traceparent", "tracestate", "created_at"}},
          {"outbox_leases", {"source", "owner", "epoch", "expires_at"}},
          {"outbox_replicas", {"source", "owner", "leads", "seen_at"}},
          {"outbox_ledger", {"source", "epoch", "topic", "partition_no", "highest_offset", "row_count", "created_at"}},
          {"outbox_dead",
           {"source", "seq", "event_id", "aggregatetype", "aggregateid", "type", "payload", "traceparent", "tracestate",
            "created_at", "reason", "detail", "holds_key"}},
          {"outbox_held_keys", {"source", "key_no", "aggregatetype", "aggregateid", "first_seq"}},
          {"outbox_held",
           {"id", "source", "key_no", "seq", "event_id", "aggregatetype", "aggregateid", "type", "payload",
            "traceparent", "tracestate", "created_at"}},
          {"outbox_audit",
           {"source", "actor", "action", "reason", "dead_id", "seq", "event_id", "aggregatetype", "aggregateid",
            "dead_reason", "dead_since"}}};
}

std::string ReplaceAll(std::string_view text, std::string_view what, std::string_view with) {
  std::string replaced;
  while (true) {
    const std::size_t at = text.find(what);
    replaced += text.substr(0, at);
    if (at == std::string_view::npos) return replaced;
    replaced += with;
    text.remove_prefix(at + what.size());
  }
}

}  // namespace

std::vector<mysql::Migration> OutboxMigrations(std::string_view table) {
  std::vector<mysql::Migration> migrations;
  for (const embedded::File& file : embedded::outbox_migrations()) {
    mysql::Migration migration;
    std::from_chars(file.name.data(), file.name.data() + file.name.size(), migration.number);
    migration.name = file.name.substr(0, file.name.rfind('.'));
    migration.sql = ReplaceAll(file.text, "{{outbox}}", mysql::QuoteIdentifier(table));
    migration.hash_text = file.text;
    migrations.push_back(std::move(migration));
  }
  return migrations;
}

std::string OutboxMigrationSet(std::string_view table) { return std::string(table); }

Result<std::vector<std::string>> MissingTables(mysql::MysqlConnection& connection, std::string_view table) {
  return mysql::MissingTables(connection, NeededTables(table));
}

}  // namespace outrider::outbox
