#include "consumer/record_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "consumer/alike_rows.h"
#include "model/text.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;

// What Read() below takes, of the record r.
constexpr std::string_view kColumns =
    "r.id, r.version, r.status, r.shard, r.tenant, r.channel, r.dedupe_key, r.ordering_hash, r.private, r.uncertain, "
    "r.attempt_no, r.attempts_spent, r.max_attempts, r.parked_by, r.lease_owner, r.send_key, "
    "TIMESTAMPDIFF(MICROSECOND, r.send_key_first_used_at, NOW(6)), TIMESTAMPDIFF(MICROSECOND, r.held_since, NOW(6)), "
    "TIMESTAMPDIFF(MICROSECOND, NOW(6), r.expires_at), TIMESTAMPDIFF(MICROSECOND, r.updated_at, NOW(6)), "
    "r.committed_at, NOW(6), r.reason, r.sealed_by, r.counted_in_quota, r.form_no";

// One part of FindDue. records_by_due alone (shard, channel, priority, due_at), in its order; finished and parked
// records have no due_at and stand outside the range. {0}: the query's index.
constexpr std::string_view kFindDuePart =
    "(SELECT {0} AS query, id, TIMESTAMPDIFF(MICROSECOND, NOW(6), due_at) FROM notification_records FORCE INDEX "
    "(records_by_due) WHERE shard = ? AND channel = ? AND priority = ? AND due_at <= NOW(6) + INTERVAL ? MICROSECOND "
    "ORDER BY due_at LIMIT ?)";
// MariaDB gives texts of a JSON_TABLE the database's character set unless told otherwise.
//
// By primary key, one id of the list after another (so do all statements with JSON_TABLE: for `id IN (...)` both
// servers scan the table when the list covers much of it). {0}: columns.
constexpr std::string_view kReadDue =
    "SELECT {0}, r.request FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "WHERE r.status IN ('pending', 'failed') AND r.due_at <= NOW(6)";
constexpr std::string_view kReadWaiting =
    "SELECT {0} FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "WHERE r.status IN ('pending', 'failed')";
// By primary key; MySQL locks nothing that stands beside a JSON_TABLE. {0}: columns, {1}: placeholders.
constexpr std::string_view kLock =
    "SELECT {0} FROM notification_records AS r FORCE INDEX (PRIMARY) WHERE r.id IN ({1}) ORDER BY r.id FOR UPDATE";
// By primary key. The condition on an earlier unfinished record of the ordering key is looked at before
// (kFindHeadPart): once it holds it holds on, because ids of a key grow in the order of arrival.
constexpr std::string_view kClaim =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$[0]', version INT UNSIGNED PATH '$[1]', "
    "send_key VARCHAR(64) CHARACTER SET utf8mb4 PATH '$[2]')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "SET r.status = 'sending', r.version = r.version + 1, r.attempt_no = r.attempt_no + 1, "
    "r.attempts_spent = r.attempts_spent + 1, r.lease_owner = ?, r.due_at = NOW(6) + INTERVAL ? MICROSECOND, "
    "r.parked_by = NULL, r.send_key = NULLIF(k.send_key, ''), "
    "r.send_key_first_used_at = CASE WHEN k.send_key = '' THEN NULL WHEN r.send_key = k.send_key THEN "
    "r.send_key_first_used_at ELSE NOW(6) END, r.updated_at = NOW(6) "
    "WHERE r.version = k.version AND r.status IN ('pending', 'failed') AND r.due_at <= NOW(6)";
// By primary key.
constexpr std::string_view kFindClaimed =
    "SELECT r.id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$[0]', version INT UNSIGNED PATH "
    "'$[1]')) AS k STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "WHERE r.lease_owner = ? AND r.version = k.version + 1";
