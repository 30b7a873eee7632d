#include "consumer/audit_log.h"

#include <nlohmann/json.hpp>

#include "model/text.h"

namespace outrider::consumer {
namespace {

// Appends.
constexpr std::string_view kAdd =
    "INSERT INTO audit_log (actor, action, target, records, reason, job, detail) VALUES (?, ?, ?, ?, ?, NULLIF(?, ''), "
    "?)";
constexpr std::string_view kAddRecords =
    "INSERT INTO audit_records (record_id, audit_id, was_status, was_reason, was_uncertain) "
    "SELECT k.id, ?, k.was_status, k.was_reason, k.was_uncertain FROM JSON_TABLE(?, '$[*]' COLUMNS ("
    "id BIGINT UNSIGNED PATH '$[0]', was_status VARCHAR(16) CHARACTER SET utf8mb4 PATH '$[1]', "
    "was_reason VARCHAR(64) CHARACTER SET utf8mb4 PATH '$[2]', was_uncertain INT PATH '$[3]')) AS k";

constexpr std::size_t kMostActor = 191;
constexpr std::size_t kMostTarget = 255;
constexpr std::size_t kMostReason = 2000;

}  // namespace

Result<std::int64_t> AuditLog::Add(mysql::MysqlConnection& connection, const AuditEntry& entry, std::size_t records) {
  auto added = connection.Execute(
      kAdd, {CutCodePoints(entry.actor, kMostActor), std::string_view(entry.action),
             CutCodePoints(entry.target, kMostTarget), static_cast<std::uint64_t>(records),
             CutCodePoints(entry.reason, kMostReason), std::string_view(entry.job), std::string_view(entry.detail)});
  if (!added) return std::unexpected(added.error());
  return static_cast<std::int64_t>(added->insert_id);
}

Result<void> AuditLog::AddRecords(mysql::MysqlConnection& connection, std::int64_t entry,
                                  std::span<const Record> records) {
  nlohmann::json list = nlohmann::json::array();
  for (const Record& record : records) {
    list.push_back({record.id, ToString(record.status), record.reason, record.uncertain ? 1 : 0});
  }
  const std::string text = list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  auto added = connection.Execute(kAddRecords, {entry, std::string_view(text)});
  if (!added) return std::unexpected(added.error());
  return {};
}

}  // namespace outrider::consumer
