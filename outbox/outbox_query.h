// OutboxQuery: what a person asks of a source's tables: where is the request of that dedupe key? Reads only. Threads:
// the connection's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

struct OutboxSighting {
  std::uint64_t seq = 0;
  std::string event_id;
  Timestamp created_at{};
  bool moved_aside = false;  // in outbox_dead, for `reason`
  std::string reason;
};

// The outbox has no index but its primary key, so a search looks at this many rows from the lowest seq up.
inline constexpr int kMaxRowsSearched = 10'000;

// Committed rows of that dedupe key that wait in the outbox, or were moved aside.
Result<std::vector<OutboxSighting>> FindInOutbox(mysql::MysqlConnection& connection, std::string_view source,
                                                 std::string_view table, std::string_view dedupe_key);

}  // namespace outrider::outbox