// By primary key. The database's times end with the year 9999, and a statement that goes beyond would be refused.
constexpr std::string_view kWrite =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$[0]', version INT UNSIGNED PATH '$[1]', "
    "from_status VARCHAR(16) CHARACTER SET utf8mb4 PATH '$[2]', to_status VARCHAR(16) CHARACTER SET utf8mb4 PATH "
    "'$[3]', reason VARCHAR(64) CHARACTER SET utf8mb4 PATH '$[4]', "
    "due_us BIGINT PATH '$[5]', parked_by VARCHAR(64) CHARACTER SET utf8mb4 PATH '$[6]', given_back INT PATH '$[7]', "
    "uncertain INT PATH '$[8]', held INT PATH '$[9]', answered INT PATH '$[10]', last_error VARCHAR(2000) CHARACTER "
    "SET utf8mb4 PATH "
    "'$[11]', "
    "provider VARCHAR(32) CHARACTER SET utf8mb4 PATH '$[12]', message_id VARCHAR(128) CHARACTER SET utf8mb4 PATH "
    "'$[13]', log_id VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[14]', claim VARCHAR(64) CHARACTER "
    "SET utf8mb4 PATH '$[15]', spent_anew INT PATH '$[16]', key_anew INT PATH '$[17]', simpler INT PATH '$[18]')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "SET r.status = k.to_status, r.reason = NULLIF(k.reason, ''), r.version = r.version + 1, "
    "r.due_at = CASE WHEN k.due_us >= 0 THEN NOW(6) + INTERVAL LEAST(k.due_us, TIMESTAMPDIFF(MICROSECOND, NOW(6), "
    "'9999-12-31')) MICROSECOND END, "
    "r.parked_by = NULLIF(k.parked_by, ''), r.lease_owner = NULL, "
    "r.attempts_spent = IF(k.spent_anew = 1, 0, r.attempts_spent - k.given_back), "
    "r.counted_in_quota = IF(k.spent_anew = 1, FALSE, r.counted_in_quota), "
    "r.form_no = IF(k.spent_anew = 1, 0, r.form_no + k.simpler), "
    "r.send_key = IF(k.key_anew = 1, NULL, r.send_key), "
    "r.send_key_first_used_at = IF(k.key_anew = 1, NULL, r.send_key_first_used_at), "
    "r.uncertain = k.uncertain, "
    "r.held_since = CASE k.held WHEN 0 THEN NULL WHEN 1 THEN COALESCE(r.held_since, NOW(6)) ELSE r.held_since END, "
    "r.last_error = IF(k.answered = 1, NULLIF(k.last_error, ''), r.last_error), "
    "r.provider = IF(k.answered = 1, NULLIF(k.provider, ''), r.provider), "
    "r.provider_message_id = IF(k.answered = 1, NULLIF(k.message_id, ''), r.provider_message_id), "
    "r.provider_log_id = IF(k.answered = 1, NULLIF(k.log_id, ''), r.provider_log_id), "
    "r.sent_at = IF(k.to_status = 'sent', NOW(6), r.sent_at), r.updated_at = NOW(6) "
    "WHERE r.version = k.version AND r.status = k.from_status AND (k.claim = '' OR r.lease_owner = k.claim)";
// By primary key.
constexpr std::string_view kForget =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "SET r.request = NULL, r.sealed_by = NULL, r.recipient = IF(r.recipient LIKE 'hmac:%', r.recipient, '') "
    "WHERE r.private";
