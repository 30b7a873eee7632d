#include "outbox/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <utility>

#include "outbox_migrations.embedded.h"

namespace outrider::outbox {
namespace {

// Served by the data dictionary.
constexpr std::string_view kColumns =
    "SELECT table_name, column_name FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND table_name IN (?, 'outbox_leases', 'outbox_replicas', 'outbox_ledger', "
    "'outbox_dead')";

struct NeededTable {
  std::string name;
  std::vector<std::string_view> columns;
};

std::vector<NeededTable> NeededTables(std::string_view outbox) {
  return {{std::string(outbox),
           {"seq", "id", "aggregatetype", "aggregateid", "type", "payload", "traceparent", "tracestate", "created_at"}},
          {"outbox_leases", {"source", "owner", "epoch", "expires_at"}},
          {"outbox_replicas", {"source", "owner", "leads", "seen_at"}},
          {"outbox_ledger", {"source", "epoch", "topic", "partition_no", "highest_offset", "row_count", "created_at"}},
          {"outbox_dead",
           {"source", "seq", "event_id", "aggregatetype", "aggregateid", "type", "payload", "traceparent", "tracestate",
            "created_at", "reason", "detail"}}};
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

std::string Lower(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return lower;
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
  auto rows = connection.Execute(kColumns, {table});
  if (!rows) return std::unexpected(rows.error());
  // Servers with lower_case_table_names keep names in lower case; whether that is so decides the server, not this.
  std::map<std::string, std::set<std::string>> present;
  for (const mysql::Row& row : rows->rows) {
    present[Lower(row.Text(0))].insert(Lower(row.Text(1)));
  }
  std::vector<std::string> faults;
  for (const NeededTable& needed : NeededTables(table)) {
    const auto found = present.find(Lower(needed.name));
    if (found == present.end()) {
      faults.push_back(
          fmt::format("table {} doesn't exist or this account has no right to it: create it with `outrider migrate up` "
                      "(or give a DBA the output of `outrider migrate sql`)",
                      needed.name));
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
  return faults;
}

}  // namespace outrider::outbox
