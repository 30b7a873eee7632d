// OutboxLease: who leads a source. One row of outbox_leases, timed by the database's clock alone.
//
// The epoch grows with every take-over, so whoever holds an older one is told apart from the leader whatever its own
// clock says. Threads: the connection's. A value; knows no epoch itself. On a crash the row stays until it expires.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

class OutboxLease final {
 public:
  OutboxLease(std::string source, std::string owner, std::chrono::milliseconds duration);

  struct Holder {
    bool mine = false;
    std::string owner;
    std::uint64_t epoch = 0;
    std::chrono::microseconds remaining{0};  // by the database's clock; not above zero: expired
  };
  // Takes the lease, with the next epoch, when it is free, expired or `owner`'s already; else says who holds it. A look
  // costs one read by primary key. kUnknown: may have been taken; the next call takes it with one epoch more.
  Result<Holder> Acquire(mysql::MysqlConnection& connection) const;
  // Prolongs it. Inside a transaction the row stays locked until its end, so nobody can take over before what else the
  // transaction does is there for them to see. kConflict: another epoch; nothing was changed.
  Result<void> Renew(mysql::MysqlConnection& connection, std::uint64_t epoch) const;
  // Lets it expire now. Says nothing when it was lost already.
  Result<void> Release(mysql::MysqlConnection& connection, std::uint64_t epoch) const;

  // Says that this replica stands by for the source and how many sources it leads.
  Result<void> StandBy(mysql::MysqlConnection& connection, std::uint64_t leads) const;
  // It doesn't any more, and neither does who hasn't said so for a day.
  Result<void> StandAside(mysql::MysqlConnection& connection) const;
  // Of the others that said so within the duration, the fewest that one leads; nothing when nobody stands by.
  Result<std::optional<std::uint64_t>> FewestOfStandBys(mysql::MysqlConnection& connection) const;

  std::chrono::milliseconds duration() const { return duration_; }

 private:
  std::string source_;
  std::string owner_;
  std::chrono::milliseconds duration_;
};

}  // namespace outrider::outbox