// An append at many places of the primary key (record_id, attempt_no); the records by theirs. Counted back from the
// record's own time, which kWrite has just set: this statement's NOW(6) is later, and an attempt would begin after its
// record was sent.
constexpr std::string_view kWriteAttempts =
    "INSERT INTO notification_attempts (record_id, attempt_no, started_at, duration_us, worker, provider, verdict, "
    "reason, http_status, provider_code, provider_log_id, detail, answer) "
    "SELECT k.record_id, k.attempt_no, r.updated_at - INTERVAL k.ago_us MICROSECOND, k.duration_us, k.worker, "
    "k.provider, "
    "k.verdict, k.reason, k.http_status, k.provider_code, k.log_id, k.detail, NULLIF(k.answer, '') "
    "FROM JSON_TABLE(?, '$[*]' COLUMNS (record_id BIGINT UNSIGNED PATH '$[0]', attempt_no INT PATH '$[1]', "
    "ago_us BIGINT PATH '$[2]', duration_us BIGINT PATH '$[3]', worker VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[4]', "
    "provider VARCHAR(32) CHARACTER SET utf8mb4 PATH '$[5]', verdict VARCHAR(16) CHARACTER SET utf8mb4 PATH '$[6]', "
    "reason VARCHAR(64) CHARACTER SET utf8mb4 PATH '$[7]', "
    "http_status INT PATH '$[8]', provider_code VARCHAR(64) CHARACTER SET utf8mb4 PATH '$[9]', log_id VARCHAR(128) "
    "CHARACTER SET utf8mb4 PATH '$[10]', "
    "detail VARCHAR(2000) CHARACTER SET utf8mb4 PATH '$[11]', answer VARCHAR(4000) CHARACTER SET utf8mb4 PATH "
    "'$[12]')) AS k STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.record_id";
// By primary key, and the attempts' (record_id, attempt_no).
constexpr std::string_view kCompare =
    "SELECT k.place, r.version, r.status, a.verdict, r.lease_owner "
    "FROM JSON_TABLE(?, '$[*]' COLUMNS (place INT PATH '$[0]', id BIGINT UNSIGNED PATH '$[1]', attempt_no INT PATH "
    "'$[2]')) AS k STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "LEFT JOIN notification_attempts AS a ON a.record_id = k.id AND a.attempt_no = k.attempt_no";
// By records_by_status (status, id): at most what all processes have in flight. {0}: columns.
constexpr std::string_view kFindExpiredLeases =
    "SELECT {0} FROM notification_records AS r FORCE INDEX (records_by_status) "
    "WHERE r.status = 'sending' AND r.due_at <= NOW(6) ORDER BY r.id LIMIT ?";
// By records_by_parked (parked_by, channel, id), in its order. {0}: columns.
constexpr std::string_view kFindParked =
    "SELECT {0} FROM notification_records AS r FORCE INDEX (records_by_parked) "
    "WHERE r.parked_by > ? OR (r.parked_by = ? AND (r.channel > ? OR (r.channel = ? AND r.id > ?))) "
    "ORDER BY r.parked_by, r.channel, r.id LIMIT ?";
// By records_by_parked: one step of a walk over its first column.
constexpr std::string_view kNextParkedBy =
    "SELECT parked_by FROM notification_records FORCE INDEX (records_by_parked) WHERE parked_by > ? "
    "ORDER BY parked_by LIMIT 1";
// By records_by_parked. {0}: columns.
constexpr std::string_view kFindParkedForChannel =
    "SELECT {0} FROM notification_records AS r FORCE INDEX (records_by_parked) "
    "WHERE r.parked_by = 'channel_unknown' AND r.channel = ? ORDER BY r.id LIMIT ?";
// By records_by_due: one step of a walk over its first two columns.
constexpr std::string_view kNextChannel =
    "SELECT channel FROM notification_records FORCE INDEX (records_by_due) WHERE shard = ? AND channel > ? "
    "ORDER BY channel LIMIT 1";

constexpr std::size_t kPartsPerStatement = 64;

