#include "consumer/record_actions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/crypto/hmac.h"

namespace outrider::consumer {
namespace {

// {0}, {1}: the filter's index, in its order, and condition.
constexpr std::string_view kFindPage =
    "SELECT r.id FROM notification_records AS r FORCE INDEX ({0}) WHERE r.id > ? AND {1} ORDER BY r.id LIMIT ?";
// The same rows, all of them.
constexpr std::string_view kCount =
    "SELECT COUNT(*), CAST(COALESCE(SUM(r.request IS NULL), 0) AS UNSIGNED), "
    "CAST(COALESCE(SUM(r.request IS NOT NULL AND r.expires_at <= NOW(6)), 0) AS UNSIGNED) "
    "FROM notification_records AS r FORCE INDEX ({0}) WHERE {1}";
// Primary key of audit_log by audit_by_job (job, id).
constexpr std::string_view kFindJob =
    "SELECT action, actor, reason, detail FROM audit_log FORCE INDEX (audit_by_job) WHERE job = ? ORDER BY id LIMIT 1";
constexpr std::string_view kCountJob =
    "SELECT CAST(COALESCE(SUM(records), 0) AS UNSIGNED) FROM audit_log FORCE INDEX (audit_by_job) WHERE job = ?";
constexpr std::string_view kNow = "SELECT NOW(6)";

constexpr std::string_view kHasSomethingToSend =
    "r.request IS NOT NULL AND (r.expires_at IS NULL OR r.expires_at > NOW(6))";

std::string_view NameOf(DeliveryEvent event) {
  if (event == DeliveryEvent::kReplayed) return "replay";
  return event == DeliveryEvent::kDiscarded ? "discard" : "cancel";
}

// Which states the event is legal in, of those that are asked for.
std::vector<DeliveryStatus> StatusesOf(const ActionJob& job) {
  if (job.event == DeliveryEvent::kCancelled) return {DeliveryStatus::kPending, DeliveryStatus::kFailed};
  return {job.filter.status};
}

FilterSql ConditionOf(const ActionJob& job) {
  FilterSql sql = ToSql(job.filter, StatusesOf(job));
  // A record that is cancelled is so for good; one that is replayed may come back, and is another then.
  if (job.event == DeliveryEvent::kCancelled) return sql;
  sql.condition += " AND r.updated_at <= ?";
  sql.params.emplace_back(job.started_at);
  return sql;
}

Change Act(const Record& record, DeliveryEvent event) {
  Change change = MakeChange(record, event, kRecordMoved);
  if (event == DeliveryEvent::kReplayed) {
    change.due_in = std::chrono::microseconds{0};
    change.attempts_anew = true;
    change.new_send_key = true;
    change.uncertain = false;
    change.held = Change::Held::kNo;
    change.writes_answer = true;  // the old ones, away
  } else {
    change.reason = event == DeliveryEvent::kDiscarded ? "discarded" : "cancelled";
  }
  return change;
}

std::string Describe(const ActionJob& job) {
  std::string text = job.event == DeliveryEvent::kCancelled ? "unfinished" : std::string(ToString(job.filter.status));
  const auto add = [&](std::string_view what, const std::string& value) {
    if (!value.empty()) text += fmt::format(" {} {}", what, value);
  };
  add("channel", job.filter.channel);
  add("tenant", job.filter.tenant);
  add("reason", job.filter.reason);
  add("key", job.filter.dedupe_key);
  return text;
}

nlohmann::json ToJson(const ActionJob& job) {
  const RecordFilter& filter = job.filter;
  nlohmann::json json = {{"status", ToString(filter.status)}, {"started_at", FormatRfc3339(job.started_at)}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  add("tenant", filter.tenant);
  add("channel", filter.channel);
  add("reason", filter.reason);
  add("key", filter.dedupe_key);
  if (filter.after) json["after"] = FormatRfc3339(*filter.after);
  if (filter.before) json["before"] = FormatRfc3339(*filter.before);
  if (filter.limit > 0) json["limit"] = filter.limit;
  return json;
}

RecordFilter FilterFrom(const nlohmann::json& json) {
  const auto text = [&](const char* name) { return json.value(name, std::string()); };
  RecordFilter filter;
  filter.status = ParseDeliveryStatus(text("status")).value_or(DeliveryStatus::kDead);
  filter.tenant = text("tenant");
  filter.channel = text("channel");
  filter.reason = text("reason");
  filter.dedupe_key = text("key");
  filter.after = ParseRfc3339(text("after"));
  filter.before = ParseRfc3339(text("before"));
  filter.limit = json.value("limit", std::size_t{0});
  return filter;
}

}  // namespace

Result<ActionJob> RecordActions::Begin(DeliveryEvent event, RecordFilter filter, std::string actor,
                                       std::string reason) {
  auto connection = pool_.Acquire();
  if (!connection) return std::unexpected(connection.error());
  auto now = (*connection)->Execute(kNow);
  if (!now) return std::unexpected(now.error());
  return ActionJob{
      event, std::move(filter), std::move(actor), std::move(reason), crypto::RandomUuid(), now->rows.front().Time(0)};
}

Result<RecordActions::Resumed> RecordActions::Resume(const std::string& id) {
  auto connection = pool_.Acquire();
  if (!connection) return std::unexpected(connection.error());
  auto found = (*connection)->Execute(kFindJob, {std::string_view(id)});
  if (!found) return std::unexpected(found.error());
  if (found->rows.empty()) return Fail(ErrorCode::kNotFound, fmt::format("no job \"{}\" has changed anything", id));
  mysql::Row& row = found->rows.front();
  const auto detail = nlohmann::json::parse(row.Text(3), nullptr, false);
  const auto started_at = detail.is_object() ? ParseRfc3339(detail.value("started_at", "")) : std::nullopt;
  if (!started_at) return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not a job that can go on", id));
  Resumed resumed;
  resumed.job = {DeliveryEvent::kReplayed, FilterFrom(detail), row.TakeText(1), row.TakeText(2), id, *started_at};
  for (const DeliveryEvent event : {DeliveryEvent::kDiscarded, DeliveryEvent::kCancelled}) {
    if (row.Text(0) == NameOf(event)) resumed.job.event = event;
  }
  auto counted = (*connection)->Execute(kCountJob, {std::string_view(id)});
  if (!counted) return std::unexpected(counted.error());
  resumed.done = static_cast<std::size_t>(counted->rows.front().Unsigned(0));
  return resumed;
}

Result<RecordActions::Preview> RecordActions::Look(const ActionJob& job) {
  auto connection = pool_.Acquire();
  if (!connection) return std::unexpected(connection.error());
  const FilterSql sql = ConditionOf(job);
  auto counted = (*connection)->Execute(fmt::format(kCount, sql.index, sql.condition), sql.params);
  if (!counted) return std::unexpected(counted.error());
  const mysql::Row& row = counted->rows.front();
  Preview preview;
  preview.records = static_cast<std::size_t>(row.Unsigned(0));
  if (job.event == DeliveryEvent::kReplayed) {
    preview.without_body = static_cast<std::size_t>(row.Unsigned(1));
    preview.expired = static_cast<std::size_t>(row.Unsigned(2));
    preview.records -= preview.without_body + preview.expired;
  }
  if (job.filter.limit > 0) preview.records = std::min(preview.records, job.filter.limit);
  return preview;
}

Result<RecordActions::Batch> RecordActions::RunBatch(const ActionJob& job, std::int64_t after_id, std::size_t most) {
  FilterSql sql = ConditionOf(job);
  if (job.event == DeliveryEvent::kReplayed) sql.condition += fmt::format(" AND {}", kHasSomethingToSend);
  std::vector<std::int64_t> ids;
  {
    auto connection = pool_.Acquire();
    if (!connection) return std::unexpected(connection.error());
    std::vector<mysql::Param> params = {after_id};
    params.insert(params.end(), sql.params.begin(), sql.params.end());
    params.emplace_back(static_cast<std::uint64_t>(most));
    auto page = (*connection)->Execute(fmt::format(kFindPage, sql.index, sql.condition), params);
    if (!page) return std::unexpected(page.error());
    for (const mysql::Row& row : page->rows) ids.push_back(row.Int(0));
  }
  Batch batch;
  batch.finished = ids.size() < most;
  if (ids.empty()) return batch;
  batch.last_id = ids.back();
  const std::vector<DeliveryStatus> statuses = StatusesOf(job);
  auto done = pool_.InTransaction([&](mysql::MysqlConnection& connection) -> Result<void> {
    auto locked = store_.Lock(connection, ids);
    if (!locked) return std::unexpected(locked.error());
    std::erase_if(*locked, [&](const Record& record) {
      const bool changed_since =
          job.event != DeliveryEvent::kCancelled && record.read_at - record.unchanged_for > job.started_at;
      return changed_since || std::ranges::find(statuses, record.status) == statuses.end();
    });
    batch.changed = locked->size();
    batch.too_late = ids.size() - locked->size();
    if (locked->empty()) return {};
    std::vector<Change> changes;
    for (const Record& record : *locked) changes.push_back(Act(record, job.event));
    auto written = store_.Write(connection, changes);
    if (!written) return std::unexpected(written.error());
    if (*written != changes.size()) return Fail(ErrorCode::kUnavailable, "locked records changed");
    auto followed = ordering_.Follow(connection, changes, blocks_);
    if (!followed) return std::unexpected(followed.error());
    const AuditEntry entry{job.actor,     std::string(NameOf(job.event)),
                           Describe(job), job.reason,
                           job.id,        ToJson(job).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
    auto audited = AuditLog::Add(connection, entry, changes.size());
    if (!audited) return std::unexpected(audited.error());
    return AuditLog::AddRecords(connection, *audited, *locked);
  });
  if (!done) return std::unexpected(done.error());
  return batch;
}

}  // namespace outrider::consumer
