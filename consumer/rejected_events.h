// RejectedEvents: the events that could not become a record, for a person who looks at them or tries them again.
//
// An event's bytes are never given out for showing: they may hold what is private. Threads: the connection's.
// Keeps nothing; a replay is there exactly when its transaction is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/event.h"
#include "model/request.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/crypto/sealer.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

struct RejectedView {
  std::int64_t id = 0;
  EventPosition position;
  std::string reason;
  std::vector<RequestFault> faults;
  std::optional<std::size_t> value_bytes;  // none: a tombstone, or too large to be kept
  Timestamp created_at{};
  std::string replayed_as;  // the new event's id; empty: it wasn't replayed
};

struct RejectedFilter {
  std::string reason, topic;              // empty: any
  std::optional<std::int64_t> before_id;  // keyset, newest first
  std::optional<std::int64_t> after_id;   // keyset, oldest first
  bool only_open = false;                 // not replayed yet
  std::size_t limit = 50;                 // at most 1000
};
Result<std::vector<RejectedView>> ListRejected(mysql::MysqlConnection& connection, const RejectedFilter& filter);
Result<std::optional<RejectedView>> FindRejectedById(mysql::MysqlConnection& connection, std::int64_t id);
// The event as it came; kNotFound. Its bytes may be missing (value_bytes).
Result<Event> ReadRejected(mysql::MysqlConnection& connection, std::int64_t id, const crypto::Sealer& sealer);
// Remembers that it was replayed. native_code 1062: it was before. REQUIRES: the transaction that writes the new event.
Result<void> MarkReplayed(mysql::MysqlConnection& connection, std::int64_t id, std::int64_t audit_id,
                          std::string_view event_id);

}  // namespace outrider::consumer
