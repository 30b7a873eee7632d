#include "consumer/ingest_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <utility>

#include "consumer/claim.h"
#include "consumer/sealed_request.h"
#include "model/text.h"
#include "platform/crypto/hmac.h"

namespace outrider::consumer {
namespace {

using Json = nlohmann::json;
using mysql::MysqlConnection;
using mysql::Param;

// Index shards_by_partition. {0}: "(topic = ? AND partition_no = ?) OR ...".
constexpr std::string_view kReadShards =
    "SELECT topic, partition_no, shard, next_offset, CAST(events_recorded + events_duplicate + events_conflicting + "
    "events_rejected AS SIGNED), NOW(6) FROM consumer_shards WHERE {0}";
// Another process may have added it since it was looked for. {0}: rows of placeholders.
constexpr std::string_view kAddShards =
    "INSERT INTO consumer_shards (topic, partition_no) VALUES {0} ON DUPLICATE KEY UPDATE shard = shard";
// Index records_by_dedupe_hash, one hash of the list after another.
constexpr std::string_view kReadRecords =
    "SELECT r.dedupe_hash, r.id, r.event_id, r.content_hash, r.status, r.version, r.committed_at, "
    "r.source_topic, r.source_partition, r.source_offset "
    "FROM JSON_TABLE(?, '$[*]' COLUMNS (hash CHAR(64) CHARACTER SET utf8mb4 PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (records_by_dedupe_hash) ON r.dedupe_hash = UNHEX(k.hash)";
// Not IGNORE, which hides truncation, nor ON DUPLICATE KEY, which doesn't tell which row was new. {0}: rows.
constexpr std::string_view kInsertRecords =
    "INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, content_hash, shard, "
    "due_at, "
    "parked_by, held_since, priority, ordering_hash, max_attempts, expires_at, private, recipient, request, sealed_by, "
    "metadata, traceparent, tracestate, source_topic, source_partition, source_offset, source_key, committed_at, "
    "status, version, attempt_no, attempts_spent, lease_owner, send_key, send_key_first_used_at) "
    "VALUES {0}";
// By primary key, from a place near its end: what was inserted since, by this transaction and those at the same time.
constexpr std::string_view kFindClaimed =
    "SELECT id FROM notification_records FORCE INDEX (PRIMARY) WHERE id >= ? AND lease_owner = ? ORDER BY id";
// Primary key, on the version that was read.
constexpr std::string_view kReopen =
    "UPDATE notification_records SET status = 'pending', reason = NULL, version = version + 1, attempts_spent = 0, "
    "counted_in_quota = FALSE, "
    "send_key = NULL, send_key_first_used_at = NULL, form_no = 0, uncertain = FALSE, lease_owner = NULL, provider = "
    "NULL, "
    "last_error = NULL, provider_message_id = NULL, provider_log_id = NULL, sent_at = NULL, updated_at = NOW(6), "
    "event_id = ?, content_hash = ?, shard = ?, due_at = ?, parked_by = ?, held_since = ?, priority = ?, "
    "ordering_hash = ?, max_attempts = ?, expires_at = ?, private = ?, recipient = ?, request = ?, sealed_by = ?, "
    "metadata = ?, traceparent = ?, tracestate = ?, source_topic = ?, source_partition = ?, source_offset = ?, "
    "source_key = ?, "
    "committed_at = ? WHERE id = ? AND version = ?";
// Index rejected_by_position. {0}: the condition below, for each, with OR.
constexpr std::string_view kFindRejected =
    "SELECT topic, partition_no, offset_no, LOWER(HEX(event_hash)) FROM rejected_events WHERE {0}";
constexpr std::string_view kAtPosition = "(topic = ? AND partition_no = ? AND offset_no = ? AND event_hash = UNHEX(?))";
// Index rejected_by_position: what is kept already stays. {0}: rows of placeholders.
constexpr std::string_view kInsertRejected =
    "INSERT INTO rejected_events (topic, partition_no, offset_no, event_hash, event_key, value, headers, reason, "
    "faults, sealed_by) "
    "VALUES {0} ON DUPLICATE KEY UPDATE id = id";
// Primary key, one shard of the list after another, in the list's order.
constexpr std::string_view kMoveShards =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (shard INT PATH '$[0]', from_offset BIGINT PATH '$[1]', "
    "to_offset BIGINT PATH '$[2]', recorded BIGINT PATH '$[3]', duplicates BIGINT PATH '$[4]', "
    "conflicts BIGINT PATH '$[5]', rejected BIGINT PATH '$[6]', skipped BIGINT PATH '$[7]', "
    "counted BIGINT PATH '$[8]')) AS m "
    "STRAIGHT_JOIN consumer_shards AS s FORCE INDEX (PRIMARY) ON s.shard = m.shard "
    "SET s.next_offset = m.to_offset, s.events_recorded = s.events_recorded + m.recorded, "
    "s.events_duplicate = s.events_duplicate + m.duplicates, "
    "s.events_conflicting = s.events_conflicting + m.conflicts, s.events_rejected = s.events_rejected + m.rejected, "
    "s.offsets_skipped = s.offsets_skipped + m.skipped, s.updated_at = NOW(6) "
    "WHERE s.next_offset = m.from_offset AND "
    "s.events_recorded + s.events_duplicate + s.events_conflicting + s.events_rejected = m.counted";

constexpr std::uint32_t kFirstVersion = 1;
constexpr std::size_t kMaxRowsPerStatement = 512;
constexpr std::size_t kMaxStatementBytes = 4 << 20;
constexpr std::size_t kRecordColumns = 33;
constexpr std::size_t kRejectedColumns = 10;

using Params = std::vector<Param>;

Param OrNull(std::string_view text) { return text.empty() ? Param(nullptr) : Param(text); }
Param OrNull(const std::optional<Timestamp>& time) { return time ? Param(*time) : Param(nullptr); }
std::int64_t Wide(std::int64_t number) { return number; }

// The largest of 1, 2, 3, 4, 6, 8, 12, 16 ...: few texts to prepare, few chunks for any number of rows.
std::size_t ChunkOf(std::size_t rows) {
  const std::size_t power = std::bit_floor(rows);
  return power >= 2 && rows >= power + power / 2 ? power + power / 2 : power;
}

// One statement per chunk, as large as the limits allow.
template <class Row, class Size, class Run>
Result<void> InChunks(std::span<const Row> rows, const Size& size_of, const Run& run) {
  while (!rows.empty()) {
    std::size_t count = ChunkOf(std::min(rows.size(), kMaxRowsPerStatement));
    const auto bytes = [&](std::size_t rows_counted) {
      std::size_t sum = 0;
      for (const Row& row : rows.first(rows_counted)) sum += size_of(row);
      return sum;
    };
    while (count > 1 && bytes(count) > kMaxStatementBytes) count = ChunkOf(count / 2);
    if (auto done = run(rows.first(count)); !done) return done;
    rows = rows.subspan(count);
  }
  return {};
}

// `condition` for each of `count` entries, made up to a power of two; the caller repeats its last parameters.
std::string AnyOf(std::string_view condition, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += fmt::format("{}{}", i == 0 ? "" : " OR ", condition);
  return text;
}

std::string Rows(std::string_view row, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", row);
  return text;
}

// What an insert and a reopening both write, in the order of both statements.
void AddContent(Params& params, const RecordRow& row) {
  const NotificationRequest& request = *row.request;
  const bool parked = !row.parked_by.empty();
  params.insert(params.end(), {row.event_id, AsBytes(*row.content_hash), Wide(row.shard)});
  params.push_back(parked ? Param(nullptr) : Param(row.due_at));
  params.push_back(OrNull(row.parked_by));
  params.push_back(parked ? Param(row.now) : Param(nullptr));
  params.push_back(Wide(static_cast<int>(request.priority)));
  params.push_back(*row.ordering_hash ? Param(AsBytes(**row.ordering_hash)) : Param(nullptr));
  params.push_back(Wide(request.max_attempts.value_or(0)));
  params.push_back(OrNull(request.expires_at));
  params.push_back(Wide(request.is_private ? 1 : 0));
  params.push_back(row.recipient);
  params.insert(params.end(), {row.request_json, OrNull(row.sealed_by), OrNull(row.metadata_json),
                               OrNull(row.traceparent), OrNull(row.tracestate), std::string_view(row.position->topic),
                               Wide(row.position->partition), Wide(row.position->offset), row.source_key});
  params.push_back(OrNull(row.committed_at));
}

void AddClaim(Params& params, const RecordRow& row) {
  const bool claimed = !row.claim.empty();
  params.push_back(ToString(claimed ? DeliveryStatus::kSending : DeliveryStatus::kPending));
  params.push_back(Wide(claimed ? kVersionOfFreshClaim : kFirstVersion));
  params.insert(params.end(), {Wide(claimed ? 1 : 0), Wide(claimed ? 1 : 0), OrNull(row.claim), OrNull(row.send_key)});
  params.push_back(row.send_key.empty() ? Param(nullptr) : Param(row.now));
}

std::size_t Bytes(const RecordRow& row) {
  return row.request_json.size() + row.metadata_json.size() + 4096;  // the other columns have limits below that
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json TextOrBytes(std::string_view bytes) {
  if (IsValidUtf8(bytes)) return std::string(bytes);
  return Json{{"base64", crypto::Base64(bytes)}};
}

// A rejected row with what its columns view.
struct StoredRejected {
  const RejectedRow* row;
  std::string headers, faults;
  Digest hash;
  std::optional<crypto::Sealer::Sealed> sealed;
};

// A plain hash of a short text is found by trying.
Digest HashOf(const std::string& event, const crypto::Sealer* sealer) {
  const auto macs = sealer == nullptr ? std::vector<crypto::Sealer::Mac>() : sealer->Macs("rejected", event);
  return macs.empty() ? Sha256(event) : DigestFromBytes(macs.front().bytes).value();
}

StoredRejected Prepare(const RejectedRow& row, const crypto::Sealer* sealer) {
  const Event& event = *row.event;
  Json headers = Json::array();
  for (const EventHeader& header : event.headers) {
    headers.push_back({TextOrBytes(header.name), header.value ? TextOrBytes(*header.value) : Json()});
  }
  Json faults = Json::array();
  for (const RequestFault& fault : *row.faults) {
    faults.push_back({{"pointer", fault.pointer}, {"problem", fault.problem}});
  }
  StoredRejected stored{&row, Dump(headers), Dump(faults), {}, {}};
  const std::string_view key = event.key ? std::string_view(*event.key) : std::string_view();
  const std::string_view value = event.value && !row.withheld ? std::string_view(*event.value) : std::string_view();
  stored.hash =
      HashOf(fmt::format("{}:{}:{}:{}:", key.size(), value.size(), event.key.has_value(), event.value.has_value()) +
                 std::string(key) + std::string(value) + stored.headers,
             sealer);
  if (sealer != nullptr && event.value && !row.without_bytes && !row.withheld) {
    stored.sealed = sealer->Seal(*event.value, RejectedContext(event.position));
  }
  if (row.without_bytes) stored.headers = "[]";
  return stored;
}

std::size_t Bytes(const StoredRejected& stored) {
  const Event& event = *stored.row->event;
  return (event.value ? event.value->size() : 0) + (event.key ? event.key->size() : 0) + stored.headers.size() +
         stored.faults.size() + 1024;
}

KnownRecord ReadRecord(mysql::Row& row) {
  KnownRecord record;
  record.id = row.Int(1);
  record.event_id = row.TakeText(2);
  record.content_hash = DigestFromBytes(row.Text(3)).value_or(Digest{});
  record.status = ParseDeliveryStatus(row.Text(4)).value_or(DeliveryStatus::kPending);
  record.version = row.Int(5);
  record.committed_at = row.OptionalTime(6);
  record.position = {row.TakeText(7), static_cast<std::int32_t>(row.Int(8)), row.Int(9)};
  return record;
}

}  // namespace

Result<Shards> IngestStore::ReadShards(MysqlConnection& connection, const std::set<ShardName>& names) {
  const std::size_t count = std::bit_ceil(names.size());
  Params params;
  for (const ShardName& name : names) params.insert(params.end(), {std::string_view(name.topic), Wide(name.partition)});
  while (params.size() < 2 * count) {
    params.insert(params.end(), {std::string_view(names.begin()->topic), Wide(names.begin()->partition)});
  }
  auto rows = connection.Execute(fmt::format(kReadShards, AnyOf("(topic = ? AND partition_no = ?)", count)), params);
  if (!rows) return std::unexpected(rows.error());
  Shards shards;
  for (mysql::Row& row : rows->rows) {
    const ShardName name{row.TakeText(0), static_cast<std::int32_t>(row.Int(1))};
    shards.found[name] = Shard{row.Int(2), row.Int(3), row.Int(4)};
    shards.now = row.Time(5);
  }
  return shards;
}

Result<void> IngestStore::AddShards(MysqlConnection& connection, const std::vector<ShardName>& names) {
  Params params;
  for (const ShardName& name : names) params.insert(params.end(), {std::string_view(name.topic), Wide(name.partition)});
  auto added = connection.Execute(fmt::format(kAddShards, Rows("(?, ?)", names.size())), params);
  if (!added) return std::unexpected(added.error());
  return {};
}

Result<std::map<Digest, KnownRecord>> IngestStore::ReadRecords(MysqlConnection& connection,
                                                               const std::vector<const Digest*>& hashes) {
  std::map<Digest, KnownRecord> records;
  if (hashes.empty()) return records;
  Json list = Json::array();
  for (const Digest* hash : hashes) list.push_back(ToHex(AsBytes(*hash)));
  const std::string text = Dump(list);
  auto rows = connection.Execute(kReadRecords, {std::string_view(text)});
  if (!rows) return std::unexpected(rows.error());
  for (mysql::Row& row : rows->rows) {
    const Digest hash = DigestFromBytes(row.Text(0)).value_or(Digest{});
    records[hash] = ReadRecord(row);
  }
  return records;
}

Result<std::int64_t> IngestStore::InsertRecords(MysqlConnection& connection, std::span<const RecordRow> rows) {
  const auto bytes = [](const RecordRow& row) { return Bytes(row); };
  std::int64_t first = 0;
  auto done = InChunks(rows, bytes, [&](std::span<const RecordRow> chunk) -> Result<void> {
    Params params;
    params.reserve(chunk.size() * kRecordColumns);
    for (const RecordRow& row : chunk) {
      const NotificationRequest& request = *row.request;
      params.insert(params.end(), {AsBytes(*row.dedupe_hash), std::string_view(request.tenant),
                                   std::string_view(request.channel), std::string_view(request.dedupe_key)});
      AddContent(params, row);
      AddClaim(params, row);
    }
    auto inserted =
        connection.Execute(fmt::format(kInsertRecords, mysql::PlaceholderRows(chunk.size(), kRecordColumns)), params);
    if (!inserted) return std::unexpected(inserted.error());
    if (first == 0) first = static_cast<std::int64_t>(inserted->insert_id);
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return first;
}

Result<std::vector<std::int64_t>> IngestStore::FindClaimed(MysqlConnection& connection, std::int64_t first,
                                                           std::string_view claim) {
  auto found = connection.Execute(kFindClaimed, {first, claim});
  if (!found) return std::unexpected(found.error());
  std::vector<std::int64_t> ids;
  ids.reserve(found->rows.size());
  for (const mysql::Row& row : found->rows) ids.push_back(row.Int(0));
  return ids;
}

Result<void> IngestStore::Reopen(MysqlConnection& connection, const KnownRecord& record, const RecordRow& row) {
  Params params;
  AddContent(params, row);
  params.insert(params.end(), {record.id, record.version});
  auto updated = connection.Execute(kReopen, params);
  if (!updated) return std::unexpected(updated.error());
  if (updated->affected != 1) return Fail(ErrorCode::kConflict, "a record to be re-opened has moved on");
  return {};
}

Result<std::set<const Event*>> IngestStore::FindRejected(MysqlConnection& connection, std::span<const RejectedRow> rows,
                                                         const crypto::Sealer* sealer) {
  std::set<const Event*> found;
  std::vector<StoredRejected> stored;
  for (const RejectedRow& row : rows) stored.push_back(Prepare(row, sealer));
  const auto bytes = [](const StoredRejected&) { return std::size_t{512}; };
  auto done = InChunks(std::span<const StoredRejected>(stored), bytes, [&](auto chunk) -> Result<void> {
    Params params;
    std::vector<std::string> hashes;
    hashes.reserve(chunk.size());
    for (const StoredRejected& one : chunk) {
      const EventPosition& at = one.row->event->position;
      hashes.push_back(ToHex(AsBytes(one.hash)));
      params.insert(params.end(),
                    {std::string_view(at.topic), Wide(at.partition), Wide(at.offset), std::string_view(hashes.back())});
    }
    auto kept = connection.Execute(fmt::format(kFindRejected, AnyOf(kAtPosition, chunk.size())), params);
    if (!kept) return std::unexpected(kept.error());
    for (const mysql::Row& row : kept->rows) {
      const EventPosition at{row.Text(0), static_cast<std::int32_t>(row.Int(1)), row.Int(2)};
      for (std::size_t i = 0; i < chunk.size(); ++i) {
        if (chunk[i].row->event->position == at && hashes[i] == row.Text(3)) found.insert(chunk[i].row->event);
      }
    }
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return found;
}

Result<void> IngestStore::InsertRejected(MysqlConnection& connection, std::span<const RejectedRow> rows,
                                         const crypto::Sealer* sealer) {
  std::vector<StoredRejected> stored;
  for (const RejectedRow& row : rows) stored.push_back(Prepare(row, sealer));
  const auto bytes = [](const StoredRejected& one) { return Bytes(one); };
  return InChunks(std::span<const StoredRejected>(stored), bytes, [&](auto chunk) -> Result<void> {
    Params params;
    for (const StoredRejected& one : chunk) {
      const Event& event = *one.row->event;
      const EventPosition& at = event.position;
      params.insert(params.end(), {std::string_view(at.topic), Wide(at.partition), Wide(at.offset), AsBytes(one.hash)});
      const auto kept = [&](const std::optional<std::string>& bytes_of) {
        return bytes_of && !one.row->without_bytes ? Param(std::string_view(*bytes_of)) : Param(nullptr);
      };
      const Param value = one.sealed ? Param(std::string_view(one.sealed->bytes))
                                     : (one.row->withheld ? Param(nullptr) : kept(event.value));
      params.insert(params.end(), {kept(event.key), value, std::string_view(one.headers), one.row->reason,
                                   std::string_view(one.faults)});
      params.push_back(one.sealed ? Param(std::string_view(one.sealed->key_id)) : Param(nullptr));
    }
    auto inserted = connection.Execute(
        fmt::format(kInsertRejected, mysql::PlaceholderRows(chunk.size(), kRejectedColumns)), params);
    if (!inserted) return std::unexpected(inserted.error());
    return {};
  });
}

Result<void> IngestStore::MoveShards(MysqlConnection& connection, const std::vector<ShardMove>& moves) {
  if (moves.empty()) return {};
  Json list = Json::array();
  for (const ShardMove& move : moves) {
    list.push_back({move.shard, move.from, move.to, move.recorded, move.duplicates, move.conflicts, move.rejected,
                    move.skipped, move.counted_before});
  }
  const std::string text = Dump(list);
  auto moved = connection.Execute(kMoveShards, {std::string_view(text)});
  if (!moved) return std::unexpected(moved.error());
  if (moved->affected != moves.size()) return Fail(ErrorCode::kConflict, "another ingest has moved a shard");
  return {};
}

}  // namespace outrider::consumer