Record Read(mysql::Row& row) {
  const auto span = [&](std::size_t column) -> std::optional<microseconds> {
    if (row.IsNull(column)) return std::nullopt;
    return microseconds(row.Int(column));
  };
  Record record;
  record.id = row.Int(0);
  record.version = static_cast<std::uint32_t>(row.Unsigned(1));
  record.status = ParseDeliveryStatus(row.Text(2)).value_or(DeliveryStatus::kPending);
  record.shard = static_cast<int>(row.Int(3));
  record.tenant = row.TakeText(4);
  record.channel = row.TakeText(5);
  record.dedupe_key = row.TakeText(6);
  record.ordering_hash = row.TextOr(7, "");
  record.is_private = row.Bool(8);
  record.uncertain = row.Bool(9);
  record.attempt_no = static_cast<int>(row.Int(10));
  record.attempts_spent = static_cast<int>(row.Int(11));
  record.max_attempts = static_cast<int>(row.Int(12));
  record.parked_by = row.TextOr(13, "");
  record.lease_owner = row.TextOr(14, "");
  record.send_key = row.TextOr(15, "");
  record.send_key_age = span(16);
  record.held_for = span(17);
  record.expires_in = span(18);
  record.unchanged_for = span(19).value_or(microseconds{0});
  record.committed_at = row.OptionalTime(20);
  record.read_at = row.Time(21);
  record.reason = row.TextOr(22, "");
  record.sealed_by = row.TextOr(23, "");
  record.counted_in_quota = row.Bool(24);
  record.form_no = static_cast<int>(row.Int(25));
  if (row.size() > 26 && !row.IsNull(26)) record.request = row.TakeText(26);
  return record;
}

Result<std::vector<Record>> ReadAll(Result<mysql::Rows> found) {
  if (!found) return std::unexpected(found.error());
  std::vector<Record> records;
  records.reserve(found->rows.size());
  for (mysql::Row& row : found->rows) records.push_back(Read(row));
  return records;
}

std::string IdList(std::span<const std::int64_t> ids) { return fmt::format("[{}]", fmt::join(ids, ",")); }

std::string Cut(std::string_view text, std::size_t characters) { return std::string(CutCodePoints(text, characters)); }

std::string Dump(const nlohmann::json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ClaimList(std::span<const RecordStore::ClaimKey> keys) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& key : keys) list.push_back({key.id, key.version, key.send_key});
  return Dump(list);
}

std::string RecordList(std::span<const Change* const> changes) {
  nlohmann::json list = nlohmann::json::array();
  for (const Change* change : changes) {
    list.push_back({change->id, change->version, ToString(change->from), ToString(change->to), Cut(change->reason, 64),
                    change->due_in ? std::max<std::int64_t>(change->due_in->count(), 0) : -1,
                    Cut(change->parked_by, 64), change->give_attempt_back ? 1 : 0, change->uncertain ? 1 : 0,
                    static_cast<int>(change->held), change->writes_answer ? 1 : 0, Cut(change->last_error, 2000),
                    Cut(change->provider, 32), Cut(change->provider_message_id, 128), Cut(change->provider_log_id, 128),
                    Cut(change->claim, 64), change->attempts_anew ? 1 : 0, change->new_send_key ? 1 : 0,
                    change->simpler_form ? 1 : 0});
  }
  return Dump(list);
}

std::string AttemptList(std::span<const Change* const> changes) {
  nlohmann::json list = nlohmann::json::array();
  for (const Change* change : changes) {
    const AttemptRow& row = *change->attempt;
    list.push_back({change->id, row.attempt_no, row.started_ago.count(), row.duration.count(), Cut(row.worker, 128),
                    Cut(row.provider, 32), Cut(row.verdict, 16), Cut(row.reason, 64), row.http_status,
                    Cut(row.provider_code, 64), Cut(row.provider_log_id, 128), Cut(row.detail, 2000),
                    Cut(row.answer, 4000)});
  }
  return Dump(list);
}

// Parts in a UNION ALL, as many as a power of two, so that few texts are ever prepared.
std::string Union(std::string_view part, std::size_t count) {
  std::string sql;
  for (std::size_t i = 0; i < count; ++i) sql += (i == 0 ? "" : " UNION ALL ") + fmt::format(fmt::runtime(part), i);
  return sql;
}

}  // namespace

