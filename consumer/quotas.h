// Quotas: how many notifications of a tenant go out in a day (UTC), by channel or by provider.
//
// A record counts once, when it is first claimed, in the claim's own transaction, which holds the day's counters
// meanwhile: over all processes together no more are ever claimed than the quota says. Tenants without a quota cost
// nothing. Retries don't count again; what a person replays or another event opens again does. The day is the one in
// which the record was read.
//
// Thread-safe; Set() replaces the rules as a whole. On a crash the transaction is there whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/record.h"
#include "metrics/log.h"
#include "metrics/quota_probe.h"
#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

// The reason of a record that is skipped because the day's quota is used up.
inline constexpr std::string_view kQuotaReason = "quota";

struct QuotaRule {
  enum class Kind { kChannel, kProvider } kind = Kind::kChannel;
  std::string name;  // the channel's code, the provider's name
  std::int64_t per_day = 0;
  friend bool operator==(const QuotaRule&, const QuotaRule&) = default;
};
using QuotaRules = std::map<std::string, std::vector<QuotaRule>, std::less<>>;  // by tenant

class Quotas final {
 public:
  Quotas(QuotaProbe& probe, Log& log) : probe_(probe), log_(log) {}
  Quotas(const Quotas&) = delete;
  Quotas& operator=(const Quotas&) = delete;

  void Set(QuotaRules rules);
  bool HasRules(std::string_view tenant) const;

  struct Applicant {
    const Record* record = nullptr;
    std::string_view provider;
  };
  // One of a day's counters.
  struct Key {
    std::string day;  // "2026-11-25"
    std::string tenant, kind, name;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Counter {
    std::int64_t per_day = 0;
    std::int64_t used = 0;   // before this claim
    std::int64_t taken = 0;  // by it
  };
  // What one claim means for the quotas.
  struct Decision {
    std::set<std::int64_t> refused;
    std::map<std::int64_t, std::vector<Key>> counts;  // of those that may go: what they count in
    std::map<Key, Counter> counters;
  };
  // Locks the counters and decides, in the order of the applicants. REQUIRES: an open transaction, nothing claimed in
  // it yet.
  Result<Decision> Admit(mysql::MysqlConnection& connection, std::span<const Applicant> applicants) const;
  // Counts those of the admitted that were claimed. REQUIRES: the same transaction.
  static Result<void> Count(mysql::MysqlConnection& connection, Decision& decision,
                            const std::set<std::int64_t>& claimed);
  // Once it is committed: thresholds that were passed, for log and metrics.
  void Tell(const Decision& decision);
  // Counters of days long gone, at most so many; how many went. REQUIRES: an open transaction.
  static Result<std::size_t> RemoveOld(mysql::MysqlConnection& connection, std::size_t limit);

 private:
  std::shared_ptr<const QuotaRules> Rules() const;

  QuotaProbe& probe_;
  Log& log_;
  mutable std::mutex mutex_;
  std::shared_ptr<const QuotaRules> rules_ = std::make_shared<const QuotaRules>();
};

}  // namespace outrider::consumer
