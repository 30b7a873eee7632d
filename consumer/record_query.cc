#include "consumer/record_query.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "consumer/ordering_store.h"
#include "model/text.h"

namespace outrider::consumer {
namespace {

using mysql::MysqlConnection;

constexpr std::string_view kColumns =
    "id, tenant, channel, dedupe_key, event_id, IF(private, '', recipient), status, reason, parked_by, last_error, "
    "provider, provider_message_id, provider_log_id, uncertain, private, priority, attempt_no, attempts_spent, due_at, "
    "committed_at, sent_at, expires_at, created_at, updated_at, source_topic, source_partition, source_offset, "
    "source_key, open_ordering_hash, IF(send_key IS NULL, NULL, send_key_first_used_at)";
// Index records_by_key: one key, ids in order.
constexpr std::string_view kFindByKey = "SELECT {} FROM notification_records WHERE dedupe_key = ? ORDER BY id LIMIT ?";
// Primary key.
constexpr std::string_view kFindById = "SELECT {} FROM notification_records WHERE id = ? LIMIT ?";
// The primary key from its end.
constexpr std::string_view kListAll = "SELECT {} FROM notification_records WHERE id < ? ORDER BY id DESC LIMIT ?";
// Index records_by_status: one status, ids from the end. Forced, because for a small LIMIT MariaDB walks the primary
// key from its end instead, over all records of the other states.
constexpr std::string_view kListByStatus =
    "SELECT {} FROM notification_records FORCE INDEX (records_by_status) WHERE status = ? AND id < ? ORDER BY id DESC "
    "LIMIT ?";
// The filter's index, from its end. {1}, {2}: index and condition.
constexpr std::string_view kListMatching =
    "SELECT {0} FROM notification_records AS r FORCE INDEX ({1}) WHERE r.id < ? AND {2} ORDER BY r.id DESC LIMIT ?";
// Primary keys of both, one record of the list after another.
constexpr std::string_view kActions =
    "SELECT r.record_id, l.acted_at, l.actor, l.action, l.reason, r.was_status, r.was_reason, r.was_uncertain "
    "FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN audit_records AS r FORCE INDEX (PRIMARY) ON r.record_id = k.id "
    "STRAIGHT_JOIN audit_log AS l FORCE INDEX (PRIMARY) ON l.id = r.audit_id ORDER BY r.record_id, l.id";
// Primary key, one record of the list after another.
constexpr std::string_view kAttempts =
    "SELECT a.record_id, a.attempt_no, a.started_at, a.duration_us, a.worker, a.provider, a.verdict, a.reason, "
    "a.provider_code, a.provider_log_id, a.detail, a.http_status "
    "FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_attempts AS a FORCE INDEX (PRIMARY) ON a.record_id = k.id "
    "ORDER BY a.record_id, a.attempt_no";

constexpr std::size_t kMaxPage = 1000;

RecordView ReadView(mysql::Row& row) {
  std::size_t column = 0;
  const auto text = [&] { return row.TextOr(column++, ""); };
  const auto number = [&] { return row.Int(column++); };
  const auto time = [&] { return row.OptionalTime(column++); };
  RecordView view;
  view.id = number();
  view.tenant = text();
  view.channel = text();
  view.dedupe_key = text();
  view.event_id = text();
  view.recipient = text();
  view.status = ParseDeliveryStatus(text()).value_or(DeliveryStatus::kPending);
  view.reason = text();
  view.parked_by = text();
  view.last_error = text();
  view.provider = text();
  view.provider_message_id = text();
  view.provider_log_id = text();
  view.uncertain = number() != 0;
  view.is_private = number() != 0;
  view.priority = static_cast<int>(number());
  view.attempt_no = static_cast<int>(number());
  view.attempts_spent = static_cast<int>(number());
  view.due_at = time();
  view.committed_at = time();
  view.sent_at = time();
  view.expires_at = time();
  view.created_at = time().value_or(Timestamp{});
  view.updated_at = time().value_or(Timestamp{});
  view.topic = text();
  view.partition = static_cast<std::int32_t>(number());
  view.offset = number();
  view.aggregate_id = text();
  view.ordering_hash = text();
  view.send_key_used_at = time();
  return view;
}

AttemptView ReadAttempt(mysql::Row& row) {
  AttemptView attempt;
  attempt.attempt_no = static_cast<int>(row.Int(1));
  attempt.started_at = row.Time(2);
  if (!row.IsNull(3)) attempt.duration_us = row.Int(3);
  attempt.worker = row.TakeText(4);
  attempt.provider = row.TakeText(5);
  attempt.verdict = row.TakeText(6);
  attempt.reason = row.TakeText(7);
  attempt.provider_code = row.TakeText(8);
  attempt.provider_log_id = row.TakeText(9);
  attempt.detail = row.TakeText(10);
  attempt.http_status = static_cast<int>(row.Int(11));
  return attempt;
}

Result<std::vector<RecordView>> Read(MysqlConnection& connection, std::string_view sql,
                                     std::initializer_list<mysql::Param> params) {
  auto rows = connection.Execute(fmt::format(fmt::runtime(sql), kColumns), params);
  if (!rows) return std::unexpected(rows.error());
  std::vector<RecordView> views;
  for (mysql::Row& row : rows->rows) views.push_back(ReadView(row));
  return views;
}

Result<void> AddAttempts(MysqlConnection& connection, std::string_view ids,
                         std::map<std::int64_t, RecordView*>& by_id) {
  auto attempts = connection.Execute(kAttempts, {ids});
  if (!attempts) return std::unexpected(attempts.error());
  for (mysql::Row& row : attempts->rows) by_id.at(row.Int(0))->attempts.push_back(ReadAttempt(row));
  return {};
}

Result<void> AddActions(MysqlConnection& connection, std::string_view ids, std::map<std::int64_t, RecordView*>& by_id) {
  auto actions = connection.Execute(kActions, {ids});
  if (!actions) return std::unexpected(actions.error());
  for (mysql::Row& row : actions->rows) {
    by_id.at(row.Int(0))
        ->actions.push_back({row.Time(1), row.TakeText(2), row.TakeText(3), row.TakeText(4), row.TakeText(5),
                             row.TakeText(6), row.Bool(7)});
  }
  return {};
}

// What the unfinished ones among them wait for beside their time.
Result<void> AddReasonsToWait(MysqlConnection& connection, std::vector<RecordView>& views) {
  std::vector<std::string> keys;
  for (const RecordView& view : views) {
    if (!view.ordering_hash.empty()) keys.push_back(view.ordering_hash);
  }
  const OrderingStore ordering;
  auto heads = ordering.FindHeads(connection, keys);
  if (!heads) return std::unexpected(heads.error());
  auto blockers = ordering.FindBlockers(connection, keys);
  if (!blockers) return std::unexpected(blockers.error());
  auto pauses = ReadPauses(connection);
  if (!pauses) return std::unexpected(pauses.error());
  std::size_t key = 0;
  for (RecordView& view : views) {
    if (!view.ordering_hash.empty()) {
      const std::int64_t head = (*heads)[key++];
      const auto blocker = blockers->find(view.ordering_hash);
      view.behind_dead = blocker != blockers->end() && blocker->second < view.id;
      view.behind = view.behind_dead ? blocker->second : head == view.id ? 0 : head;
    }
    if (IsTerminal(view.status)) continue;
    for (const Pause& pause : *pauses) {
      if (pause.name == (pause.kind == PauseKind::kChannel ? view.channel : view.tenant)) view.paused.push_back(pause);
    }
  }
  return {};
}

Result<std::vector<RecordView>> WithStories(MysqlConnection& connection, Result<std::vector<RecordView>> views) {
  if (!views || views->empty()) return views;
  std::vector<std::int64_t> ids;
  std::map<std::int64_t, RecordView*> by_id;
  for (RecordView& view : *views) {
    ids.push_back(view.id);
    by_id[view.id] = &view;
  }
  const std::string list = fmt::format("[{}]", fmt::join(ids, ","));
  if (auto done = AddAttempts(connection, list, by_id); !done) return std::unexpected(done.error());
  if (auto done = AddActions(connection, list, by_id); !done) return std::unexpected(done.error());
  if (auto done = AddReasonsToWait(connection, *views); !done) return std::unexpected(done.error());
  return views;
}

}  // namespace

Result<std::vector<RecordView>> FindByKey(MysqlConnection& connection, std::string_view dedupe_key) {
  return WithStories(connection, Read(connection, kFindByKey, {TrimSpace(dedupe_key), std::uint64_t{kMaxPage}}));
}

Result<std::optional<RecordView>> FindById(MysqlConnection& connection, std::int64_t id) {
  auto views = WithStories(connection, Read(connection, kFindById, {id, std::uint64_t{1}}));
  if (!views) return std::unexpected(views.error());
  if (views->empty()) return std::nullopt;
  return std::move(views->front());
}

Result<std::vector<RecordView>> ListRecords(MysqlConnection& connection, const RecordFilter& filter,
                                            std::optional<std::int64_t> before_id) {
  const FilterSql sql = ToSql(filter, {filter.status});
  std::vector<mysql::Param> params = {before_id.value_or(std::numeric_limits<std::int64_t>::max())};
  params.insert(params.end(), sql.params.begin(), sql.params.end());
  params.emplace_back(std::uint64_t{std::min(filter.limit, kMaxPage)});
  auto rows = connection.Execute(fmt::format(kListMatching, kColumns, sql.index, sql.condition), params);
  if (!rows) return std::unexpected(rows.error());
  std::vector<RecordView> views;
  for (mysql::Row& row : rows->rows) views.push_back(ReadView(row));
  return views;
}

Result<std::vector<RecordView>> ListRecords(MysqlConnection& connection, const ListFilter& filter) {
  const std::int64_t before = filter.before_id.value_or(std::numeric_limits<std::int64_t>::max());
  const std::uint64_t limit = std::min(filter.limit, kMaxPage);
  if (!filter.status) return Read(connection, kListAll, {before, limit});
  return Read(connection, kListByStatus, {ToString(*filter.status), before, limit});
}

}  // namespace outrider::consumer
