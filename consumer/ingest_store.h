// IngestStore: every SQL statement of ingest, on a connection with an open transaction. Keeps nothing.
//
// Statements are few, whatever the batch: lists travel as one JSON array, rows in chunks of few sizes, so that
// texts are prepared once; no chunk has more than a few MiB unless a single row has.
// Errors: those of MysqlConnection. Native code 1062 of InsertRecords: another ingest was first with one of the keys.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/delivery_status.h"
#include "model/digest.h"
#include "model/event.h"
#include "model/request.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/crypto/sealer.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

struct ShardName {
  std::string topic;
  std::int32_t partition = 0;
  friend auto operator<=>(const ShardName&, const ShardName&) = default;
};

struct Shard {
  std::int64_t number = 0;
  std::int64_t next_offset = 0;
  std::int64_t counted = 0;  // events, by all four counters
};

struct Shards {
  Timestamp now{};  // the database's
  std::map<ShardName, Shard> found;
};

struct ShardMove {
  std::int64_t shard = 0;
  std::int64_t from = 0, to = 0;  // next_offset
  std::int64_t counted_before = 0;
  std::int64_t recorded = 0, duplicates = 0, conflicts = 0, rejected = 0, skipped = 0;
};

struct KnownRecord {
  std::int64_t id = 0;  // 0: of this batch
  std::string event_id;
  EventPosition position;
  Digest content_hash{};
  DeliveryStatus status = DeliveryStatus::kPending;
  std::int64_t version = 0;
  std::optional<Timestamp> committed_at;
};

// A row of notification_records as ingest writes it; what is viewed lives in the batch.
struct RecordRow {
  const EventPosition* position = nullptr;
  const NotificationRequest* request = nullptr;
  const Digest* dedupe_hash = nullptr;
  const Digest* content_hash = nullptr;
  const std::optional<Digest>* ordering_hash = nullptr;
  std::string_view event_id, request_json, metadata_json, traceparent, tracestate, source_key;  // empty metadata: NULL
  std::string_view recipient, sealed_by;
  std::string_view parked_by;  // empty: due
  std::string_view claim;      // the token that it is inserted as `sending` under; empty: pending
  std::string_view send_key;   // of the claim
  std::int64_t shard = 0;
  Timestamp due_at{}, now{};
  std::optional<Timestamp> committed_at;
};

struct RejectedRow {
  const Event* event = nullptr;
  const std::vector<RequestFault>* faults = nullptr;
  std::string_view reason;
  bool without_bytes = false;  // what is too large for the server is named by its position only
  bool withheld = false;       // its value may be private and there is no key: kept without it
};

// Rejected values are sealed where `sealer` has a key.
class IngestStore final {
 public:
  static Result<Shards> ReadShards(mysql::MysqlConnection& connection, const std::set<ShardName>& names);
  // REQUIRES: none of them was found, because each try takes a number of a small range.
  static Result<void> AddShards(mysql::MysqlConnection& connection, const std::vector<ShardName>& names);
  static Result<std::map<Digest, KnownRecord>> ReadRecords(mysql::MysqlConnection& connection,
                                                           const std::vector<const Digest*>& hashes);
  // In the order of `rows`, which is the order of arrival, and so of ids. Gives the first id; 0: no rows.
  static Result<std::int64_t> InsertRecords(mysql::MysqlConnection& connection, std::span<const RecordRow> rows);
  // The ids of the rows that were inserted under the claim, in their order. `first`: what InsertRecords() gave.
  static Result<std::vector<std::int64_t>> FindClaimed(mysql::MysqlConnection& connection, std::int64_t first,
                                                       std::string_view claim);
  // Dead or skipped becomes pending with another content. kConflict: the record has moved on.
  static Result<void> Reopen(mysql::MysqlConnection& connection, const KnownRecord& record, const RecordRow& row);
  // Which of these are kept already.
  static Result<std::set<const Event*>> FindRejected(mysql::MysqlConnection& connection,
                                                     std::span<const RejectedRow> rows, const crypto::Sealer* sealer);
  static Result<void> InsertRejected(mysql::MysqlConnection& connection, std::span<const RejectedRow> rows,
                                     const crypto::Sealer* sealer);
  // kConflict: another ingest has moved one of the shards since it was read.
  static Result<void> MoveShards(mysql::MysqlConnection& connection, const std::vector<ShardMove>& moves);
};

}  // namespace outrider::consumer
