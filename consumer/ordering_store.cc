#include "consumer/ordering_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/digest.h"

namespace outrider::consumer {
namespace {

// One part of FindHeads: the first entry of records_by_open_ordering (open_ordering_hash, id). {0}: the key's index.
constexpr std::string_view kFindHeadPart =
    "(SELECT {0} AS place, id FROM notification_records FORCE INDEX (records_by_open_ordering) "
    "WHERE open_ordering_hash = ? ORDER BY id LIMIT 1)";
// By primary key. Nobody is waited for. {0}: placeholders.
constexpr std::string_view kLockUnfinished =
    "SELECT id FROM notification_records FORCE INDEX (PRIMARY) WHERE id IN ({0}) AND open_ordering_hash IS NOT NULL "
    "FOR UPDATE SKIP LOCKED";
// By primary key.
constexpr std::string_view kWake =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "SET r.parked_by = NULL, r.due_at = NOW(6), r.version = r.version + 1, r.updated_at = NOW(6) "
    "WHERE r.parked_by IN ('ordering_key', 'blocked_ordering_key') AND r.status IN ('pending', 'failed')";
// The records by primary key; an insert by the flights' own.
constexpr std::string_view kTakeOff =
    "INSERT INTO ordering_flights (ordering_hash, record_id) "
    "SELECT r.ordering_hash, r.id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "WHERE r.lease_owner = ? AND r.status = 'sending' AND r.ordering_hash IS NOT NULL";
// By primary key, one of the list after another: for `IN (...)` both servers scan so small a table, and wait for the
// locks of rows that are somebody else's.
constexpr std::string_view kLand =
    "DELETE f FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$[0]', hash CHAR(64) CHARACTER SET utf8mb4 "
    "PATH '$[1]')) AS k "
    "STRAIGHT_JOIN ordering_flights AS f FORCE INDEX (PRIMARY) ON f.ordering_hash = UNHEX(k.hash) "
    "WHERE f.record_id = k.id";
// By primary key, and the records by theirs. {0}: placeholders.
constexpr std::string_view kFindFlights =
    "SELECT f.ordering_hash, f.record_id, r.id IS NULL FROM ordering_flights AS f FORCE INDEX (PRIMARY) "
    "LEFT JOIN notification_records AS r FORCE INDEX (PRIMARY) "
    "ON r.id = f.record_id AND r.status = 'sending' AND r.ordering_hash = f.ordering_hash "
    "WHERE f.ordering_hash IN ({0})";
constexpr std::string_view kForgetLost =
    "DELETE f FROM JSON_TABLE(?, '$[*]' COLUMNS (hash CHAR(64) CHARACTER SET utf8mb4 PATH '$')) AS k "
    "STRAIGHT_JOIN ordering_flights AS f FORCE INDEX (PRIMARY) ON f.ordering_hash = UNHEX(k.hash) "
    "LEFT JOIN notification_records AS r "
    "ON r.id = f.record_id AND r.status = 'sending' AND r.ordering_hash = f.ordering_hash WHERE r.id IS NULL";
// The records by primary key. One that died before, was replayed and dies again is there already.
constexpr std::string_view kBlock =
    "INSERT INTO ordering_blocks (record_id, ordering_hash, channel, blocked_at) "
    "SELECT r.id, r.ordering_hash, r.channel, NOW(6) "
    "FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "WHERE r.status = 'dead' AND r.ordering_hash IS NOT NULL "
    "ON DUPLICATE KEY UPDATE ordering_hash = VALUES(ordering_hash), channel = VALUES(channel), blocked_at = NOW(6)";
// By blocks_by_key (ordering_hash, record_id), and the records by primary key. {0}: placeholders.
constexpr std::string_view kFindBlockers =
    "SELECT b.ordering_hash, MIN(b.record_id) FROM ordering_blocks AS b FORCE INDEX (blocks_by_key) "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = b.record_id AND r.status = 'dead' "
    "WHERE b.ordering_hash IN ({0}) GROUP BY b.ordering_hash";
// Both by primary key. Nobody is waited for. {0}: placeholders.
constexpr std::string_view kLockBlockers =
    "SELECT r.id FROM notification_records AS r FORCE INDEX (PRIMARY) "
    "JOIN ordering_blocks AS b FORCE INDEX (PRIMARY) ON b.record_id = r.id "
    "WHERE r.id IN ({0}) AND r.status = 'dead' FOR UPDATE SKIP LOCKED";
// By primary key.
constexpr std::string_view kParkHeld =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id "
    "SET r.parked_by = 'blocked_ordering_key', r.due_at = NULL, r.version = r.version + 1, r.updated_at = NOW(6) "
    "WHERE r.status IN ('pending', 'failed') AND (r.parked_by IS NULL OR r.parked_by = 'ordering_key')";
// The whole of a small table: as many rows as records wait for a person.
constexpr std::string_view kCountBlocked = "SELECT COUNT(*), MIN(blocked_at) FROM ordering_blocks";
// By blocks_by_channel (channel, record_id), all of it or its first part in order.
constexpr std::string_view kBlockedChannels = "SELECT DISTINCT channel FROM ordering_blocks";
constexpr std::string_view kBlocksOfChannel =
    "SELECT record_id, ordering_hash FROM ordering_blocks FORCE INDEX (blocks_by_channel) WHERE channel = ? "
    "ORDER BY record_id LIMIT ? FOR UPDATE SKIP LOCKED";
// By primary key.
constexpr std::string_view kUnblock =
    "DELETE b FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN ordering_blocks AS b FORCE INDEX (PRIMARY) ON b.record_id = k.id";

// The whole of a small table, its records by primary key; then by primary key. What is dead again by then was entered
// anew, at another time.
constexpr std::string_view kFindRisen =
    "SELECT b.record_id, b.blocked_at FROM ordering_blocks AS b LEFT JOIN notification_records AS r FORCE INDEX "
    "(PRIMARY) ON r.id = b.record_id AND r.status = 'dead' WHERE r.id IS NULL LIMIT ?";
constexpr std::string_view kForgetRisen = "DELETE FROM ordering_blocks WHERE record_id = ? AND blocked_at = ?";

constexpr std::size_t kKeysPerStatement = 64;
constexpr std::string_view kNoHash = "";

// Parts in a UNION ALL, as many as a power of two, so that few texts are ever prepared.
std::string Union(std::string_view part, std::size_t count) {
  std::string sql;
  for (std::size_t i = 0; i < count; ++i) sql += (i == 0 ? "" : " UNION ALL ") + fmt::format(fmt::runtime(part), i);
  return sql;
}

std::string IdList(std::span<const std::int64_t> ids) { return fmt::format("[{}]", fmt::join(ids, ",")); }

std::string IdList(std::span<const Change* const> changes) {
  std::vector<std::int64_t> ids;
  for (const Change* change : changes) ids.push_back(change->id);
  return IdList(ids);
}

// Runs a statement for at most 64 keys at a time, whose number is made up to a power of two.
template <class Take>
Result<void> ForKeys(mysql::MysqlConnection& connection, std::string_view sql, std::span<const std::string> keys,
                     const Take& take) {
  for (std::size_t first = 0; first < keys.size(); first += kKeysPerStatement) {
    const auto part = keys.subspan(first, std::min(kKeysPerStatement, keys.size() - first));
    std::vector<mysql::Param> params(std::bit_ceil(part.size()), std::string_view());
    std::ranges::copy(part, params.begin());
    auto done = connection.Execute(fmt::format(fmt::runtime(sql), mysql::Placeholders(params.size())), params);
    if (!done) return std::unexpected(done.error());
    for (mysql::Row& row : done->rows) take(row);
  }
  return {};
}

// Those of the records that the statement finds and locks. {0} of `sql`: their ids.
Result<std::vector<std::int64_t>> Lock(mysql::MysqlConnection& connection, std::string_view sql,
                                       std::span<const std::int64_t> ids) {
  std::vector<std::int64_t> locked;
  for (std::size_t first = 0; first < ids.size(); first += kKeysPerStatement) {
    const auto part = ids.subspan(first, std::min(kKeysPerStatement, ids.size() - first));
    std::vector<mysql::Param> params(part.begin(), part.end());
    params.resize(std::bit_ceil(part.size()), std::int64_t{0});
    auto found = connection.Execute(fmt::format(fmt::runtime(sql), mysql::Placeholders(params.size())), params);
    if (!found) return std::unexpected(found.error());
    for (const mysql::Row& row : found->rows) locked.push_back(row.Int(0));
  }
  return locked;
}

}  // namespace

Result<std::vector<std::int64_t>> OrderingStore::FindHeads(mysql::MysqlConnection& connection,
                                                           std::span<const std::string> ordering_hashes) const {
  std::vector<std::int64_t> heads(ordering_hashes.size(), 0);
  for (std::size_t first = 0; first < ordering_hashes.size(); first += kKeysPerStatement) {
    const auto part = ordering_hashes.subspan(first, std::min(kKeysPerStatement, ordering_hashes.size() - first));
    std::vector<mysql::Param> params(std::bit_ceil(part.size()), kNoHash);
    for (std::size_t i = 0; i < part.size(); ++i) params[i] = std::string_view(part[i]);
    auto found = connection.Execute(Union(kFindHeadPart, params.size()), params);
    if (!found) return std::unexpected(found.error());
    for (const mysql::Row& row : found->rows) heads[first + row.Unsigned(0)] = row.Int(1);
  }
  return heads;
}

Result<std::vector<std::int64_t>> OrderingStore::LockUnfinished(mysql::MysqlConnection& connection,
                                                                std::span<const std::int64_t> ids) const {
  return Lock(connection, kLockUnfinished, ids);
}

Result<std::size_t> OrderingStore::Wake(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids) const {
  const std::string list = IdList(ids);
  auto woken = connection.Execute(kWake, {std::string_view(list)});
  if (!woken) return std::unexpected(woken.error());
  return static_cast<std::size_t>(woken->affected);
}

Result<std::set<std::string>> OrderingStore::Follow(mysql::MysqlConnection& connection, std::span<const Change> changes,
                                                    const KeyPolicy& blocks) const {
  std::vector<const Change*> landed;
  std::vector<const Change*> holding;
  std::vector<std::int64_t> risen;    // dead no more
  std::map<std::string, bool> freed;  // and whether a dead record may hold the key
  std::set<std::string> channels;
  for (const Change& change : changes) {
    if (change.ordering_hash.empty()) continue;
    if (change.from == DeliveryStatus::kDead) risen.push_back(change.id);
    const bool lands = change.from == DeliveryStatus::kSending;
    if (lands) landed.push_back(&change);
    // An earlier record that was brought back may wait for this one to land, whatever became of it.
    if (!change.ends() && !lands) continue;
    const bool may_be_held = blocks(change.channel);
    if (change.to == DeliveryStatus::kDead && may_be_held) holding.push_back(&change);
    freed.emplace(change.ordering_hash, may_be_held);
    channels.insert(change.channel);
  }
  if (!risen.empty()) {
    if (auto done = Unblock(connection, risen); !done) return std::unexpected(done.error());
  }
  if (!landed.empty()) {
    if (auto done = Land(connection, landed); !done) return std::unexpected(done.error());
  }
  if (!holding.empty()) {
    if (auto done = Block(connection, holding); !done) return std::unexpected(done.error());
  }
  for (const bool may_be_held : {false, true}) {
    std::vector<std::string> keys;
    for (const auto& [key, holdable] : freed) {
      if (holdable == may_be_held) keys.push_back(key);
    }
    if (auto done = WakeNext(connection, keys, may_be_held); !done) return std::unexpected(done.error());
  }
  return channels;
}

Result<void> OrderingStore::WakeNext(mysql::MysqlConnection& connection, std::span<const std::string> keys,
                                     bool may_be_held) const {
  if (keys.empty()) return {};
  auto heads = FindHeads(connection, keys);
  if (!heads) return std::unexpected(heads.error());
  std::map<std::string, std::int64_t> blockers;
  if (may_be_held) {
    auto found = FindBlockers(connection, keys);
    if (!found) return std::unexpected(found.error());
    blockers = std::move(*found);
  }
  std::vector<std::int64_t> free;
  std::vector<std::int64_t> held;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::int64_t head = (*heads)[i];
    if (head == 0) continue;
    const auto blocker = blockers.find(keys[i]);
    (blocker != blockers.end() && blocker->second < head ? held : free).push_back(head);
  }
  std::ranges::sort(free);
  std::ranges::sort(held);
  if (!free.empty()) {
    if (auto woken = Wake(connection, free); !woken) return std::unexpected(woken.error());
  }
  if (!held.empty()) {
    if (auto parked = ParkHeld(connection, held); !parked) return std::unexpected(parked.error());
  }
  return {};
}

