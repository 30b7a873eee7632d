// RecordQuery: what people ask of the records (`show`, `ls`, the API). Reads only; every search goes by a named index
// and by pages. Bodies and recipients of private records are never given out. Threads: the connection's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/pauses.h"
#include "consumer/record_filter.h"
#include "model/delivery_status.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

struct AttemptView {
  int attempt_no = 0;
  Timestamp started_at{};
  std::optional<std::int64_t> duration_us;
  std::string worker, provider, verdict, reason, provider_code, provider_log_id, detail;
  int http_status = 0;
};

// What was done to a record by a person, or by an event that opened it again.
struct ActionView {
  Timestamp at{};
  std::string actor, action, reason;
  std::string was_status, was_reason;
  bool was_uncertain = false;
};

struct RecordView {
  std::int64_t id = 0;
  std::string tenant, channel, dedupe_key, event_id, recipient;
  DeliveryStatus status = DeliveryStatus::kPending;
  std::string reason, parked_by, last_error, provider, provider_message_id, provider_log_id;
  bool uncertain = false;
  bool is_private = false;
  int priority = 1;
  int attempt_no = 0, attempts_spent = 0;
  std::optional<Timestamp> send_key_used_at;  // first; while there is one
  std::optional<Timestamp> due_at, committed_at, sent_at, expires_at;
  Timestamp created_at{}, updated_at{};
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::string aggregate_id;
  std::string ordering_hash;  // while it is unfinished

  // Filled by FindByKey and FindById only.
  std::vector<AttemptView> attempts;
  std::vector<ActionView> actions;
  std::int64_t behind = 0;    // the record of its ordering key that it waits for
  bool behind_dead = false;   // which is dead and holds the key
  std::vector<Pause> paused;  // its channel, its tenant
};

// The records of that dedupe key (several tenants and channels may share it; the 1000 oldest), with their attempts.
Result<std::vector<RecordView>> FindByKey(mysql::MysqlConnection& connection, std::string_view dedupe_key);

Result<std::optional<RecordView>> FindById(mysql::MysqlConnection& connection, std::int64_t id);

struct ListFilter {
  std::optional<DeliveryStatus> status;
  std::optional<std::int64_t> before_id;  // keyset: the last id of the page before
  std::size_t limit = 50;                 // at most 1000
};
// Newest first.
Result<std::vector<RecordView>> ListRecords(mysql::MysqlConnection& connection, const ListFilter& filter);
// The same of those that a filter describes, at most 1000; `before_id` as above.
Result<std::vector<RecordView>> ListRecords(mysql::MysqlConnection& connection, const RecordFilter& filter,
                                            std::optional<std::int64_t> before_id);

}  // namespace outrider::consumer
