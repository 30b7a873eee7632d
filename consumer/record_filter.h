// RecordFilter: which records a person means, and the condition in SQL that says so, with the index that serves it.
// Values.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "model/delivery_status.h"
#include "model/time.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

// Empty: any.
struct RecordFilter {
  DeliveryStatus status = DeliveryStatus::kDead;
  std::string tenant, channel, reason, dedupe_key;
  std::optional<Timestamp> after, before;  // when the record came into that status
  std::size_t limit = 0;                   // 0: all
};

// On notification_records AS r. By records_by_status (status, id), or by records_by_key (dedupe_key, id) where a key is
// asked for; what else is asked for is looked at in the rows of that status, one after another.
struct FilterSql {
  std::string index;
  std::string condition;
  std::vector<mysql::Param> params;  // view the filter
};
// `statuses`: instead of the filter's own; several only with a key.
FilterSql ToSql(const RecordFilter& filter, const std::vector<DeliveryStatus>& statuses);

}  // namespace outrider::consumer