Result<void> OrderingStore::TakeOff(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids,
                                    std::string_view token) const {
  const std::string list = IdList(ids);
  auto entered = connection.Execute(kTakeOff, {std::string_view(list), token});
  if (!entered) return std::unexpected(entered.error());
  return {};
}

Result<void> OrderingStore::Land(mysql::MysqlConnection& connection, std::span<const Change* const> changes) const {
  nlohmann::json list = nlohmann::json::array();
  for (const Change* change : changes) list.push_back({change->id, ToHex(change->ordering_hash)});
  const std::string text = list.dump();
  auto landed = connection.Execute(kLand, {std::string_view(text)});
  if (!landed) return std::unexpected(landed.error());
  return {};
}

Result<std::map<std::string, OrderingStore::Flight>> OrderingStore::FindFlights(
    mysql::MysqlConnection& connection, std::span<const std::string> ordering_hashes) const {
  std::map<std::string, Flight> flights;
  auto done = ForKeys(connection, kFindFlights, ordering_hashes, [&](mysql::Row& row) {
    flights[row.TakeText(0)] = {row.Int(1), row.Bool(2)};
  });
  if (!done) return std::unexpected(done.error());
  return flights;
}

Result<void> OrderingStore::ForgetLost(mysql::MysqlConnection& connection,
                                       std::span<const std::string> ordering_hashes) const {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& hash : ordering_hashes) list.push_back(ToHex(hash));
  const std::string text = list.dump();
  auto forgotten = connection.Execute(kForgetLost, {std::string_view(text)});
  if (!forgotten) return std::unexpected(forgotten.error());
  return {};
}

