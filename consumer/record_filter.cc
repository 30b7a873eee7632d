#include "consumer/record_filter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace outrider::consumer {

FilterSql ToSql(const RecordFilter& filter, const std::vector<DeliveryStatus>& statuses) {
  FilterSql sql;
  sql.index = filter.dedupe_key.empty() ? "records_by_status" : "records_by_key";
  std::vector<std::string> parts = {fmt::format("r.status IN ({})", mysql::Placeholders(statuses.size()))};
  for (const DeliveryStatus status : statuses) sql.params.emplace_back(ToString(status));
  const auto equal = [&](std::string_view column, const std::string& value) {
    if (value.empty()) return;
    parts.push_back(fmt::format("r.{} = ?", column));
    sql.params.emplace_back(std::string_view(value));
  };
  equal("dedupe_key", filter.dedupe_key);
  equal("tenant", filter.tenant);
  equal("channel", filter.channel);
  equal("reason", filter.reason);
  if (filter.after) {
    parts.emplace_back("r.updated_at >= ?");
    sql.params.emplace_back(*filter.after);
  }
  if (filter.before) {
    parts.emplace_back("r.updated_at < ?");
    sql.params.emplace_back(*filter.before);
  }
  sql.condition = fmt::format("{}", fmt::join(parts, " AND "));
  return sql;
}

}  // namespace outrider::consumer
