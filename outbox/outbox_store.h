// OutboxStore: the rows of one outbox table and the relay's own beside it, in SQL.
//
// Reads take no locks; the one write is Settle(), a transaction of its own. Threads: the connection's. On a crash
// inside Settle() the server rolls everything back: the rows are still there, and the ledger doesn't count them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "model/time.h"
#include "outbox/event_sink.h"
#include "outbox/held_store.h"
#include "outbox/outbox_lease.h"
#include "outbox/row_reading.h"
#include "outbox/settlement.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

struct Backlog {
  std::size_t rows = 0;             // at most kBacklogCap
  std::optional<Timestamp> oldest;  // created_at, over the rows counted
  Timestamp probed_at{};            // database clock
};
inline constexpr std::size_t kBacklogCap = 10'000;

class OutboxStore final {
 public:
  OutboxStore(std::string source, std::string_view table);

  // Rows in the order of seq, into `rows`, which grows but never shrinks: its rows' memory is used again. At most
  // `max_rows`, and no more bytes than `max_bytes` unless a single row is larger.
  Result<Reading> ReadAfter(mysql::MysqlConnection& connection, std::uint64_t seq, std::size_t max_rows,
                            std::size_t max_bytes, std::vector<OutboxRow>& rows) const;
  // Those of the ranges, both ends included. REQUIRES: ascending, without overlaps, 1 to kMaxRanges of them.
  struct Range {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };
  static constexpr std::size_t kMaxRanges = 256;
  Result<Reading> ReadRanges(mysql::MysqlConnection& connection, std::span<const Range> ranges, std::size_t max_rows,
                             std::size_t max_bytes, std::vector<OutboxRow>& rows) const;
  // The numbers of the committed rows there, the lowest first, at most `max_rows`.
  Result<std::vector<std::uint64_t>> FindRows(mysql::MysqlConnection& connection, const Range& range,
                                              std::size_t max_rows) const;
  // Whether no row is there, committed or not. Waits for nobody: a row that a transaction holds counts as one.
  Result<bool> IsEmpty(mysql::MysqlConnection& connection, const Range& range) const;

  // In one transaction: renews the lease, writes the ledger, copies dead rows to outbox_dead and rows of held keys to
  // outbox_held, deletes exactly the rows named. Gives the number of rows deleted. kConflict: the lease has another
  // epoch. kUnknown: the commit's answer was lost, read again. Any other error: nothing was changed, the same
  // settlement may be tried again.
  Result<std::size_t> Settle(mysql::MysqlConnection& connection, const OutboxLease& lease, std::uint64_t epoch,
                             const Settlement& settlement) const;

  const HeldStore& held() const { return held_; }

  // Of the rows behind `seq`, at most kBacklogCap of them.
  Result<Backlog> ProbeBacklog(mysql::MysqlConnection& connection, std::uint64_t seq = 0) const;

 private:
  Result<std::size_t> SettleInside(mysql::MysqlConnection& connection, const OutboxLease& lease, std::uint64_t epoch,
                                   const Settlement& settlement) const;
  Result<void> WriteLedger(mysql::MysqlConnection& connection, std::uint64_t epoch,
                           const std::vector<LedgerEntry>& ledger) const;
  Result<std::size_t> Delete(mysql::MysqlConnection& connection, std::vector<std::uint64_t> keys) const;

  const std::string source_;
  const HeldStore held_;
  std::string read_after_;
  std::string read_ranges_;  // without its ranges
  std::string find_rows_;
  std::string is_empty_;
  std::string read_payloads_;
  std::string delete_runs_;  // without its runs
  std::string delete_;
  std::string probe_;
};

}  // namespace outrider::outbox