Result<void> OrderingStore::Block(mysql::MysqlConnection& connection, std::span<const Change* const> changes) const {
  const std::string list = IdList(changes);
  auto entered = connection.Execute(kBlock, {std::string_view(list)});
  if (!entered) return std::unexpected(entered.error());
  return {};
}

Result<std::map<std::string, std::int64_t>> OrderingStore::FindBlockers(
    mysql::MysqlConnection& connection, std::span<const std::string> ordering_hashes) const {
  std::map<std::string, std::int64_t> blockers;
  auto done = ForKeys(connection, kFindBlockers, ordering_hashes,
                      [&](mysql::Row& row) { blockers[row.TakeText(0)] = row.Int(1); });
  if (!done) return std::unexpected(done.error());
  return blockers;
}

Result<std::vector<std::int64_t>> OrderingStore::LockBlockers(mysql::MysqlConnection& connection,
                                                              std::span<const std::int64_t> ids) const {
  return Lock(connection, kLockBlockers, ids);
}

Result<std::size_t> OrderingStore::ParkHeld(mysql::MysqlConnection& connection,
                                            std::span<const std::int64_t> ids) const {
  const std::string list = IdList(ids);
  auto parked = connection.Execute(kParkHeld, {std::string_view(list)});
  if (!parked) return std::unexpected(parked.error());
  return static_cast<std::size_t>(parked->affected);
}

