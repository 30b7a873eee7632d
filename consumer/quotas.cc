#include "consumer/quotas.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "model/time.h"

namespace outrider::consumer {
namespace {

// Primary key (day, tenant, kind, name), in its order: adds those that are missing, locks all. {0}: rows.
constexpr std::string_view kLock =
    "INSERT INTO quota_counters (day, tenant, kind, name, used) VALUES {0} ON DUPLICATE KEY UPDATE used = used";
// Primary key.
constexpr std::string_view kRead =
    "SELECT used FROM quota_counters WHERE day = ? AND tenant = ? AND kind = ? AND name = ? FOR UPDATE";
constexpr std::string_view kCount =
    "UPDATE quota_counters SET used = used + ?, updated_at = NOW(6) WHERE day = ? AND tenant = ? AND kind = ? AND name "
    "= ?";
// By primary key, of records that the transaction has just claimed.
constexpr std::string_view kMark =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS k "
    "STRAIGHT_JOIN notification_records AS r FORCE INDEX (PRIMARY) ON r.id = k.id SET r.counted_in_quota = TRUE";
// Primary key, from its beginning. Five weeks, to see what a month was like.
constexpr std::string_view kRemoveOld =
    "DELETE FROM quota_counters WHERE day < CURRENT_DATE - INTERVAL 35 DAY ORDER BY day, tenant, kind, name LIMIT ?";

constexpr std::array kThresholds = {80, 95, 100};  // per cent

std::string_view NameOf(QuotaRule::Kind kind) { return kind == QuotaRule::Kind::kChannel ? "channel" : "provider"; }

std::vector<mysql::Param> ParamsOf(const Quotas::Key& key) {
  return {std::string_view(key.day), std::string_view(key.tenant), std::string_view(key.kind),
          std::string_view(key.name)};
}

// How many make that many per cent of the quota.
std::int64_t Mark(std::int64_t per_day, int percent) { return (per_day * percent + 99) / 100; }

}  // namespace

void Quotas::Set(QuotaRules rules) {
  auto next = std::make_shared<const QuotaRules>(std::move(rules));
  const std::lock_guard lock(mutex_);
  rules_ = std::move(next);
}

std::shared_ptr<const QuotaRules> Quotas::Rules() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

bool Quotas::HasRules(std::string_view tenant) const { return Rules()->contains(tenant); }

Result<Quotas::Decision> Quotas::Admit(mysql::MysqlConnection& connection,
                                       std::span<const Applicant> applicants) const {
  Decision decision;
  const auto rules = Rules();
  if (rules->empty()) return decision;
  for (const auto& [record, provider] : applicants) {
    const auto of_tenant = rules->find(record->tenant);
    if (record->counted_in_quota || of_tenant == rules->end()) continue;
    const std::string day = FormatRfc3339(record->read_at).substr(0, 10);
    for (const QuotaRule& rule : of_tenant->second) {
      const std::string_view name = rule.kind == QuotaRule::Kind::kChannel ? record->channel : provider;
      if (rule.name != name) continue;
      Key key{day, record->tenant, std::string(NameOf(rule.kind)), rule.name};
      decision.counters[key].per_day = rule.per_day;
      decision.counts[record->id].push_back(std::move(key));
    }
  }
  if (decision.counters.empty()) return decision;

  std::vector<mysql::Param> params;
  for (const auto& [key, counter] : decision.counters) {
    for (const mysql::Param& param : ParamsOf(key)) params.push_back(param);
  }
  std::vector<std::string> rows(decision.counters.size(), "(?, ?, ?, ?, 0)");
  auto locked = connection.Execute(fmt::format(kLock, fmt::join(rows, ", ")), params);
  if (!locked) return std::unexpected(locked.error());
  for (auto& [key, counter] : decision.counters) {
    auto read = connection.Execute(kRead, ParamsOf(key));
    if (!read) return std::unexpected(read.error());
    counter.used = read->rows.empty() ? 0 : read->rows.front().Int(0);
  }
  for (const auto& [record, provider] : applicants) {
    const auto counts = decision.counts.find(record->id);
    if (counts == decision.counts.end()) continue;
    const bool room = std::ranges::all_of(counts->second, [&](const Key& key) {
      const Counter& counter = decision.counters[key];
      return counter.used + counter.taken < counter.per_day;
    });
    if (room) {
      for (const Key& key : counts->second) ++decision.counters[key].taken;
    } else {
      decision.refused.insert(record->id);
      decision.counts.erase(counts);
    }
  }
  return decision;
}

Result<void> Quotas::Count(mysql::MysqlConnection& connection, Decision& decision,
                           const std::set<std::int64_t>& claimed) {
  for (auto& [key, counter] : decision.counters) counter.taken = 0;
  std::vector<std::int64_t> ids;
  for (const auto& [id, keys] : decision.counts) {
    if (!claimed.contains(id)) continue;
    ids.push_back(id);
    for (const Key& key : keys) ++decision.counters[key].taken;
  }
  if (ids.empty()) return {};
  for (const auto& [key, counter] : decision.counters) {
    if (counter.taken == 0) continue;
    std::vector<mysql::Param> params = ParamsOf(key);
    params.insert(params.begin(), counter.taken);
    auto counted = connection.Execute(kCount, params);
    if (!counted) return std::unexpected(counted.error());
  }
  const std::string list = fmt::format("[{}]", fmt::join(ids, ","));
  auto marked = connection.Execute(kMark, {std::string_view(list)});
  if (!marked) return std::unexpected(marked.error());
  return {};
}

void Quotas::Tell(const Decision& decision) {
  probe_.Refused(decision.refused.size());
  for (const auto& [key, counter] : decision.counters) {
    for (const int percent : kThresholds) {
      const std::int64_t mark = Mark(counter.per_day, percent);
      if (counter.used >= mark || counter.used + counter.taken < mark) continue;
      probe_.Passed(percent);
      log_.Warn("quota.passed", {{"percent", percent},
                                 {"tenant", key.tenant},
                                 {key.kind, key.name},
                                 {"day", key.day},
                                 {"used", counter.used + counter.taken},
                                 {"per_day", counter.per_day}});
    }
  }
}

Result<std::size_t> Quotas::RemoveOld(mysql::MysqlConnection& connection, std::size_t limit) {
  auto removed = connection.Execute(kRemoveOld, {static_cast<std::uint64_t>(limit)});
  if (!removed) return std::unexpected(removed.error());
  return static_cast<std::size_t>(removed->affected);
}

}  // namespace outrider::consumer
