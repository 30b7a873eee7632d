#include "app/delivery_bench/record_fill.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "model/request.h"

namespace outrider::app {
namespace {

constexpr std::size_t kRowsPerInsert = 10'000;
constexpr std::size_t kWriters = 2;

// Ten thousand numbers without a table to take them from. {0}: dedupe_hash, {1}: channel, {2}: status and what belongs
// to it, {3}: request, {4}: kDigits. Parameters: first number, prefix, shards, request's template, rows.
constexpr std::string_view kFill =
    "INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, content_hash, shard, "
    "priority, source_topic, source_partition, source_offset, committed_at, status, version, due_at, attempt_no, "
    "attempts_spent, provider, sent_at, request, updated_at) "
    "SELECT {0}, 'default', {1}, CONCAT(prefix, no), CONCAT(prefix, no), UNHEX(SHA2(no, 256)), "
    "shard, 1, 'outrider-bench', 0, no, NOW(6), {2}, {3}, NOW(6) FROM (SELECT first + n AS no, prefix, template, "
    "first_shard + "
    "MOD(n, shards) AS shard FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n FROM {4} AS a, {4} AS b, {4} AS "
    "c, {4} AS e) AS numbers CROSS JOIN (SELECT CAST(? AS UNSIGNED) AS first, ? AS prefix, ? AS template, CAST(? AS "
    "SIGNED) AS first_shard, CAST(? AS SIGNED) AS shards) AS words WHERE n < ? ORDER BY n) AS made";
constexpr std::string_view kDigits =
    "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 "
    "UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
constexpr std::string_view kHashOfKey = "UNHEX(SHA2(CONCAT(prefix, no), 256))";
constexpr std::string_view kSent = "'sent', 3, NULL, 1, 1, 'feishu_bot', NOW(6)";
constexpr std::string_view kPending = "'pending', 1, NOW(6), 0, 0, NULL, NULL";
constexpr std::string_view kDelayed = "'pending', 1, NOW(6) + INTERVAL 1 HOUR, 0, 0, NULL, NULL";
constexpr std::string_view kAddShard =
    "INSERT INTO consumer_shards (topic, partition_no) VALUES (?, ?) ON DUPLICATE KEY UPDATE shard = shard";
constexpr std::string_view kFirstShard = "SELECT MIN(shard) FROM consumer_shards WHERE topic = ?";
// The binary log of a bench's own fill is of no use to anybody; an account that may not switch it off goes on with it.
constexpr std::string_view kWithoutLog = "SET SESSION sql_log_bin = 0";

struct Rows {
  std::size_t count = 0;
  std::string prefix;
  std::string hash{kHashOfKey};
  std::string channel;
  std::string_view state;
  bool with_request = true;
  const DeliveryGround::Topic* topic = nullptr;  // whose shards; else nobody's
};

std::string OneOfTheBots(const DeliveryBenchOptions& options) {
  return fmt::format("CONCAT('bench-', 1 + MOD(no, {}))", options.channels);
}

// The first of as many as there are partitions.
Result<std::int64_t> Shards(DeliveryGround& ground, const DeliveryBenchOptions& options,
                            const DeliveryGround::Topic* topic) {
  if (topic == nullptr) return -1 - options.partitions;
  const std::string_view name = topic->name;
  for (int i = 0; i < options.partitions; ++i) {
    auto added = ground.connection().Execute(kAddShard, {name, std::int64_t{i}});
    if (!added) return std::unexpected(added.error());
  }
  auto first = ground.connection().Execute(kFirstShard, {name});
  if (!first) return std::unexpected(first.error());
  return first->rows.at(0).Int(0);
}

Result<void> Fill(DeliveryGround& ground, const DeliveryBenchOptions& options, const Rows& rows) {
  const auto first_shard = Shards(ground, options, rows.topic);
  if (!first_shard) return std::unexpected(first_shard.error());
  const RequestReading reading = ParseRequest(ground.Payload("@key", 0));
  const std::string request = ToJson(*reading.request);
  const std::string channel_of_template = ground.Channel(0);
  const std::string request_text =
      rows.with_request
          ? fmt::format("REPLACE(REPLACE(template, '\"{}\"', CONCAT('\"', {}, '\"')), '@key', CONCAT(prefix, no))",
                        channel_of_template, rows.channel)
          : "NULL";
  const std::string sql = fmt::format(kFill, rows.hash, rows.channel, rows.state, request_text, kDigits);
  Result<void> fault;
  std::mutex mutex;
  std::size_t next = 0;
  const auto write = [&] {
    mysql::MysqlOptions patient = ground.database();
    patient.io_timeout = std::chrono::minutes{10};
    auto connection = mysql::MysqlConnection::Open(patient);
    if (connection) (void)(*connection)->Execute(kWithoutLog);
    while (true) {
      std::size_t first = 0;
      {
        const std::lock_guard lock(mutex);
        if (!connection) fault = std::unexpected(connection.error());
        if (Stopped(options)) fault = Fail(ErrorCode::kUnavailable, "interrupted");
        if (!fault || next >= rows.count) return;
        first = next;
        next += kRowsPerInsert;
      }
      const std::size_t count = std::min(kRowsPerInsert, rows.count - first);
      auto done = (*connection)
                      ->Execute(sql, {static_cast<std::uint64_t>(first), std::string_view(rows.prefix),
                                      std::string_view(request), *first_shard, std::int64_t{options.partitions},
                                      static_cast<std::uint64_t>(count)});
      const std::lock_guard lock(mutex);
      if (!done) fault = std::unexpected(done.error());
    }
  };
  {
    std::vector<std::jthread> writers;
    for (std::size_t i = 0; i < kWriters; ++i) writers.emplace_back(write);
  }
  return fault;
}

}  // namespace

Result<void> FillFinished(DeliveryGround& ground, const DeliveryBenchOptions& options, std::size_t rows) {
  if (rows == 0) return {};
  Rows finished{rows, "finished-", {}, OneOfTheBots(options), kSent, false};
  finished.hash = fmt::format("UNHEX(RPAD(LPAD(HEX(CAST(no AS UNSIGNED) * {}), 16, '0'), 64, '5'))",
                              std::numeric_limits<std::uint64_t>::max() / rows);
  return Fill(ground, options, finished);
}

Result<void> FillPending(DeliveryGround& ground, const DeliveryBenchOptions& options,
                         const DeliveryGround::Topic& topic, std::size_t rows, std::string_view prefix) {
  return Fill(ground, options,
              {rows, std::string(prefix), std::string(kHashOfKey), OneOfTheBots(options), kPending, true, &topic});
}

Result<void> FillCrowd(DeliveryGround& ground, const DeliveryBenchOptions& options, const DeliveryGround::Topic& topic,
                       Crowd crowd) {
  Rows rows{options.crowd, "", std::string(kHashOfKey), "", kPending, true, &topic};
  switch (crowd) {
    case Crowd::kDelayed:
      rows.prefix = "delayed-";
      rows.channel = OneOfTheBots(options);
      rows.state = kDelayed;
      break;
    case Crowd::kWaiting:
      rows.prefix = "waiting-";
      rows.channel = fmt::format("'{}'", DeliveryGround::kSlow);
      break;
    case Crowd::kDead:
      rows.prefix = "dead-";
      rows.channel = fmt::format("IF(MOD(no, 2) = 0, '{}', '{}')", DeliveryGround::kDead, DeliveryGround::kSilent);
      break;
  }
  return Fill(ground, options, rows);
}

}  // namespace outrider::app
