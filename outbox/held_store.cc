#include "outbox/held_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "model/text.h"

namespace outrider::outbox {
namespace {

// By primary key (seq of {0}, the outbox; id of outbox_held). The copies never leave the server. A table that others
// made may hold NULL and longer texts.
constexpr std::string_view kDeadColumns =
    "INSERT INTO outbox_dead (source, seq, event_id, aggregatetype, aggregateid, type, payload, traceparent, "
    "tracestate, created_at, reason, detail, holds_key) ";
constexpr std::string_view kCopyToDead =
    "SELECT ?, seq, LEFT(COALESCE(id, ''), 255), LEFT(COALESCE(aggregatetype, ''), 16000), "
    "LEFT(COALESCE(aggregateid, ''), 16000), LEFT(COALESCE(type, ''), 16000), COALESCE(payload, ''), "
    "LEFT(traceparent, 16000), LEFT(tracestate, 16000), COALESCE(created_at, NOW(6)), ?, ?, ? FROM {0} WHERE seq = ?";
constexpr std::string_view kCopyHeldToDead =
    "SELECT ?, seq, event_id, aggregatetype, aggregateid, type, payload, traceparent, tracestate, created_at, ?, ?, ? "
    "FROM outbox_held WHERE id = ?";
// By the primary key of outbox_held_keys (source, key_no).
constexpr std::string_view kHoldKey =
    "INSERT INTO outbox_held_keys (source, key_no, aggregatetype, aggregateid, first_seq) VALUES (?, ?, ?, ?, ?) "
    "ON DUPLICATE KEY UPDATE first_seq = LEAST(first_seq, VALUES(first_seq))";
// By primary key, one key of the list after another; an append to outbox_held.
constexpr std::string_view kCopyToHeld =
    "INSERT INTO outbox_held (source, key_no, seq, event_id, aggregatetype, aggregateid, type, payload, traceparent, "
    "tracestate, created_at) "
    "SELECT ?, k.key_no, o.seq, LEFT(COALESCE(o.id, ''), 255), LEFT(COALESCE(o.aggregatetype, ''), 16000), "
    "LEFT(COALESCE(o.aggregateid, ''), 16000), LEFT(COALESCE(o.type, ''), 16000), COALESCE(o.payload, ''), "
    "LEFT(o.traceparent, 16000), LEFT(o.tracestate, 16000), COALESCE(o.created_at, NOW(6)) "
    "FROM JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT UNSIGNED PATH '$[0]', key_no BIGINT UNSIGNED PATH '$[1]')) AS k "
    "STRAIGHT_JOIN {0} AS o FORCE INDEX (PRIMARY) ON o.seq = k.seq";
constexpr std::string_view kDeleteHeld =
    "DELETE h FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN outbox_held AS h FORCE INDEX (PRIMARY) ON h.id = k.id";
// By the primary key of outbox_held_keys, one key of the list after another.
constexpr std::string_view kFindHeld =
    "SELECT h.key_no, h.first_seq FROM JSON_TABLE(?, '$[*]' COLUMNS (key_no BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN outbox_held_keys AS h FORCE INDEX (PRIMARY) ON h.source = ? AND h.key_no = k.key_no";
// A range of the primary key of outbox_held_keys, at most {0} keys; for each one look into dead_by_held_key.
constexpr std::string_view kLook =
    "SELECT k.key_no, k.aggregatetype, k.aggregateid, NOT EXISTS(SELECT 1 FROM outbox_dead AS d "
    "FORCE INDEX (dead_by_held_key) WHERE d.source = ? AND d.holds_key = k.key_no) "
    "FROM (SELECT key_no, aggregatetype, aggregateid FROM outbox_held_keys WHERE source = ? AND key_no > ? "
    "ORDER BY key_no LIMIT {0}) AS k ORDER BY k.key_no";
// A range of held_by_key, in its order.
constexpr std::string_view kReadKey =
    "SELECT seq, event_id, aggregatetype, aggregateid, type, OCTET_LENGTH(payload), "
    "IF(OCTET_LENGTH(payload) <= ?, payload, NULL), traceparent, tracestate, created_at, id FROM outbox_held "
    "FORCE INDEX (held_by_key) WHERE source = ? AND key_no = ? AND seq >= ? AND (seq > ? OR id > ?) "
    "ORDER BY seq, id LIMIT ?";
constexpr std::string_view kReadPayloads =
    "SELECT h.id, h.payload FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN outbox_held AS h FORCE INDEX (PRIMARY) ON h.id = k.id";
// By the primary key of outbox_held_keys. The lock comes first, in a statement of its own: what a person who had it
// put back meanwhile is seen by the next one.
constexpr std::string_view kLockKeys =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (key_no BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN outbox_held_keys AS h FORCE INDEX (PRIMARY) ON h.source = ? AND h.key_no = k.key_no "
    "SET h.first_seq = h.first_seq";
// For each a look into held_by_key and into dead_by_held_key.
constexpr std::string_view kFindLeft =
    "SELECT k.key_no FROM JSON_TABLE(?, '$[*]' COLUMNS (key_no BIGINT UNSIGNED PATH '$')) AS k "
    "WHERE EXISTS(SELECT 1 FROM outbox_held AS h FORCE INDEX (held_by_key) WHERE h.source = ? AND h.key_no = k.key_no) "
    "OR EXISTS(SELECT 1 FROM outbox_dead AS d FORCE INDEX (dead_by_held_key) WHERE d.source = ? "
    "AND d.holds_key = k.key_no)";
constexpr std::string_view kFreeKeys =
    "DELETE h FROM JSON_TABLE(?, '$[*]' COLUMNS (key_no BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN outbox_held_keys AS h FORCE INDEX (PRIMARY) ON h.source = ? AND h.key_no = k.key_no";
// The first part of dead_by_held_key, of the primary key of outbox_held_keys, of held_by_key; at most {0} of each.
constexpr std::string_view kCount =
    "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM outbox_dead WHERE source = ? LIMIT {0}) AS d), "
    "(SELECT COUNT(*) FROM (SELECT 1 FROM outbox_held_keys WHERE source = ? LIMIT {0}) AS k), "
    "(SELECT COUNT(*) FROM (SELECT 1 FROM outbox_held WHERE source = ? LIMIT {0}) AS h)";

constexpr std::size_t kMaxDetail = 2000;
constexpr std::size_t kMaxReason = 64;
constexpr std::size_t kRowsPerStatement = 5000;
constexpr std::size_t kKeysOfALook = 256;

std::string PairList(std::span<const HeldRow> rows) {
  std::string list = "[";
  for (const HeldRow& row : rows) fmt::format_to(std::back_inserter(list), "[{},{}],", row.seq, row.key);
  list.back() = ']';
  return list;
}

}  // namespace

HeldStore::HeldStore(std::string source, std::string_view table) : source_(std::move(source)) {
  const std::string quoted = mysql::QuoteIdentifier(table);
  copy_to_dead_ = std::string(kDeadColumns) + fmt::format(kCopyToDead, quoted);
  copy_to_held_ = fmt::format(kCopyToHeld, quoted);
}

Result<HeldKeys> HeldStore::FindHeld(mysql::MysqlConnection& connection, std::span<const KeyNumber> keys) const {
  const std::string list = NumberList(keys);
  HeldKeys held;
  auto found = connection.ForEach(kFindHeld, {std::string_view(list), std::string_view(source_)},
                                  [&](const mysql::RowView& row) { held.emplace(row.Unsigned(0), row.Unsigned(1)); });
  if (!found) return std::unexpected(found.error());
  return held;
}

Result<HeldStore::Look> HeldStore::LookForReleased(mysql::MysqlConnection& connection, KeyNumber after) const {
  Look look;
  std::size_t keys = 0;
  look.seen_to = after;
  auto found = connection.ForEach(
      fmt::format(kLook, kKeysOfALook), {std::string_view(source_), std::string_view(source_), after},
      [&](const mysql::RowView& row) {
        ++keys;
        look.seen_to = row.Unsigned(0);
        if (row.Unsigned(3) == 0) return;
        look.released.push_back({row.Unsigned(0), std::string(row.Text(1)), std::string(row.Text(2))});
      });
  if (!found) return std::unexpected(found.error());
  look.end = keys < kKeysOfALook;
  return look;
}

Result<Reading> HeldStore::ReadKey(mysql::MysqlConnection& connection, KeyNumber key, Place after, std::size_t max_rows,
                                   std::size_t max_bytes, std::vector<OutboxRow>& rows) const {
  const std::array<mysql::Param, 7> params = {
      std::uint64_t{kInlineBytes}, std::string_view(source_), key, after.seq, after.seq, after.id,
      std::uint64_t{max_rows}};
  return ReadRows(connection, {kReadKey, kReadPayloads, true}, params, max_bytes, rows);
}

Result<std::vector<KeyNumber>> HeldStore::Free(mysql::MysqlConnection& connection, const OutboxLease& lease,
                                               std::uint64_t epoch, std::span<const KeyNumber> keys) const {
  const std::string list = NumberList(keys);
  const auto inside = [&]() -> Result<std::vector<KeyNumber>> {
    if (auto renewed = lease.Renew(connection, epoch); !renewed) return std::unexpected(renewed.error());
    if (auto locked = connection.Execute(kLockKeys, {std::string_view(list), std::string_view(source_)}); !locked)
      return std::unexpected(locked.error());
    std::vector<KeyNumber> left;
    auto found =
        connection.ForEach(kFindLeft, {std::string_view(list), std::string_view(source_), std::string_view(source_)},
                           [&](const mysql::RowView& row) { left.push_back(row.Unsigned(0)); });
    if (!found) return std::unexpected(found.error());
    std::vector<KeyNumber> free;
    std::ranges::copy_if(keys, std::back_inserter(free),
                         [&](KeyNumber key) { return std::ranges::find(left, key) == left.end(); });
    if (free.empty()) return left;
    const std::string freed = NumberList(free);
    auto deleted = connection.Execute(kFreeKeys, {std::string_view(freed), std::string_view(source_)});
    if (!deleted) return std::unexpected(deleted.error());
    return left;
  };
  if (auto begun = connection.Begin(); !begun) return std::unexpected(begun.error());
  auto left = inside();
  if (!left) {
    connection.Rollback();
    return left;
  }
  if (auto committed = connection.Commit(); !committed) {
    if (connection.healthy() && connection.in_transaction()) connection.Rollback();
    return std::unexpected(committed.error());
  }
  return left;
}

Result<void> HeldStore::MoveToDead(mysql::MysqlConnection& connection, const DeadRow& row) const {
  const bool of_held = row.held_id != 0;
  const std::string copy_held = std::string(kDeadColumns) + std::string(kCopyHeldToDead);
  const std::string detail = SanitizeUtf8(row.detail);
  const mysql::Param holds = row.holds ? mysql::Param(*row.holds) : mysql::Param(nullptr);
  auto copied = connection.Execute(of_held ? copy_held : copy_to_dead_,
                                   {std::string_view(source_), CutCodePoints(row.reason, kMaxReason),
                                    CutCodePoints(detail, kMaxDetail), holds, of_held ? row.held_id : row.seq});
  if (!copied) return std::unexpected(copied.error());
  if (!row.holds) return {};
  auto held = connection.Execute(kHoldKey, {std::string_view(source_), *row.holds, std::string_view(row.aggregatetype),
                                            std::string_view(row.aggregateid), row.seq});
  if (!held) return std::unexpected(held.error());
  return {};
}

Result<std::size_t> HeldStore::Settle(mysql::MysqlConnection& connection, const Settlement& settlement) const {
  std::vector<std::uint64_t> leave;
  for (const ReleasedRow& row : settlement.released) leave.push_back(row.id);
  for (const DeadRow& row : settlement.dead) {
    if (auto moved = MoveToDead(connection, row); !moved) return std::unexpected(moved.error());
    if (row.held_id != 0) leave.push_back(row.held_id);
  }
  for (std::span<const HeldRow> rest = settlement.held; !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kRowsPerStatement));
    rest = rest.subspan(part.size());
    const std::string list = PairList(part);
    auto copied = connection.Execute(copy_to_held_, {std::string_view(source_), std::string_view(list)});
    if (!copied) return std::unexpected(copied.error());
  }
  std::size_t left = 0;
  for (std::span<const std::uint64_t> rest = leave; !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kRowsPerStatement));
    rest = rest.subspan(part.size());
    const std::string list = NumberList(part);
    auto deleted = connection.Execute(kDeleteHeld, {std::string_view(list)});
    if (!deleted) return std::unexpected(deleted.error());
    left += deleted->affected;
  }
  return left;
}

Result<HeldCounts> HeldStore::Count(mysql::MysqlConnection& connection) const {
  auto found = connection.Execute(fmt::format(kCount, kHeldCap),
                                  {std::string_view(source_), std::string_view(source_), std::string_view(source_)});
  if (!found) return std::unexpected(found.error());
  const mysql::Row& row = found->rows.front();
  return HeldCounts{row.Unsigned(0), row.Unsigned(1), row.Unsigned(2)};
}

}  // namespace outrider::outbox
