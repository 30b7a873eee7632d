#include "outbox/outbox_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "platform/failpoint/failpoint.h"

namespace outrider::outbox {
namespace {

// {0} is the outbox table, quoted. A range of its primary key (seq), in order, without a sort; READ COMMITTED and no
// locks. Payloads above the first parameter stay on the server, so that one read doesn't carry what its batch won't
// take. A table that others made may hold NULL and longer texts where ours can't; a row of that kind must stop nobody.
// outbox_held_keys by the first part of its primary key, once a statement.
constexpr std::string_view kColumns =
    "SELECT seq, COALESCE(id, ''), COALESCE(aggregatetype, ''), COALESCE(aggregateid, ''), COALESCE(type, ''), "
    "COALESCE(OCTET_LENGTH(payload), 0), IF(payload IS NULL, '', IF(OCTET_LENGTH(payload) <= ?, payload, NULL)), "
    "traceparent, tracestate, COALESCE(created_at, NOW(6)), EXISTS(SELECT 1 FROM outbox_held_keys WHERE source = ?) "
    "FROM {0} ";
constexpr std::string_view kReadAfter = "WHERE seq > ? ORDER BY seq LIMIT ?";
// Ranges of the primary key. {0} here: kRange, several times; as many as it takes up to the next power of four, so that
// few texts are prepared.
constexpr std::string_view kReadRanges = "FORCE INDEX (PRIMARY) WHERE {0} ORDER BY seq LIMIT ?";
constexpr std::string_view kRange = "seq BETWEEN ? AND ?";
// A range of the primary key. For `seq` alone MySQL would go through the whole of a table that it takes for small:
// hence created_at, here and below.
constexpr std::string_view kFindRows =
    "SELECT seq, created_at FROM {0} FORCE INDEX (PRIMARY) WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?";
// A range of the primary key. Under READ COMMITTED it locks no gap, and where there is no row it leaves no lock.
constexpr std::string_view kIsEmpty =
    "SELECT seq, created_at FROM {0} FORCE INDEX (PRIMARY) WHERE seq BETWEEN ? AND ? LIMIT 1 FOR UPDATE NOWAIT";
// By primary key, one key of the list after another.
constexpr std::string_view kReadPayloads =
    "SELECT o.seq, o.payload FROM JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN {0} AS o FORCE INDEX (PRIMARY) ON o.seq = k.seq";
// Rows that were published and stand side by side, as ranges of the primary key that hold no other number: a range
// costs the server half of what its rows cost one by one. The last row of a run is named by itself, because a range is
// read up to the first row behind it, and to wait there for the lock of a row that an application has inserted and not
// yet committed would hold up everything. {0} here: kRun, several times; as many as it takes up to the next power of
// four.
constexpr std::string_view kDeleteRuns = "DELETE o FROM {0} AS o FORCE INDEX (PRIMARY) WHERE ";
constexpr std::string_view kRun = "o.seq BETWEEN ? AND ? OR o.seq = ?";
// By primary key, one key of the list after another. Both servers scan the table for `seq IN (...)` when the list
// covers much of it, even with FORCE INDEX, and a DELETE that scans waits for the locks of rows which applications have
// inserted and not yet committed. The straight join leaves them no choice. The list is one JSON array, so the statement
// is prepared once for all lengths.
constexpr std::string_view kDelete =
    "DELETE o FROM JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN {0} AS o FORCE INDEX (PRIMARY) ON o.seq = k.seq";
// An append. {0}: rows of placeholders.
constexpr std::string_view kWriteLedger =
    "INSERT INTO outbox_ledger (source, epoch, topic, partition_no, highest_offset, row_count) VALUES {0}";
// A range of the primary key, at most kBacklogCap rows.
constexpr std::string_view kProbe =
    "SELECT COUNT(*), MIN(created_at), NOW(6) FROM (SELECT created_at FROM {0} WHERE seq > ? ORDER BY seq LIMIT {1}) "
    "AS "
    "head";

constexpr std::size_t kKeysPerStatement = 5000;
constexpr std::size_t kRunsPerStatement = 64;
constexpr std::size_t kWorthARun = 8;  // keys
constexpr std::size_t kLedgerRowsPerStatement = 64;

// A server that was told not to wait (MySQL 3572, MariaDB 1205).
bool IsLocked(const Error& error) { return error.native_code == 3572 || error.native_code == 1205; }

// Few texts are prepared when lists are filled up to the next power of four.
std::size_t PlacesFor(std::size_t count) {
  std::size_t places = 1;
  while (places < count) places *= 4;
  return places;
}

}  // namespace

OutboxStore::OutboxStore(std::string source, std::string_view table)
    : source_(std::move(source)), held_(source_, table) {
  const std::string quoted = mysql::QuoteIdentifier(table);
  read_after_ = fmt::format(kColumns, quoted) + std::string(kReadAfter);
  read_ranges_ = fmt::format(kColumns, quoted);
  find_rows_ = fmt::format(kFindRows, quoted);
  is_empty_ = fmt::format(kIsEmpty, quoted);
  read_payloads_ = fmt::format(kReadPayloads, quoted);
  delete_runs_ = fmt::format(kDeleteRuns, quoted);
  delete_ = fmt::format(kDelete, quoted);
  probe_ = fmt::format(kProbe, quoted, kBacklogCap);
}

Result<Reading> OutboxStore::ReadAfter(mysql::MysqlConnection& connection, std::uint64_t seq, std::size_t max_rows,
                                       std::size_t max_bytes, std::vector<OutboxRow>& rows) const {
  const std::array<mysql::Param, 4> params = {std::uint64_t{kInlineBytes}, std::string_view(source_), seq,
                                              std::uint64_t{max_rows}};
  return ReadRows(connection, {read_after_, read_payloads_}, params, max_bytes, rows);
}

Result<Reading> OutboxStore::ReadRanges(mysql::MysqlConnection& connection, std::span<const Range> ranges,
                                        std::size_t max_rows, std::size_t max_bytes,
                                        std::vector<OutboxRow>& rows) const {
  const std::size_t places = PlacesFor(ranges.size());
  std::vector<mysql::Param> params = {std::uint64_t{kInlineBytes}, std::string_view(source_)};
  std::string wanted;
  for (std::size_t i = 0; i < places; ++i) {
    const Range& range = ranges[std::min(i, ranges.size() - 1)];
    params.insert(params.end(), {range.first, range.last});
    wanted.append(i == 0 ? "" : " OR ").append(kRange);
  }
  params.emplace_back(std::uint64_t{max_rows});
  const std::string sql = read_ranges_ + fmt::format(kReadRanges, wanted);
  return ReadRows(connection, {sql, read_payloads_}, params, max_bytes, rows);
}

Result<std::vector<std::uint64_t>> OutboxStore::FindRows(mysql::MysqlConnection& connection, const Range& range,
                                                         std::size_t max_rows) const {
  std::vector<std::uint64_t> seqs;
  auto found = connection.ForEach(find_rows_, {range.first, range.last, std::uint64_t{max_rows}},
                                  [&](const mysql::RowView& row) { seqs.push_back(row.Unsigned(0)); });
  if (!found) return std::unexpected(found.error());
  return seqs;
}

Result<bool> OutboxStore::IsEmpty(mysql::MysqlConnection& connection, const Range& range) const {
  auto found = connection.Execute(is_empty_, {range.first, range.last});
  if (found) return found->rows.empty();
  if (IsLocked(found.error())) return false;
  return std::unexpected(found.error());
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

  auto aside = held_.Settle(connection, settlement);
  if (!aside) return std::unexpected(aside.error());

  std::vector<std::uint64_t> keys = settlement.stored;
  for (const DeadRow& dead : settlement.dead) {
    if (dead.held_id == 0) keys.push_back(dead.seq);
  }
  for (const HeldRow& held : settlement.held) keys.push_back(held.seq);
  auto deleted = Delete(connection, std::move(keys));
  if (!deleted) return deleted;
  return *aside + *deleted;
}

Result<std::size_t> OutboxStore::Delete(mysql::MysqlConnection& connection, std::vector<std::uint64_t> keys) const {
  std::ranges::sort(keys);
  std::vector<Range> runs;
  std::vector<std::uint64_t> single;
  for (std::size_t first = 0; first < keys.size();) {
    std::size_t end = first + 1;
    while (end < keys.size() && keys[end] == keys[end - 1] + 1) ++end;
    const auto run = std::span(keys).subspan(first, end - first);
    if (run.size() >= kWorthARun) {
      runs.push_back({run.front(), run.back()});
    } else {
      single.insert(single.end(), run.begin(), run.end());
    }
    first = end;
  }
  std::size_t deleted = 0;
  for (std::span<const Range> rest = runs; !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kRunsPerStatement));
    rest = rest.subspan(part.size());
    const std::size_t places = PlacesFor(part.size());
    std::vector<mysql::Param> params;
    std::string wanted;
    for (std::size_t i = 0; i < places; ++i) {
      const Range& run = part[std::min(i, part.size() - 1)];
      params.insert(params.end(), {run.first, run.last - 1, run.last});
      wanted.append(i == 0 ? "" : " OR ").append(kRun);
    }
    auto done = connection.Execute(delete_runs_ + wanted, params);
    if (!done) return std::unexpected(done.error());
    deleted += done->affected;
  }
  for (std::span<const std::uint64_t> rest = single; !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kKeysPerStatement));
    rest = rest.subspan(part.size());
    const std::string list = NumberList(part);
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

Result<Backlog> OutboxStore::ProbeBacklog(mysql::MysqlConnection& connection, std::uint64_t seq) const {
  auto found = connection.Execute(probe_, {seq});
  if (!found) return std::unexpected(found.error());
  const mysql::Row& row = found->rows.front();
  return Backlog{row.Unsigned(0), row.OptionalTime(1), row.Time(2)};
}

}  // namespace outrider::outbox