Result<OrderingStore::Blocked> OrderingStore::CountBlocked(mysql::MysqlConnection& connection) const {
  auto found = connection.Execute(kCountBlocked);
  if (!found) return std::unexpected(found.error());
  const mysql::Row& row = found->rows.front();
  return Blocked{static_cast<std::size_t>(row.Unsigned(0)), row.OptionalTime(1)};
}

Result<std::vector<std::string>> OrderingStore::BlockedChannels(mysql::MysqlConnection& connection) const {
  auto found = connection.Execute(kBlockedChannels);
  if (!found) return std::unexpected(found.error());
  std::vector<std::string> channels;
  for (mysql::Row& row : found->rows) channels.push_back(row.TakeText(0));
  return channels;
}

Result<void> OrderingStore::Unblock(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids) const {
  const std::string list = IdList(ids);
  auto removed = connection.Execute(kUnblock, {std::string_view(list)});
  if (!removed) return std::unexpected(removed.error());
  return {};
}

Result<void> OrderingStore::ForgetRisen(mysql::MysqlConnection& connection, std::size_t limit) const {
  auto found = connection.Execute(kFindRisen, {static_cast<std::uint64_t>(limit)});
  if (!found) return std::unexpected(found.error());
  for (const mysql::Row& row : found->rows) {
    auto removed = connection.Execute(kForgetRisen, {row.Int(0), row.Time(1)});
    if (!removed) return std::unexpected(removed.error());
  }
  return {};
}

Result<std::vector<std::string>> OrderingStore::UnblockChannel(mysql::MysqlConnection& connection,
                                                               std::string_view channel, std::size_t limit) const {
  auto found = connection.Execute(kBlocksOfChannel, {channel, static_cast<std::uint64_t>(limit)});
  if (!found) return std::unexpected(found.error());
  std::vector<std::string> keys;
  if (found->rows.empty()) return keys;
  std::vector<std::int64_t> ids;
  for (mysql::Row& row : found->rows) {
    ids.push_back(row.Int(0));
    keys.push_back(row.TakeText(1));
  }
  if (auto removed = Unblock(connection, ids); !removed) return std::unexpected(removed.error());
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace outrider::consumer
