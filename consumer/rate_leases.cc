#include "consumer/rate_leases.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "model/digest.h"

namespace outrider::consumer {
namespace {

using providers::RateShare;
using providers::SharedLimit;
using std::chrono::microseconds;

// By primary key; a row whose version is known isn't read again. One row for each limit, and the time in each.
constexpr std::string_view kRead =
    "SELECT NOW(6), k.place, r.version, r.shares, r.closed_until, r.booked_until FROM JSON_TABLE(?, '$[*]' COLUMNS "
    "(place INT PATH '$[0]', limit_key VARCHAR(64) CHARACTER SET utf8mb4 PATH '$[1]', version BIGINT UNSIGNED PATH "
    "'$[2]')) AS k LEFT JOIN rate_leases AS r ON r.limit_key = UNHEX(k.limit_key) AND r.version <> k.version";
// By primary key. `version` is one more than the one that was read (or a new row's first): another row stays as it is.
// The condition reads the version, so that is assigned last.
constexpr std::string_view kWrite =
    "INSERT INTO rate_leases (limit_key, kind, name, written_by, shares, closed_until, booked_until, ends_at, version) "
    "SELECT UNHEX(k.limit_key), k.kind, k.name, ?, k.shares, "
    "IF(k.closed_us > 0, TIMESTAMP '1970-01-01 00:00:00' + INTERVAL k.closed_us MICROSECOND, NULL), "
    "IF(k.booked_us > 0, TIMESTAMP '1970-01-01 00:00:00' + INTERVAL k.booked_us MICROSECOND, NULL), "
    "TIMESTAMP '1970-01-01 00:00:00' + INTERVAL k.ends_us MICROSECOND, k.version "
    "FROM JSON_TABLE(?, '$[*]' COLUMNS (limit_key VARCHAR(64) CHARACTER SET utf8mb4 PATH '$[0]', kind VARCHAR(16) "
    "CHARACTER SET utf8mb4 PATH '$[1]', name VARCHAR(191) CHARACTER SET utf8mb4 PATH '$[2]', shares MEDIUMTEXT "
    "CHARACTER SET utf8mb4 PATH '$[3]', closed_us BIGINT PATH '$[4]', booked_us BIGINT PATH '$[5]', ends_us BIGINT "
    "PATH '$[6]', version BIGINT UNSIGNED PATH '$[7]')) AS k "
    "ON DUPLICATE KEY UPDATE "
    "written_by = IF(rate_leases.version = VALUES(version) - 1, VALUES(written_by), rate_leases.written_by), "
    "shares = IF(rate_leases.version = VALUES(version) - 1, VALUES(shares), rate_leases.shares), "
    "closed_until = IF(rate_leases.version = VALUES(version) - 1, VALUES(closed_until), rate_leases.closed_until), "
    "booked_until = IF(rate_leases.version = VALUES(version) - 1, VALUES(booked_until), rate_leases.booked_until), "
    "ends_at = IF(rate_leases.version = VALUES(version) - 1, VALUES(ends_at), rate_leases.ends_at), "
    "version = IF(rate_leases.version = VALUES(version) - 1, VALUES(version), rate_leases.version)";
// By primary key: whose write of these versions it was.
constexpr std::string_view kFindWritten =
    "SELECT k.place FROM JSON_TABLE(?, '$[*]' COLUMNS (place INT PATH '$[0]', limit_key VARCHAR(64) CHARACTER SET "
    "utf8mb4 PATH '$[1]', version BIGINT UNSIGNED PATH '$[2]')) AS k STRAIGHT_JOIN rate_leases AS r FORCE INDEX "
    "(PRIMARY) ON r.limit_key = UNHEX(k.limit_key) WHERE r.version = k.version AND r.written_by = ?";
// By rate_leases_by_end. Long after the end, so that nobody still plans with what he read of it.
constexpr std::string_view kRemoveEnded =
    "DELETE FROM rate_leases WHERE ends_at < NOW(6) - INTERVAL 5 MINUTE ORDER BY ends_at LIMIT 500";

constexpr std::size_t kAtOnce = 1'000;
constexpr int kTries = 4;
constexpr std::chrono::minutes kBetweenRemovals{1};
constexpr std::size_t kMaxOwner = 128;
constexpr std::size_t kMaxName = 191;

std::string Dump(const nlohmann::json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string Hex(const Digest& key) { return ToHex(AsBytes(key)); }
std::int64_t Micros(Timestamp time) { return time.time_since_epoch().count(); }

}  // namespace

struct RateLeases::Row {
  const Visit* visit = nullptr;
  bool is_new = false;  // there was no such row
  SharedLimit limit;
};

RateLeases::RateLeases(Options options, mysql::MysqlPool& pool, providers::RateLimits& limits, const Clock& clock,
                       Log& log)
    : options_(std::move(options)), pool_(pool), limits_(limits), clock_(clock), log_(log) {
  limits_.Attach(options_.owner);
}

RateLeases::~RateLeases() { limits_.Detach(options_.owner); }

Result<void> RateLeases::Tend() {
  if (!limits_.Attach(options_.owner)) return {};
  for (int i = 0; i < kTries; ++i) {
    const std::vector<Visit> visits = limits_.Due(clock_.SteadyNow());
    if (visits.empty()) break;
    for (std::size_t first = 0; first < visits.size(); first += kAtOnce) {
      auto done = TendAll(std::span(visits).subspan(first, std::min(kAtOnce, visits.size() - first)));
      if (!done) return done;
    }
  }
  if (clock_.SteadyNow() >= remove_at_) return RemoveEnded();
  return {};
}

Result<void> RateLeases::GiveBack() {
  limits_.LetGo();
  return Tend();
}

Result<void> RateLeases::RemoveEnded() {
  auto connection = pool_.Acquire();
  if (!connection) return std::unexpected(connection.error());
  auto removed = (*connection)->Execute(kRemoveEnded);
  if (!removed) return std::unexpected(removed.error());
  remove_at_ = clock_.SteadyNow() + kBetweenRemovals;
  return {};
}

Result<void> RateLeases::TendAll(std::span<const Visit> visits) {
  nlohmann::json keys = nlohmann::json::array();
  for (std::size_t i = 0; i < visits.size(); ++i) keys.push_back({i, Hex(visits[i].key), visits[i].known_version});
  const std::string list = Dump(keys);
  RateShare::Terms terms;
  terms.owner = std::string_view(options_.owner).substr(0, kMaxOwner);
  terms.lease = options_.lease;
  terms.drain = options_.call_deadline;
  terms.asked_at = clock_.SteadyNow();
  std::map<std::size_t, SharedLimit> read;
  {
    auto connection = pool_.Acquire();
    if (!connection) return std::unexpected(connection.error());
    auto found = (*connection)->Execute(kRead, {std::string_view(list)});
    if (!found) return std::unexpected(found.error());
    for (mysql::Row& row : found->rows) {
      terms.now = row.Time(0);
      if (row.IsNull(2)) continue;
      SharedLimit limit;
      if (!providers::SharesFromJson(row.Text(3), limit)) {
        // Whoever wrote it has everything, as long as a share can last.
        log_.Warn("limit.unreadable", {{"kind", ToString(visits[row.Unsigned(1)].kind)}});
        limit.holders = {{"?", {1'000'000'000, 1'000'000'000}, {}, terms.now + terms.lease, terms.drain}};
        limit.debts.clear();
      }
      limit.version = row.Unsigned(2);
      limit.closed_until = row.OptionalTime(4).value_or(Timestamp{});
      limit.booked_until = row.OptionalTime(5).value_or(Timestamp{});
      read[row.Unsigned(1)] = std::move(limit);
    }
  }
  std::vector<Row> rows;
  for (std::size_t i = 0; i < visits.size(); ++i) {
    const auto found = read.find(i);
    const SharedLimit* row = found == read.end() ? nullptr : &found->second;
    auto planned = limits_.Plan(visits[i].key, row, terms);
    const bool is_new = row == nullptr && visits[i].known_version == 0;
    if (planned) rows.push_back({&visits[i], is_new, std::move(*planned)});
  }
  return rows.empty() ? Result<void>{} : Write(rows);
}

Result<void> RateLeases::Write(std::span<const Row> rows) {
  nlohmann::json list = nlohmann::json::array();
  nlohmann::json versions = nlohmann::json::array();
  std::uint64_t all_written = 0;  // affected rows, as the servers count them: one for an insert, two for an update
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& [visit, is_new, limit] = rows[i];
    all_written += is_new ? 1 : 2;
    list.push_back({Hex(visit->key), ToString(visit->kind), visit->shown.substr(0, kMaxName), SharesToJson(limit),
                    Micros(limit.closed_until), Micros(limit.booked_until), Micros(limit.EndsAt()), limit.version});
    versions.push_back({i, Hex(visit->key), limit.version});
  }
  const std::string document = Dump(list);
  const std::string owner = options_.owner.substr(0, kMaxOwner);
  const auto finish_all = [&](RateShare::Written written) {
    for (const Row& row : rows) limits_.Finish(row.visit->key, written);
  };
  auto connection = pool_.Acquire();
  if (!connection) {
    finish_all(RateShare::Written::kNo);
    return std::unexpected(connection.error());
  }
  auto written = (*connection)->Execute(kWrite, {std::string_view(owner), std::string_view(document)});
  if (!written) {
    const bool unknown = written.error().code == ErrorCode::kUnknown;
    finish_all(unknown ? RateShare::Written::kUnknown : RateShare::Written::kNo);
    return std::unexpected(written.error());
  }
  if (written->affected == all_written) {
    finish_all(RateShare::Written::kYes);
    return {};
  }
  const std::string wanted = Dump(versions);
  auto found = (*connection)->Execute(kFindWritten, {std::string_view(wanted), std::string_view(owner)});
  if (!found) {
    finish_all(RateShare::Written::kUnknown);
    return std::unexpected(found.error());
  }
  std::vector<RateShare::Written> what(rows.size(), RateShare::Written::kNo);
  for (const mysql::Row& row : found->rows) what[row.Unsigned(0)] = RateShare::Written::kYes;
  for (std::size_t i = 0; i < rows.size(); ++i) limits_.Finish(rows[i].visit->key, what[i]);
  return {};
}

}  // namespace outrider::consumer
