// Row 22: records whose time is over are removed while others are claimed, and whoever removes them dies on the way.
#include <fmt/format.h>

#include "tests/fault/runner/row_faults.h"
#include "tests/support/process/wait_until.h"

namespace outrider::fault {
namespace {

constexpr int kOld = 4000;
// Not a partition's: the checker's own counts stay what they are.
constexpr int kNoShard = -1;

constexpr std::string_view kDigits =
    "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION "
    "ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
// Finished long ago, with a body still, and an attempt each.
constexpr std::string_view kAddOld =
    "INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, content_hash, status, "
    "shard, "
    "priority, attempt_no, attempts_spent, request, source_topic, source_partition, source_offset, created_at, "
    "updated_at, sent_at) SELECT UNHEX(SHA2(CONCAT('{0}', n.i), 256)), 'default', 'ops', CONCAT('{0}', n.i), UUID(), "
    "UNHEX(SHA2('old', 256)), 'sent', {1}, 1, 1, 1, '{{}}', 'old', 0, n.i, t.at, t.at, t.at FROM (SELECT a.d + 10 * "
    "b.d "
    "+ 100 * c.d + 1000 * e.d AS i FROM {2} a, {2} b, {2} c, {2} e) AS n, (SELECT UTC_TIMESTAMP(6) - INTERVAL 60 DAY "
    "AS "
    "at) AS t WHERE n.i < {3}";
constexpr std::string_view kAddAttempts =
    "INSERT INTO notification_attempts (record_id, attempt_no, started_at, worker, verdict) SELECT id, 1, sent_at, "
    "'old', 'accepted' FROM notification_records WHERE shard = {}";

}  // namespace

bool RowFaults::RemoveOld() {
  Say("records are removed, their remover killed", "process");
  auto records = installation_.Connect(installation_.records_database);
  const auto number = [&](const std::string& sql) {
    const auto rows = records->Execute(sql);
    return rows && !rows->rows.empty() ? rows->rows.front().Int(0) : -1;
  };
  const std::string counted =
      fmt::format("SELECT COALESCE(MAX(records), 0) FROM record_removals WHERE shard = {}", kNoShard);
  const std::int64_t before = number(counted);
  const std::string prefix = fmt::format("old-{:08x}-", random_());
  if (!records->Begin()) return false;
  for (const std::string& sql :
       {fmt::format(kAddOld, prefix, kNoShard, kDigits, kOld), fmt::format(kAddAttempts, kNoShard)}) {
    if (auto added = records->Execute(sql); !added) {
      records->Rollback();
      return false;
    }
  }
  if (!records->Commit()) return false;
  // Both, so that nobody else has removed everything before the one that breaks comes to it.
  for (const auto slot : kConsumers) installation_.Kill(slot);
  const bool crashed = CrashAtFailpoint(kConsumers[0], "retention.");
  Say("records are removed, their remover killed", "process");
  installation_.StartAll();
  // Each once, with its attempt, and each counted.
  const std::string left = fmt::format("SELECT COUNT(*) FROM notification_records WHERE shard = {}", kNoShard);
  const bool gone = testing::WaitUntil([&] { return number(left) == 0; }, std::chrono::seconds{60});
  return crashed && gone && number(counted) == before + kOld &&
         number("SELECT COUNT(*) FROM notification_attempts WHERE worker = 'old'") == 0;
}

}  // namespace outrider::fault
