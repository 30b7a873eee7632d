#include "consumer/rejected_events.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "consumer/sealed_request.h"
#include "platform/crypto/hmac.h"

namespace outrider::consumer {
namespace {

using Json = nlohmann::json;

// The primary key, from its end or from its beginning; replays by theirs. {0}: conditions, {1}: direction.
constexpr std::string_view kList =
    "SELECT e.id, e.topic, e.partition_no, e.offset_no, e.reason, e.faults, LENGTH(e.value), e.created_at, r.event_id "
    "FROM rejected_events AS e FORCE INDEX (PRIMARY) LEFT JOIN rejected_replays AS r FORCE INDEX (PRIMARY) "
    "ON r.rejected_id = e.id WHERE {0} ORDER BY e.id {1} LIMIT ?";
// Primary key.
constexpr std::string_view kRead =
    "SELECT topic, partition_no, offset_no, event_key, value, headers, sealed_by FROM rejected_events WHERE id = ?";
// An append somewhere in the primary key.
constexpr std::string_view kMark = "INSERT INTO rejected_replays (rejected_id, audit_id, event_id) VALUES (?, ?, ?)";

constexpr std::size_t kMaxPage = 1000;

std::vector<RequestFault> ReadFaults(std::string_view text) {
  std::vector<RequestFault> faults;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array()) return faults;
  for (const Json& fault : json) {
    if (fault.is_object()) faults.push_back({fault.value("pointer", ""), fault.value("problem", "")});
  }
  return faults;
}

RejectedView ReadView(mysql::Row& row) {
  RejectedView view;
  view.id = row.Int(0);
  view.position = {row.TakeText(1), static_cast<std::int32_t>(row.Int(2)), row.Int(3)};
  view.reason = row.TakeText(4);
  view.faults = ReadFaults(row.Text(5));
  if (!row.IsNull(6)) view.value_bytes = static_cast<std::size_t>(row.Unsigned(6));
  view.created_at = row.Time(7);
  view.replayed_as = row.TextOr(8, "");
  return view;
}

// As ingest wrote them: a text, or {"base64": ...} for bytes that aren't one.
std::string TextOrBytes(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_object()) return "";
  return crypto::DecodeBase64(json.value("base64", "")).value_or("");
}

Result<std::vector<RejectedView>> List(mysql::MysqlConnection& connection, const std::vector<std::string>& conditions,
                                       std::string_view direction, std::vector<mysql::Param> params,
                                       std::size_t limit) {
  params.emplace_back(std::uint64_t{std::min(limit, kMaxPage)});
  auto rows = connection.Execute(fmt::format(kList, fmt::join(conditions, " AND "), direction), params);
  if (!rows) return std::unexpected(rows.error());
  std::vector<RejectedView> views;
  for (mysql::Row& row : rows->rows) views.push_back(ReadView(row));
  return views;
}

}  // namespace

Result<std::vector<RejectedView>> ListRejected(mysql::MysqlConnection& connection, const RejectedFilter& filter) {
  std::vector<std::string> conditions = {"e.id > ?", "e.id < ?"};
  std::vector<mysql::Param> params = {filter.after_id.value_or(0),
                                      filter.before_id.value_or(std::numeric_limits<std::int64_t>::max())};
  const auto equal = [&](std::string_view column, const std::string& value) {
    if (value.empty()) return;
    conditions.push_back(fmt::format("e.{} = ?", column));
    params.emplace_back(std::string_view(value));
  };
  equal("reason", filter.reason);
  equal("topic", filter.topic);
  if (filter.only_open) conditions.emplace_back("r.rejected_id IS NULL");
  return List(connection, conditions, filter.after_id ? "ASC" : "DESC", std::move(params), filter.limit);
}

Result<std::optional<RejectedView>> FindRejectedById(mysql::MysqlConnection& connection, std::int64_t id) {
  auto views = List(connection, {"e.id = ?"}, "ASC", {id}, 1);
  if (!views) return std::unexpected(views.error());
  if (views->empty()) return std::nullopt;
  return std::move(views->front());
}

Result<Event> ReadRejected(mysql::MysqlConnection& connection, std::int64_t id, const crypto::Sealer& sealer) {
  auto rows = connection.Execute(kRead, {id});
  if (!rows) return std::unexpected(rows.error());
  if (rows->rows.empty()) return Fail(ErrorCode::kNotFound, fmt::format("there is no rejected event {}", id));
  mysql::Row& row = rows->rows.front();
  Event event;
  event.position = {row.TakeText(0), static_cast<std::int32_t>(row.Int(1)), row.Int(2)};
  if (!row.IsNull(3)) event.key = row.TakeText(3);
  if (!row.IsNull(4)) event.value = row.TakeText(4);
  if (event.value && !row.IsNull(6)) {
    const std::string key_id = row.TakeText(6);
    event.value = sealer.Open(key_id, *event.value, RejectedContext(event.position));
    if (!event.value) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format("rejected event {} is sealed under key \"{}\", which isn't configured (sealing.keys), or "
                              "its bytes were changed",
                              id, key_id));
    }
  }
  const Json headers = Json::parse(row.Text(5), nullptr, false);
  if (!headers.is_array()) return event;
  for (const Json& header : headers) {
    if (!header.is_array() || header.size() != 2) continue;
    EventHeader& read = event.headers.emplace_back();
    read.name = TextOrBytes(header[0]);
    if (!header[1].is_null()) read.value = TextOrBytes(header[1]);
  }
  return event;
}

Result<void> MarkReplayed(mysql::MysqlConnection& connection, std::int64_t id, std::int64_t audit_id,
                          std::string_view event_id) {
  auto marked = connection.Execute(kMark, {id, audit_id, event_id});
  if (!marked) return std::unexpected(marked.error());
  return {};
}

}  // namespace outrider::consumer
