#include "outbox/outbox_query.h"

#include <fmt/format.h>

namespace outrider::outbox {
namespace {

// {0} is the outbox table, quoted. The head of the primary key, at most {1} rows; for a person, not for a loop.
constexpr std::string_view kWaiting =
    "SELECT seq, id, created_at FROM (SELECT seq, id, created_at, payload FROM {0} ORDER BY seq LIMIT {1}) AS head "
    "WHERE JSON_UNQUOTE(JSON_EXTRACT(payload, '$.dedupe_key')) = ?";
// The end of the primary key, the newest first, at most {0} rows. What was moved aside needn't be JSON.
constexpr std::string_view kMovedAside =
    "SELECT seq, event_id, created_at, reason FROM (SELECT source, seq, event_id, created_at, reason, payload "
    "FROM outbox_dead ORDER BY id DESC LIMIT {0}) AS newest WHERE source = ? "
    "AND IF(JSON_VALID(payload), JSON_UNQUOTE(JSON_EXTRACT(payload, '$.dedupe_key')), NULL) = ?";

}  // namespace

Result<std::vector<OutboxSighting>> FindInOutbox(mysql::MysqlConnection& connection, std::string_view source,
                                                 std::string_view table, std::string_view dedupe_key) {
  std::vector<OutboxSighting> sightings;
  const auto waiting =
      connection.Execute(fmt::format(kWaiting, mysql::QuoteIdentifier(table), kMaxRowsSearched), {dedupe_key});
  if (!waiting) return std::unexpected(waiting.error());
  for (const mysql::Row& row : waiting->rows) {
    sightings.push_back({row.Unsigned(0), row.Text(1), row.Time(2), false, ""});
  }
  const auto aside = connection.Execute(fmt::format(kMovedAside, kMaxRowsSearched), {source, dedupe_key});
  if (!aside) return std::unexpected(aside.error());
  for (const mysql::Row& row : aside->rows) {
    sightings.push_back({row.Unsigned(0), row.Text(1), row.Time(2), true, row.Text(3)});
  }
  return sightings;
}

}  // namespace outrider::outbox
