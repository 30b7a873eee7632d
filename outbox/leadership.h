// Leadership: whether this relay leads its source, for how long still, and how it comes and goes.
//
// Timed by the database's clock where it is decided and by the steady clock where it is doubted: a time is taken before
// its statement leaves, so it is never later than the database's own. Threads: the relay's. On a crash the lease stays
// until it expires.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "metrics/log.h"
#include "metrics/relay_probe.h"
#include "model/result.h"
#include "model/time.h"
#include "outbox/outbox_lease.h"
#include "outbox/source_share.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

class Leadership final {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Leadership(std::string source, std::string owner, std::chrono::milliseconds duration, SourceShare& share,
             const Clock& clock, RelayProbe& probe, Log& log);

  bool leading() const { return leading_; }
  std::uint64_t epoch() const { return epoch_; }
  const std::string& leader() const { return leader_; }  // the other one, as last seen
  const OutboxLease& lease() const { return lease_; }
  Time looks_at() const { return look_at_; }  // one that doesn't lead looks again then

  enum class Look { kNothingNew, kTookOver, kTookOverFromSomebody };
  // Takes the lease when it is free. kTookOver: nobody has led since this relay did.
  Result<Look> TakeIfFree(mysql::MysqlConnection& connection);
  // Prolongs it, at a third of its length. Afterwards leading() may be false: somebody else has it.
  Result<void> RenewIfDue(mysql::MysqlConnection& connection);
  // A statement that left at `asked` has prolonged it.
  void Renewed(Time asked);
  bool renewal_due() const;
  bool half_gone() const;  // without renewal
  // By its own clock; steps down then.
  void StepDownWhenOver();
  // Another epoch was found.
  void Lose();
  // At each third of a lease: one that stands by says so, one that leads looks whether somebody who stands by leads
  // fewer sources than it should.
  Result<void> CompareIfDue(mysql::MysqlConnection& connection);
  // Whether what is under way is to be finished and the source given to another replica.
  bool hands_over() const { return hands_over_; }
  void GiveBack(mysql::MysqlConnection& connection);

 private:
  void StepDown(std::string_view why);

  const std::string source_;
  const OutboxLease lease_;
  SourceShare& share_;
  const Clock& clock_;
  RelayProbe& probe_;
  Log& log_;
  bool leading_ = false;
  std::uint64_t epoch_ = 0;
  Time renewed_at_{};
  Time look_at_{};
  Time compare_at_{};
  bool hands_over_ = false;
  std::string leader_;
};

}  // namespace outrider::outbox
