#include "consumer/alike_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "model/text.h"

namespace outrider::consumer {
namespace {

using mysql::Param;

// By primary key, point by point. {0}: placeholders for the ids, {1}: the message id.
constexpr std::string_view kWriteSent =
    "UPDATE notification_records AS r FORCE INDEX (PRIMARY) SET r.status = 'sent', r.reason = NULL, "
    "r.version = r.version + 1, r.due_at = NULL, r.parked_by = NULL, r.lease_owner = NULL, r.uncertain = FALSE, "
    "r.held_since = NULL, r.last_error = NULL, r.provider = NULLIF(?, ''), "
    "r.provider_log_id = NULLIF(ELT(FIELD(r.id, {0}), {0}), ''), r.provider_message_id = {1}, r.sent_at = NOW(6), "
    "r.updated_at = NOW(6) WHERE r.id IN ({0}) AND r.version = ? AND r.status = 'sending'";
constexpr std::string_view kMessageId = "NULLIF(ELT(FIELD(r.id, {0}), {0}), '')";
// An append at many places of the primary key (record_id, attempt_no); the records by theirs. Counted back from the
// record's own time, as in RecordStore.
constexpr std::string_view kWriteAttempts =
    "INSERT INTO notification_attempts (record_id, attempt_no, started_at, duration_us, worker, provider, verdict, "
    "reason, http_status, provider_code, provider_log_id, detail, answer) "
    "SELECT k.record_id, k.attempt_no, r.updated_at - INTERVAL k.ago_us MICROSECOND, k.duration_us, ?, ?, ?, ?, ?, ?, "
    "k.log_id, ?, NULLIF(?, '') "
    "FROM JSON_TABLE(?, '$[*]' COLUMNS (record_id BIGINT UNSIGNED PATH '$[0]', attempt_no INT PATH '$[1]', "
    "ago_us BIGINT PATH '$[2]', duration_us BIGINT PATH '$[3]', log_id VARCHAR(128) CHARACTER SET utf8mb4 PATH "
    "'$[4]')) AS k STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.record_id";

constexpr std::size_t kWorthAStatement = 8;  // fewer rows go with the others
constexpr std::size_t kLogId = 128;

// What isn't UTF-8 is mended on the way through JSON.
bool AreTexts(std::initializer_list<std::string_view> texts) { return std::ranges::all_of(texts, IsValidUtf8); }

bool IsOnlySent(const Change& change) {
  return change.from == DeliveryStatus::kSending && change.to == DeliveryStatus::kSent && change.claim.empty() &&
         change.reason.empty() && !change.due_in && change.parked_by.empty() && !change.give_attempt_back &&
         !change.attempts_anew && !change.new_send_key && !change.simpler_form && !change.uncertain &&
         change.held == Change::Held::kNo && change.writes_answer && change.last_error.empty() &&
         AreTexts({change.provider_log_id, change.provider_message_id});
}

// Groups that are worth a statement of their own, and the rest.
template <class Key>
void Share(std::map<Key, std::vector<const Change*>> groups, std::vector<std::vector<const Change*>>& alike,
           std::vector<const Change*>& others) {
  for (auto& [key, group] : groups) {
    if (group.size() >= kWorthAStatement) {
      alike.push_back(std::move(group));
    } else {
      others.insert(others.end(), group.begin(), group.end());
    }
  }
  std::ranges::sort(others, {}, &Change::id);
}

std::string_view Cut(std::string_view text, std::size_t characters) { return CutCodePoints(text, characters); }

}  // namespace

AlikeChanges GroupSent(std::span<const Change> changes) {
  AlikeChanges result;
  std::map<std::pair<std::uint32_t, std::string_view>, std::vector<const Change*>> groups;
  for (const Change& change : changes) {
    if (IsOnlySent(change)) {
      groups[{change.version, change.provider}].push_back(&change);
    } else {
      result.others.push_back(&change);
    }
  }
  Share(std::move(groups), result.sent, result.others);
  return result;
}

AlikeAttempts GroupAttempts(std::span<const Change> changes) {
  AlikeAttempts result;
  using Key = std::tuple<std::string_view, std::string_view, std::string_view, std::string_view, int, std::string_view,
                         std::string_view, std::string_view>;
  std::map<Key, std::vector<const Change*>> groups;
  for (const Change& change : changes) {
    if (!change.attempt) continue;
    const AttemptRow& row = *change.attempt;
    if (!AreTexts({row.reason, row.provider_code, row.detail, row.answer})) {
      result.others.push_back(&change);
      continue;
    }
    groups[{row.worker, row.provider, row.verdict, row.reason, row.http_status, row.provider_code, row.detail,
            row.answer}]
        .push_back(&change);
  }
  Share(std::move(groups), result.alike, result.others);
  return result;
}

Result<std::size_t> WriteSent(mysql::MysqlConnection& connection, std::span<const Change* const> group) {
  const std::size_t padded = std::bit_ceil(group.size());
  std::vector<Param> params;
  const auto add_ids = [&] {
    for (const Change* change : group) params.emplace_back(change->id);
    params.resize(params.size() + padded - group.size(), std::int64_t{0});
  };
  const auto add_texts = [&](std::string Change::*text) {
    for (const Change* change : group) params.emplace_back(Cut(change->*text, kLogId));
    params.resize(params.size() + padded - group.size(), std::string_view());
  };
  params.emplace_back(Cut(group.front()->provider, 32));
  add_ids();
  add_texts(&Change::provider_log_id);
  const bool have_messages =
      std::ranges::any_of(group, [](const Change* change) { return !change->provider_message_id.empty(); });
  if (have_messages) {
    add_ids();
    add_texts(&Change::provider_message_id);
  }
  add_ids();
  params.emplace_back(std::uint64_t{group.front()->version});
  const std::string marks = mysql::Placeholders(padded);
  auto written = connection.Execute(
      fmt::format(kWriteSent, marks, have_messages ? fmt::format(kMessageId, marks) : std::string("NULL")), params);
  if (!written) return std::unexpected(written.error());
  return static_cast<std::size_t>(written->affected);
}

Result<void> WriteAttempts(mysql::MysqlConnection& connection, std::span<const Change* const> group) {
  nlohmann::json list = nlohmann::json::array();
  for (const Change* change : group) {
    const AttemptRow& row = *change->attempt;
    list.push_back(
        {change->id, row.attempt_no, row.started_ago.count(), row.duration.count(), Cut(row.provider_log_id, kLogId)});
  }
  const std::string rows = list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const AttemptRow& all = *group.front()->attempt;
  auto inserted = connection.Execute(
      kWriteAttempts, {Cut(all.worker, 128), Cut(all.provider, 32), Cut(all.verdict, 16), Cut(all.reason, 64),
                       std::int64_t{all.http_status}, Cut(all.provider_code, 64), Cut(all.detail, 2000),
                       Cut(all.answer, 4000), std::string_view(rows)});
  if (!inserted) return std::unexpected(inserted.error());
  return {};
}

}  // namespace outrider::consumer
