// RateLeases: keeps this process's shares of the limits that all processes have together, in the table rate_leases.
//
// Who holds how much of a limit stands in one row of it, by the database's clock (providers/shared_limit.h). A visit
// reads the rows that changed and writes those that it changes, each in one statement for all limits, and each row only
// over the version that was read. No transaction stays open and no lock is held between the two, so a process that
// stands still holds nobody up. A visit comes every 250 to 500 ms while a limit is in use, at once when a share is
// missing, and never when none is.
//
// Threads: one. Errors: the database's; shares then end by themselves. On a crash this process's shares count until
// their lease, the longest call and the window have passed.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "metrics/log.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/pool.h"
#include "providers/rate_limits.h"

namespace outrider::consumer {

class RateLeases final {
 public:
  struct Options {
    std::string owner;                       // unique per process
    std::chrono::milliseconds lease{5'000};  // how long a process that says nothing keeps its shares
    std::chrono::milliseconds call_deadline{15'000};
  };
  RateLeases(Options options, mysql::MysqlPool& pool, providers::RateLimits& limits, const Clock& clock, Log& log);
  ~RateLeases();  // from then on nothing keeps the limits
  RateLeases(const RateLeases&) = delete;
  RateLeases& operator=(const RateLeases&) = delete;

  // Visits what is due.
  Result<void> Tend();
  // Gives back what nothing is on its way under.
  Result<void> GiveBack();
  std::chrono::steady_clock::time_point next() const { return limits_.NextDue(); }

 private:
  using Visit = providers::RateLimits::Visit;
  struct Row;
  Result<void> TendAll(std::span<const Visit> visits);
  Result<void> Write(std::span<const Row> rows);
  Result<void> RemoveEnded();

  const Options options_;
  mysql::MysqlPool& pool_;
  providers::RateLimits& limits_;
  const Clock& clock_;
  Log& log_;
  std::chrono::steady_clock::time_point remove_at_{};
};

}  // namespace outrider::consumer
