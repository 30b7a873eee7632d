#include "outbox/ledger_audit.h"

#include "outbox/outbox_store.h"

namespace outrider::outbox {
namespace {

// A scan of the ledger: one row for each batch and partition.
constexpr std::string_view kLedger =
    "SELECT topic, partition_no, MAX(highest_offset), CAST(SUM(row_count) AS UNSIGNED) FROM outbox_ledger "
    "WHERE source = ? GROUP BY topic, partition_no ORDER BY topic, partition_no";
// A scan: this table holds what people have yet to look at.
constexpr std::string_view kDead = "SELECT COUNT(*) FROM outbox_dead WHERE source = ?";

}  // namespace

Result<SourceAudit> AuditSource(mysql::MysqlConnection& connection, std::string_view source, std::string_view table) {
  SourceAudit audit;
  auto ledger = connection.Execute(kLedger, {source});
  if (!ledger) return std::unexpected(ledger.error());
  for (const mysql::Row& row : ledger->rows) {
    audit.ledger.push_back({row.Text(0), static_cast<std::int32_t>(row.Int(1)), row.Int(2), row.Unsigned(3)});
  }
  auto dead = connection.Execute(kDead, {source});
  if (!dead) return std::unexpected(dead.error());
  audit.dead = dead->rows.front().Unsigned(0);
  auto backlog = OutboxStore(std::string(source), table).ProbeBacklog(connection);
  if (!backlog) return std::unexpected(backlog.error());
  audit.waiting = backlog->rows;
  return audit;
}

}  // namespace outrider::outbox
