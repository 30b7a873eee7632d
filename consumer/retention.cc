#include "consumer/retention.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "consumer/quotas.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Index records_by_keeping (keep_stage, kept_since, id), a part of it in its order; whether a dead one holds its key by
// the blocks' primary key. What somebody else has locked is left to them.
constexpr std::string_view kFind =
    "SELECT r.id, r.shard, r.kept_since, r.status = 'dead' AND EXISTS (SELECT 1 FROM ordering_blocks AS b WHERE "
    "b.record_id = r.id) FROM notification_records AS r FORCE INDEX (records_by_keeping) WHERE r.keep_stage = ? AND "
    "r.kept_since >= ? AND r.kept_since <= NOW(6) - INTERVAL ? MICROSECOND AND (r.kept_since > ? OR r.id > ?) "
    "ORDER BY r.kept_since, r.id LIMIT ? FOR UPDATE SKIP LOCKED";
// Primary key. The version moves, so that nobody brings a record back that was read with its body. Not updated_at:
// kept_since is made of it.
constexpr std::string_view kRemoveBodies =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "SET r.request = NULL, r.sealed_by = NULL, r.version = r.version + 1";
// Primary key (record_id, attempt_no).
constexpr std::string_view kRemoveAttempts =
    "DELETE a FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_attempts AS a FORCE INDEX (PRIMARY) ON a.record_id = k.id";
// Primary key.
constexpr std::string_view kRemoveRecords =
    "DELETE r FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id";
// Primary key, in the order of the shards.
constexpr std::string_view kCountRemoved =
    "INSERT INTO record_removals (shard, records) VALUES (?, ?) ON DUPLICATE KEY UPDATE records = records + ?, "
    "updated_at = NOW(6)";
// The primary key from its beginning, which holds the oldest: what isn't old ends the look.
constexpr std::string_view kFindRejected =
    "SELECT id, created_at <= NOW(6) - INTERVAL ? MICROSECOND FROM rejected_events FORCE INDEX (PRIMARY) ORDER BY id "
    "LIMIT ? FOR UPDATE SKIP LOCKED";
// Primary keys.
constexpr std::string_view kRemoveReplays =
    "DELETE p FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN rejected_replays AS p FORCE INDEX (PRIMARY) ON p.rejected_id = k.id";
constexpr std::string_view kRemoveRejected =
    "DELETE e FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN rejected_events AS e FORCE INDEX (PRIMARY) ON e.id = k.id";

// A batch of ingest may have read the time, and found no record, this long before it writes one.
constexpr std::chrono::hours kLongestIngest{1};
constexpr int kWithoutBody = 3;  // what a stage grows by when the body goes

std::string IdList(const std::vector<std::int64_t>& ids) { return fmt::format("[{}]", fmt::join(ids, ",")); }

Result<void> Run(mysql::MysqlConnection& connection, std::string_view sql, const std::string& ids) {
  auto done = connection.Execute(sql, {std::string_view(ids)});
  if (!done) return std::unexpected(done.error());
  return {};
}

std::int64_t Micros(milliseconds time) { return microseconds(time).count(); }

}  // namespace

Retention::Retention(RetentionOptions options, mysql::MysqlPool& pool, RetentionProbe& probe, Log& log)
    : options_(options), pool_(pool), probe_(probe), log_(log) {}

Result<std::size_t> Retention::InBatch(const Work& remove) {
  std::size_t removed = 0;
  auto done = pool_.InTransaction([&](mysql::MysqlConnection& connection) -> Result<void> {
    const auto rows = remove(connection);
    if (!rows) return std::unexpected(rows.error());
    removed = *rows;
    if (removed == 0) return {};
    if (auto failure = PassFailpoint(Failpoint::kRetentionBeforeCommit)) return std::unexpected(*failure);
    return {};
  });
  if (!done) return std::unexpected(done.error());
  if (removed > 0) (void)PassFailpoint(Failpoint::kRetentionAfterCommit);
  return removed;
}