Result<std::vector<RecordStore::DueRow>> RecordStore::FindDue(mysql::MysqlConnection& connection,
                                                              std::span<const DueQuery> queries,
                                                              microseconds horizon) const {
  std::vector<DueRow> due;
  for (std::size_t first = 0; first < queries.size(); first += kPartsPerStatement) {
    const auto part = queries.subspan(first, std::min(kPartsPerStatement, queries.size() - first));
    std::vector<mysql::Param> params;
    for (const DueQuery& query : part) {
      params.insert(params.end(), {std::int64_t{query.shard}, query.channel, std::int64_t{query.priority},
                                   std::int64_t{horizon.count()}, static_cast<std::uint64_t>(query.limit)});
    }
    const std::size_t padded = std::bit_ceil(part.size());
    for (std::size_t i = part.size(); i < padded; ++i) {
      params.insert(params.end(),
                    {std::int64_t{-1}, std::string_view(), std::int64_t{0}, std::int64_t{0}, std::uint64_t{1}});
    }
    auto found = connection.Execute(Union(kFindDuePart, padded), params);
    if (!found) return std::unexpected(found.error());
    for (const mysql::Row& row : found->rows) {
      due.push_back({first + row.Unsigned(0), row.Int(1), microseconds(row.Int(2))});
    }
  }
  return due;
}

Result<std::vector<Record>> RecordStore::ReadDue(mysql::MysqlConnection& connection,
                                                 std::span<const std::int64_t> ids) const {
  const std::string list = IdList(ids);
  return ReadAll(connection.Execute(fmt::format(kReadDue, kColumns), {std::string_view(list)}));
}

Result<std::vector<Record>> RecordStore::ReadWaiting(mysql::MysqlConnection& connection,
                                                     std::span<const std::int64_t> ids) const {
  const std::string list = IdList(ids);
  return ReadAll(connection.Execute(fmt::format(kReadWaiting, kColumns), {std::string_view(list)}));
}

Result<std::vector<Record>> RecordStore::Lock(mysql::MysqlConnection& connection,
                                              std::span<const std::int64_t> ids) const {
  std::vector<Record> records;
  for (std::size_t first = 0; first < ids.size(); first += kPartsPerStatement) {
    const auto part = ids.subspan(first, std::min(kPartsPerStatement, ids.size() - first));
    std::vector<mysql::Param> params(part.begin(), part.end());
    params.resize(std::bit_ceil(part.size()), std::int64_t{0});
    auto read = ReadAll(connection.Execute(fmt::format(kLock, kColumns, mysql::Placeholders(params.size())), params));
    if (!read) return std::unexpected(read.error());
    std::ranges::move(*read, std::back_inserter(records));
  }
  return records;
}

Result<std::size_t> RecordStore::Claim(mysql::MysqlConnection& connection, std::span<const ClaimKey> keys,
                                       std::string_view token, std::chrono::milliseconds lease) const {
  const std::string list = ClaimList(keys);
  auto done = connection.Execute(kClaim, {std::string_view(list), token, std::int64_t{microseconds(lease).count()}});
  if (!done) return std::unexpected(done.error());
  return static_cast<std::size_t>(done->affected);
}

Result<std::vector<std::int64_t>> RecordStore::FindClaimed(mysql::MysqlConnection& connection,
                                                           std::span<const ClaimKey> keys,
                                                           std::string_view token) const {
  const std::string list = ClaimList(keys);
  auto found = connection.Execute(kFindClaimed, {std::string_view(list), token});
  if (!found) return std::unexpected(found.error());
  std::vector<std::int64_t> ids;
  for (const mysql::Row& row : found->rows) ids.push_back(row.Int(0));
  return ids;
}

