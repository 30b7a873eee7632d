#include "outbox/outbox_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <unordered_map>
#include <utility>

#include "model/text.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::outbox {
namespace {

// {0} is the outbox table, quoted. Served by its primary key (seq), in order, without a sort; READ COMMITTED and no
// locks. Payloads above the first parameter stay on the server: a batch is bounded in bytes before it is in memory.
// A table that others made may hold NULL and longer texts where ours can't; a row of that kind must stop nobody.
constexpr std::string_view kRead =
    "SELECT seq, COALESCE(id, ''), COALESCE(aggregatetype, ''), COALESCE(aggregateid, ''), COALESCE(type, ''), "
    "COALESCE(OCTET_LENGTH(payload), 0), IF(payload IS NULL, '', IF(OCTET_LENGTH(payload) <= ?, payload, NULL)), "
    "traceparent, tracestate, COALESCE(created_at, NOW(6)) FROM {0} ORDER BY seq LIMIT ?";
// By primary key, one key of the list after another.
constexpr std::string_view kReadPayloads =
    "SELECT o.seq, o.payload FROM JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN {0} AS o FORCE INDEX (PRIMARY) ON o.seq = k.seq";
// By primary key, one key of the list after another. Both servers scan the table for `seq IN (...)` when the list
// covers much of it, even with FORCE INDEX, and a DELETE that scans waits for the locks of rows which applications have
// inserted and not yet committed. The straight join leaves them no choice. The list is one JSON array, so the statement
// is prepared once for all lengths.
constexpr std::string_view kDelete =
    "DELETE o FROM JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN {0} AS o FORCE INDEX (PRIMARY) ON o.seq = k.seq";
// By primary key. The copy never leaves the server.
constexpr std::string_view kCopyToDead =
    "INSERT INTO outbox_dead (source, seq, event_id, aggregatetype, aggregateid, type, payload, traceparent, "
    "tracestate, "
    "created_at, reason, detail) "
    "SELECT ?, seq, LEFT(COALESCE(id, ''), 36), LEFT(COALESCE(aggregatetype, ''), 64), LEFT(COALESCE(aggregateid, ''), "
    "191), LEFT(COALESCE(type, ''), 128), COALESCE(payload, ''), LEFT(traceparent, 64), LEFT(tracestate, 512), "
    "COALESCE(created_at, NOW(6)), ?, ? FROM {0} WHERE seq = ?";
// An append. {0}: rows of placeholders.
constexpr std::string_view kWriteLedger =
    "INSERT INTO outbox_ledger (source, epoch, topic, partition_no, highest_offset, row_count) VALUES {0}";
// The head of the primary key, at most kBacklogCap rows.
constexpr std::string_view kProbe =
    "SELECT COUNT(*), MIN(created_at), NOW(6) FROM (SELECT created_at FROM {0} ORDER BY seq LIMIT {1}) AS head";

constexpr std::size_t kMaxDetail = 2000;
constexpr std::size_t kMaxReason = 64;
constexpr std::size_t kRowOverhead = 256;  // a row's strings and map entries, roughly
constexpr std::size_t kKeysPerStatement = 5000;
constexpr std::size_t kLedgerRowsPerStatement = 64;

std::string KeyList(std::span<const std::uint64_t> keys) { return fmt::format("[{}]", fmt::join(keys, ",")); }

std::optional<std::string> OptionalText(mysql::Row& row, std::size_t column) {
  if (row.IsNull(column)) return std::nullopt;
  return row.TakeText(column);
}

}  // namespace

OutboxStore::OutboxStore(std::string source, std::string_view table) : source_(std::move(source)) {
  const std::string quoted = mysql::QuoteIdentifier(table);
  read_ = fmt::format(kRead, quoted);
  read_payloads_ = fmt::format(kReadPayloads, quoted);
  delete_ = fmt::format(kDelete, quoted);
  copy_to_dead_ = fmt::format(kCopyToDead, quoted);
  probe_ = fmt::format(kProbe, quoted, kBacklogCap);
}

Result<std::vector<OutboxRow>> OutboxStore::Read(mysql::MysqlConnection& connection, std::size_t max_rows,
                                                 std::size_t max_bytes) const {
  const std::size_t inline_bytes = max_bytes / std::max<std::size_t>(max_rows, 1);
  auto found = connection.Execute(read_, {std::uint64_t{inline_bytes}, std::uint64_t{max_rows}});
  if (!found) return std::unexpected(found.error());

  std::vector<OutboxRow> rows;
  std::vector<std::uint64_t> large;
  rows.reserve(found->rows.size());
  std::size_t bytes = 0;
  for (mysql::Row& row : found->rows) {
    const std::size_t payload_bytes = row.Unsigned(5);
    bytes += payload_bytes + kRowOverhead;
    if (bytes > max_bytes && !rows.empty()) break;
    OutboxRow& taken = rows.emplace_back();
    taken.seq = row.Unsigned(0);
    taken.id = row.TakeText(1);
    taken.aggregatetype = row.TakeText(2);
    taken.aggregateid = row.TakeText(3);
    taken.type = row.TakeText(4);
    if (row.IsNull(6)) {
      large.push_back(taken.seq);
    } else {
      taken.payload = row.TakeText(6);
    }
    taken.traceparent = OptionalText(row, 7);
    taken.tracestate = OptionalText(row, 8);
    taken.created_at = row.Time(9);
  }
  if (!large.empty()) {
    if (auto fetched = FetchLargePayloads(connection, rows, large); !fetched) return std::unexpected(fetched.error());
  }
  return rows;
}

