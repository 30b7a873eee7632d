// RecordQuery: what people ask of the records (`show`, `ls`, the API). Reads only; every search goes by a named index
// and by pages. Bodies and recipients of private records are never given out. Threads: the connection's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

struct RecordView {
  std::int64_t id = 0;
  std::string tenant, channel, dedupe_key, event_id, recipient;
  DeliveryStatus status = DeliveryStatus::kPending;
  std::string reason, parked_by, last_error, provider, provider_message_id, provider_log_id;
  bool uncertain = false;
  bool is_private = false;
  int priority = 1;
  int attempt_no = 0, attempts_spent = 0;
  std::optional<Timestamp> due_at, committed_at, sent_at, expires_at;
  Timestamp created_at{}, updated_at{};
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::string aggregate_id;
  std::vector<AttemptView> attempts;  // filled by FindByKey only
};

// The records of that dedupe key (several tenants and channels may share it; the 1000 oldest), with their attempts.
Result<std::vector<RecordView>> FindByKey(mysql::MysqlConnection& connection, std::string_view dedupe_key);

struct ListFilter {
  std::optional<DeliveryStatus> status;
  std::optional<std::int64_t> before_id;  // keyset: the last id of the page before
  std::size_t limit = 50;                 // at most 1000
};
// Newest first.
Result<std::vector<RecordView>> ListRecords(mysql::MysqlConnection& connection, const ListFilter& filter);

}  // namespace outrider::consumer
