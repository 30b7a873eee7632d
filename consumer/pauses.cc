#include "consumer/pauses.h"

#include <fmt/format.h>

#include <utility>

namespace outrider::consumer {
namespace {

// The whole of a small table.
constexpr std::string_view kRead =
    "SELECT kind, name, paused_at, actor, reason FROM delivery_pauses ORDER BY kind, name";
// By primary key; what is there stays as it is.
constexpr std::string_view kAdd =
    "INSERT INTO delivery_pauses (kind, name, actor, reason) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE kind = kind";
// By primary key.
constexpr std::string_view kEnd = "DELETE FROM delivery_pauses WHERE kind = ? AND name = ?";

Result<bool> InAudit(mysql::MysqlPool& pool, const AuditEntry& entry, std::string_view sql,
                     const std::vector<mysql::Param>& params) {
  bool changed = false;
  auto done = pool.InTransaction([&](mysql::MysqlConnection& connection) -> Result<void> {
    auto written = connection.Execute(sql, params);
    if (!written) return std::unexpected(written.error());
    changed = written->affected > 0;
    if (!changed) return {};
    auto audited = AuditLog::Add(connection, entry, 0);
    if (!audited) return std::unexpected(audited.error());
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return changed;
}

std::string TargetOf(PauseKind kind, std::string_view name) { return fmt::format("{} {}", ToString(kind), name); }

}  // namespace

std::string_view ToString(PauseKind kind) { return kind == PauseKind::kChannel ? "channel" : "tenant"; }

std::string Describe(const Pause& pause) {
  return fmt::format("paused since {} by {}: {}", FormatRfc3339(pause.since), pause.actor, pause.reason);
}

PausedNames NamesOf(const std::vector<Pause>& pauses) {
  PausedNames names;
  for (const Pause& pause : pauses) {
    (pause.kind == PauseKind::kChannel ? names.channels : names.tenants).insert(pause.name);
  }
  return names;
}

Result<std::vector<Pause>> ReadPauses(mysql::MysqlConnection& connection) {
  auto found = connection.Execute(kRead);
  if (!found) return std::unexpected(found.error());
  std::vector<Pause> pauses;
  for (mysql::Row& row : found->rows) {
    pauses.push_back({row.Text(0) == ToString(PauseKind::kTenant) ? PauseKind::kTenant : PauseKind::kChannel,
                      row.TakeText(1), row.Time(2), row.TakeText(3), row.TakeText(4)});
  }
  return pauses;
}

Result<bool> AddPause(mysql::MysqlPool& pool, PauseKind kind, const std::string& name, const std::string& actor,
                      const std::string& reason) {
  return InAudit(pool, {.actor = actor, .action = "pause", .target = TargetOf(kind, name), .reason = reason}, kAdd,
                 {ToString(kind), std::string_view(name), std::string_view(actor), std::string_view(reason)});
}

Result<bool> EndPause(mysql::MysqlPool& pool, PauseKind kind, const std::string& name, const std::string& actor,
                      const std::string& reason) {
  return InAudit(pool, {.actor = actor, .action = "resume", .target = TargetOf(kind, name), .reason = reason}, kEnd,
                 {ToString(kind), std::string_view(name)});
}

}  // namespace outrider::consumer