Result<void> Retention::RemoveFinished(int stage, milliseconds kept, Round& round) {
  Place& place = places_[static_cast<std::size_t>(stage - 1)];
  const bool with_body = stage <= kWithoutBody;
  Place last;
  bool full = false;
  const auto removed = InBatch([&](mysql::MysqlConnection& connection) -> Result<std::size_t> {
    auto found = connection.Execute(kFind, {std::int64_t{stage}, place.since, Micros(kept), place.since, place.id,
                                            static_cast<std::uint64_t>(options_.batch)});
    if (!found) return std::unexpected(found.error());
    full = found->rows.size() == options_.batch;
    std::vector<std::int64_t> ids;
    std::map<std::int64_t, std::int64_t> by_shard;
    for (const mysql::Row& row : found->rows) {
      last = {row.Time(2), row.Int(0)};
      if (row.Bool(3)) continue;
      ids.push_back(row.Int(0));
      ++by_shard[row.Int(1)];
    }
    if (ids.empty()) return 0;
    const std::string list = IdList(ids);
    if (with_body) {
      if (auto done = consumer::Run(connection, kRemoveBodies, list); !done) return std::unexpected(done.error());
      return ids.size();
    }
    for (const std::string_view sql : {kRemoveAttempts, kRemoveRecords}) {
      if (auto done = consumer::Run(connection, sql, list); !done) return std::unexpected(done.error());
    }
    for (const auto& [shard, records] : by_shard) {
      auto counted = connection.Execute(kCountRemoved, {shard, records, records});
      if (!counted) return std::unexpected(counted.error());
    }
    return ids.size();
  });
  if (!removed) return std::unexpected(removed.error());
  place = full ? last : Place{};
  round.more = round.more || full;
  if (with_body) {
    round.bodies += *removed;
    probe_.BodiesRemoved(*removed);
  } else {
    round.records += *removed;
    probe_.RecordsRemoved(*removed);
  }
  return {};
}

Result<std::size_t> Retention::RemoveRejected(milliseconds kept) {
  const auto removed = InBatch([&](mysql::MysqlConnection& connection) -> Result<std::size_t> {
    auto found = connection.Execute(kFindRejected, {Micros(kept), static_cast<std::uint64_t>(options_.batch)});
    if (!found) return std::unexpected(found.error());
    std::vector<std::int64_t> ids;
    for (const mysql::Row& row : found->rows) {
      if (!row.Bool(1)) break;
      ids.push_back(row.Int(0));
    }
    if (ids.empty()) return 0;
    const std::string list = IdList(ids);
    for (const std::string_view sql : {kRemoveReplays, kRemoveRejected}) {
      if (auto done = consumer::Run(connection, sql, list); !done) return std::unexpected(done.error());
    }
    return ids.size();
  });
  if (removed) probe_.RejectedRemoved(*removed);
  return removed;
}

Result<Retention::Round> Retention::RunOnce() {
  Round round;
  const std::array bodies = {options_.sent, options_.skipped, options_.dead};  // stages 1, 2, 3
  const milliseconds memory = options_.dedupe_memory + kLongestIngest;
  for (int i = 0; i < kWithoutBody; ++i) {
    const milliseconds body = bodies[static_cast<std::size_t>(i)];
    if (auto done = RemoveFinished(i + 1, body, round); !done) return std::unexpected(done.error());
    if (auto done = RemoveFinished(i + 1 + kWithoutBody, std::max(body, memory), round); !done) {
      return std::unexpected(done.error());
    }
  }
  const auto add = [&](std::size_t& sum, const Result<std::size_t>& removed) -> Result<void> {
    if (!removed) return std::unexpected(removed.error());
    sum = *removed;
    round.more = round.more || sum == options_.batch;
    return {};
  };
  // An event that is read again is counted once, because it is found here.
  if (auto done = add(round.rejected, RemoveRejected(std::max(options_.rejected, memory))); !done) {
    return std::unexpected(done.error());
  }
  const auto counters = InBatch([&](auto& connection) { return Quotas::RemoveOld(connection, options_.batch); });
  if (auto done = add(round.counters, counters); !done) return std::unexpected(done.error());
  return round;
}

void Retention::Say(const Result<Round>& round) {
  if (!round) {
    if (complaint_ != round.error().message) log_.Warn("retention.waits", {{"why", round.error().message}});
    complaint_ = round.error().message;
    return;
  }
  complaint_.clear();
  if (round->bodies + round->records + round->rejected == 0) return;
  log_.Info("retention.removed",
            {{"bodies", round->bodies}, {"records", round->records}, {"rejected", round->rejected}});
}

void Retention::Run(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    const auto before = std::chrono::steady_clock::now();
    const auto round = RunOnce();
    Say(round);
    const auto worked = std::chrono::steady_clock::now() - before;
    std::unique_lock lock(mutex);
    const auto rest = round && round->more ? worked : std::chrono::steady_clock::duration(options_.idle);
    wake.wait_for(lock, stop, rest, [] { return false; });
  }
}

}  // namespace outrider::consumer