Result<void> OutboxStore::FetchLargePayloads(mysql::MysqlConnection& connection, std::vector<OutboxRow>& rows,
                                             const std::vector<std::uint64_t>& seqs) const {
  const std::string keys = KeyList(seqs);
  auto found = connection.Execute(read_payloads_, {std::string_view(keys)});
  if (!found) return std::unexpected(found.error());
  std::unordered_map<std::uint64_t, std::string> payloads;
  for (mysql::Row& row : found->rows) payloads.emplace(row.Unsigned(0), row.TakeText(1));
  // A person may have deleted one meanwhile; it then isn't published.
  std::erase_if(rows, [&](const OutboxRow& row) {
    return std::binary_search(seqs.begin(), seqs.end(), row.seq) && !payloads.contains(row.seq);
  });
  for (OutboxRow& row : rows) {
    if (const auto payload = payloads.find(row.seq); payload != payloads.end())
      row.payload = std::move(payload->second);
  }
  return {};
}

Result<std::size_t> OutboxStore::Settle(mysql::MysqlConnection& connection, const OutboxLease& lease,
                                        std::uint64_t epoch, const Settlement& settlement) const {
  if (auto begun = connection.Begin(); !begun) return std::unexpected(begun.error());
  auto deleted = SettleInside(connection, lease, epoch, settlement);
  if (auto failed = PassFailpoint(Failpoint::kRelayBeforeCommit)) deleted = std::unexpected(*failed);
  if (!deleted) {
    connection.Rollback();
    return deleted;
  }
  if (auto committed = connection.Commit(); !committed) {
    if (connection.healthy() && connection.in_transaction()) connection.Rollback();
    return std::unexpected(committed.error());
  }
  return deleted;
}

Result<std::size_t> OutboxStore::SettleInside(mysql::MysqlConnection& connection, const OutboxLease& lease,
                                              std::uint64_t epoch, const Settlement& settlement) const {
  // First, because its row lock keeps a take-over out until the end of this transaction.
  if (auto renewed = lease.Renew(connection, epoch); !renewed) return std::unexpected(renewed.error());
  if (auto written = WriteLedger(connection, epoch, settlement.ledger); !written)
    return std::unexpected(written.error());

  std::vector<std::uint64_t> keys = settlement.stored;
  for (const DeadRow& dead : settlement.dead) {
    const std::string_view reason = CutCodePoints(dead.reason, kMaxReason);
    const std::string detail = SanitizeUtf8(dead.detail);
    auto copied = connection.Execute(copy_to_dead_,
                                     {std::string_view(source_), reason, CutCodePoints(detail, kMaxDetail), dead.seq});
    if (!copied) return std::unexpected(copied.error());
    keys.push_back(dead.seq);
  }

  std::size_t deleted = 0;
  for (std::span<const std::uint64_t> rest = keys; !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kKeysPerStatement));
    rest = rest.subspan(part.size());
    const std::string list = KeyList(part);
    auto done = connection.Execute(delete_, {std::string_view(list)});
    if (!done) return std::unexpected(done.error());
    deleted += done->affected;
  }
  return deleted;
}

Result<void> OutboxStore::WriteLedger(mysql::MysqlConnection& connection, std::uint64_t epoch,
                                      const std::vector<LedgerEntry>& ledger) const {
  for (std::span<const LedgerEntry> rest = ledger; !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kLedgerRowsPerStatement));
    rest = rest.subspan(part.size());
    std::vector<mysql::Param> params;
    for (const LedgerEntry& entry : part) {
      params.insert(params.end(), {std::string_view(source_), epoch, std::string_view(entry.topic),
                                   std::int64_t{entry.partition}, entry.highest_offset, std::uint64_t{entry.rows}});
    }
    auto written = connection.Execute(fmt::format(kWriteLedger, mysql::PlaceholderRows(part.size(), 6)), params);
    if (!written) return std::unexpected(written.error());
  }
  return {};
}

Result<Backlog> OutboxStore::ProbeBacklog(mysql::MysqlConnection& connection) const {
  auto found = connection.Execute(probe_);
  if (!found) return std::unexpected(found.error());
  const mysql::Row& row = found->rows.front();
  return Backlog{row.Unsigned(0), row.OptionalTime(1), row.Time(2)};
}

}  // namespace outrider::outbox