Result<std::size_t> RecordStore::Write(mysql::MysqlConnection& connection, std::span<const Change> changes) const {
  std::size_t changed = 0;
  const AlikeChanges groups = GroupSent(changes);
  for (const auto& group : groups.sent) {
    auto sent = WriteSent(connection, group);
    if (!sent) return sent;
    changed += *sent;
  }
  if (!groups.others.empty()) {
    const std::string list = RecordList(groups.others);
    auto written = connection.Execute(kWrite, {std::string_view(list)});
    if (!written) return std::unexpected(written.error());
    changed += static_cast<std::size_t>(written->affected);
  }
  if (changed != changes.size()) return changed;

  const AlikeAttempts attempts = GroupAttempts(changes);
  for (const auto& group : attempts.alike) {
    if (auto inserted = WriteAttempts(connection, group); !inserted) return std::unexpected(inserted.error());
  }
  if (!attempts.others.empty()) {
    const std::string rows = AttemptList(attempts.others);
    auto inserted = connection.Execute(kWriteAttempts, {std::string_view(rows)});
    if (!inserted) return std::unexpected(inserted.error());
  }
  std::vector<std::int64_t> forgotten;
  for (const Change& change : changes) {
    if (change.ends() && change.is_private) forgotten.push_back(change.id);
  }
  if (!forgotten.empty()) {
    const std::string ids = IdList(forgotten);
    auto wiped = connection.Execute(kForget, {std::string_view(ids)});
    if (!wiped) return std::unexpected(wiped.error());
  }
  return changed;
}

Result<std::vector<RecordStore::Standing>> RecordStore::Compare(mysql::MysqlConnection& connection,
                                                                std::span<const Change> changes) const {
  nlohmann::json list = nlohmann::json::array();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    list.push_back({i, changes[i].id, changes[i].attempt ? changes[i].attempt->attempt_no : 0});
  }
  const std::string text = Dump(list);
  auto found = connection.Execute(kCompare, {std::string_view(text)});
  if (!found) return std::unexpected(found.error());
  std::vector<Standing> standings(changes.size(), Standing::kElsewhere);
  for (const mysql::Row& row : found->rows) {
    const std::size_t place = row.Unsigned(0);
    const Change& change = changes[place];
    const std::uint64_t version = row.Unsigned(1);
    const bool is_claims = change.claim.empty() || row.TextOr(4, "") == change.claim;
    if (version == change.version && row.Text(2) == ToString(change.from) && is_claims) {
      standings[place] = Standing::kAsRead;
    } else if (change.attempt ? row.TextOr(3, "") == change.attempt->verdict
                              : version == change.version + 1 && row.Text(2) == ToString(change.to)) {
      standings[place] = Standing::kWritten;
    }
  }
  return standings;
}

Result<std::vector<Record>> RecordStore::FindExpiredLeases(mysql::MysqlConnection& connection,
                                                           std::size_t limit) const {
  return ReadAll(connection.Execute(fmt::format(kFindExpiredLeases, kColumns), {static_cast<std::uint64_t>(limit)}));
}

Result<std::vector<Record>> RecordStore::FindParked(mysql::MysqlConnection& connection, const ParkedPlace& after,
                                                    std::size_t limit) const {
  const std::string_view by = after.parked_by;
  const std::string_view channel = after.channel;
  return ReadAll(connection.Execute(fmt::format(kFindParked, kColumns),
                                    {by, by, channel, channel, after.id, static_cast<std::uint64_t>(limit)}));
}

Result<std::string> RecordStore::NextParkedBy(mysql::MysqlConnection& connection, std::string_view after) const {
  auto found = connection.Execute(kNextParkedBy, {after});
  if (!found) return std::unexpected(found.error());
  return found->rows.empty() ? std::string() : found->rows.front().Text(0);
}

Result<std::vector<Record>> RecordStore::FindParkedForChannel(mysql::MysqlConnection& connection,
                                                              std::string_view channel, std::size_t limit) const {
  return ReadAll(
      connection.Execute(fmt::format(kFindParkedForChannel, kColumns), {channel, static_cast<std::uint64_t>(limit)}));
}

Result<std::string> RecordStore::NextChannel(mysql::MysqlConnection& connection, int shard,
                                             std::string_view after) const {
  auto found = connection.Execute(kNextChannel, {std::int64_t{shard}, after});
  if (!found) return std::unexpected(found.error());
  return found->rows.empty() ? std::string() : found->rows.front().Text(0);
}

}  // namespace outrider::consumer
