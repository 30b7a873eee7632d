#include "outbox/dead_letters.h"

#include <fmt/format.h>

#include <utility>

#include "model/text.h"
#include "outbox/held_store.h"
#include "outbox/row_key.h"
#include "outbox/row_reading.h"

namespace outrider::outbox {
namespace {

// For people: a range of the primary key of outbox_dead, or dead_by_seq, filtered. {}: conditions, bounds.
constexpr std::string_view kList =
    "SELECT id, seq, event_id, aggregatetype, aggregateid, type, reason, detail, created_at, moved_at, "
    "OCTET_LENGTH(payload), holds_key IS NOT NULL FROM outbox_dead WHERE source = ?{} {} LIMIT ?";
constexpr std::string_view kCount = "SELECT COUNT(*) FROM outbox_dead WHERE source = ?{}";
constexpr std::string_view kAmong =
    " AND {0} IN (SELECT n FROM JSON_TABLE(?, '$[*]' COLUMNS (n BIGINT UNSIGNED PATH "
    "'$')) AS wanted_{0})";
// A scan of the source's held keys, and for each a look into dead_by_held_key and held_by_key, at most {0} rows of it.
constexpr std::string_view kHeldKeys =
    "SELECT k.aggregatetype, k.aggregateid, k.held_at, "
    "(SELECT COUNT(*) FROM outbox_dead AS d WHERE d.source = k.source AND d.holds_key = k.key_no), k.key_no "
    "FROM outbox_held_keys AS k WHERE k.source = ? ORDER BY k.held_at, k.key_no LIMIT ?";
constexpr std::string_view kHeldRows =
    "SELECT COUNT(*) FROM (SELECT 1 FROM outbox_held WHERE source = ? AND key_no = ? LIMIT {0}) AS held";
// All by primary key.
constexpr std::string_view kLock =
    "SELECT aggregatetype, aggregateid, seq FROM outbox_dead WHERE id = ? AND source = ? FOR UPDATE";
constexpr std::string_view kHoldKey =
    "INSERT INTO outbox_held_keys (source, key_no, aggregatetype, aggregateid, first_seq) VALUES (?, ?, ?, ?, ?) "
    "ON DUPLICATE KEY UPDATE first_seq = LEAST(first_seq, VALUES(first_seq))";
constexpr std::string_view kPutBack =
    "INSERT INTO outbox_held (source, key_no, seq, event_id, aggregatetype, aggregateid, type, payload, traceparent, "
    "tracestate, created_at) SELECT source, ?, seq, event_id, aggregatetype, aggregateid, type, payload, traceparent, "
    "tracestate, created_at FROM outbox_dead WHERE id = ?";
constexpr std::string_view kAudit =
    "INSERT INTO outbox_audit (source, actor, action, reason, dead_id, seq, event_id, aggregatetype, aggregateid, "
    "dead_reason, dead_since) SELECT source, ?, ?, ?, id, seq, event_id, aggregatetype, aggregateid, reason, moved_at "
    "FROM outbox_dead WHERE id = ?";
constexpr std::string_view kRemove = "DELETE FROM outbox_dead WHERE id = ?";

constexpr int kTries = 5;  // over deadlocks
constexpr std::size_t kMaxActor = 191;
constexpr std::size_t kMaxReason = 2000;

// The conditions, and their parameters behind those that are there. The texts live as long as `texts`.
std::string Conditions(const DeadFilter& filter, std::vector<std::string>& texts, std::vector<mysql::Param>& params) {
  std::string sql;
  texts.reserve(2);
  const auto among = [&](const std::vector<std::uint64_t>& numbers, std::string_view column) {
    if (numbers.empty()) return;
    sql += fmt::format(kAmong, column);
    params.emplace_back(std::string_view(texts.emplace_back(NumberList(numbers))));
  };
  among(filter.ids, "id");
  among(filter.seqs, "seq");
  const auto equal = [&](const std::string& text, std::string_view column) {
    if (text.empty()) return;
    sql += fmt::format(" AND CAST({} AS BINARY) = CAST(? AS BINARY)", column);
    params.emplace_back(std::string_view(text));
  };
  equal(filter.aggregatetype, "aggregatetype");
  equal(filter.aggregateid, "aggregateid");
  equal(filter.reason, "reason");
  return sql;
}

}  // namespace

Result<std::vector<DeadLetter>> DeadLetters::List(mysql::MysqlConnection& connection, const DeadFilter& filter,
                                                  std::string_view bound, std::uint64_t id, std::size_t limit) const {
  std::vector<std::string> texts;
  std::vector<mysql::Param> params = {std::string_view(source_)};
  const std::string conditions = Conditions(filter, texts, params);
  params.insert(params.end(), {id, std::uint64_t{limit}});
  auto found = connection.Execute(fmt::format(kList, conditions, bound), params);
  if (!found) return std::unexpected(found.error());
  std::vector<DeadLetter> letters;
  for (const mysql::Row& row : found->rows) {
    letters.push_back({row.Unsigned(0), row.Unsigned(1), row.Text(2), row.Text(3), row.Text(4), row.Text(5),
                       row.Text(6), row.Text(7), row.Time(8), row.Time(9), row.Unsigned(10), row.Bool(11)});
  }
  return letters;
}

Result<std::vector<DeadLetter>> DeadLetters::Newest(mysql::MysqlConnection& connection, const DeadFilter& filter,
                                                    std::optional<std::uint64_t> before, std::size_t limit) const {
  return List(connection, filter, "AND id < ? ORDER BY id DESC", before.value_or(~std::uint64_t{0}), limit);
}

Result<std::vector<DeadLetter>> DeadLetters::Oldest(mysql::MysqlConnection& connection, const DeadFilter& filter,
                                                    std::uint64_t after, std::size_t limit) const {
  return List(connection, filter, "AND id > ? ORDER BY id", after, limit);
}

Result<std::size_t> DeadLetters::Count(mysql::MysqlConnection& connection, const DeadFilter& filter) const {
  std::vector<std::string> texts;
  std::vector<mysql::Param> params = {std::string_view(source_)};
  const std::string conditions = Conditions(filter, texts, params);
  auto found = connection.Execute(fmt::format(kCount, conditions), params);
  if (!found) return std::unexpected(found.error());
  return found->rows.front().Unsigned(0);
}

Result<std::vector<HeldKeyView>> DeadLetters::HeldKeys(mysql::MysqlConnection& connection, std::size_t limit) const {
  auto found = connection.Execute(kHeldKeys, {std::string_view(source_), std::uint64_t{limit}});
  if (!found) return std::unexpected(found.error());
  std::vector<HeldKeyView> keys;
  for (const mysql::Row& row : found->rows) {
    auto rows = connection.Execute(fmt::format(kHeldRows, kHeldCap), {std::string_view(source_), row.Unsigned(4)});
    if (!rows) return std::unexpected(rows.error());
    keys.push_back({row.Text(0), row.Text(1), row.Time(2), row.Unsigned(3), rows->rows.front().Unsigned(0)});
  }
  return keys;
}

Result<void> DeadLetters::Replay(mysql::MysqlConnection& connection, std::uint64_t id, const Decision& decision) const {
  return Decide(connection, id, decision, "replay");
}

Result<void> DeadLetters::Discard(mysql::MysqlConnection& connection, std::uint64_t id,
                                  const Decision& decision) const {
  return Decide(connection, id, decision, "discard");
}

Result<void> DeadLetters::Decide(mysql::MysqlConnection& connection, std::uint64_t id, const Decision& decision,
                                 std::string_view action) const {
  Result<void> done;
  for (int i = 0; i < kTries; ++i) {
    done = connection.Begin();
    if (!done) return done;
    done = DecideInside(connection, id, decision, action);
    if (done) return connection.Commit();
    connection.Rollback();
    if (done.error().code != ErrorCode::kUnavailable || !connection.healthy()) return done;
  }
  return done;
}

Result<void> DeadLetters::DecideInside(mysql::MysqlConnection& connection, std::uint64_t id, const Decision& decision,
                                       std::string_view action) const {
  auto locked = connection.Execute(kLock, {id, std::string_view(source_)});
  if (!locked) return std::unexpected(locked.error());
  if (locked->rows.empty()) {
    return Fail(ErrorCode::kNotFound, fmt::format("source {} has no dead row {} (any more)", source_, id));
  }
  const mysql::Row& row = locked->rows.front();
  const auto run = [&](std::string_view sql, std::initializer_list<mysql::Param> params) -> Result<void> {
    auto ran = connection.Execute(sql, params);
    if (!ran) return std::unexpected(ran.error());
    return {};
  };
  if (action == "replay") {
    const KeyNumber key = NumberOfKey(row.Text(0), row.Text(1));
    // First, because whoever frees the key locks it before looking whether anything is left.
    auto held = run(kHoldKey, {std::string_view(source_), key, std::string_view(row.Text(0)),
                               std::string_view(row.Text(1)), row.Unsigned(2)});
    if (!held) return held;
    if (auto back = run(kPutBack, {key, id}); !back) return back;
  }
  auto audited =
      run(kAudit, {CutCodePoints(decision.actor, kMaxActor), action, CutCodePoints(decision.reason, kMaxReason), id});
  if (!audited) return audited;
  return run(kRemove, {id});
}

}  // namespace outrider::outbox
