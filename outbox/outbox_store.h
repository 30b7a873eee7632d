// OutboxStore: the rows of one outbox table and the relay's own beside it, in SQL.
//
// Reads take no locks; the one write is Settle(), a transaction of its own. Threads: the connection's. On a crash
// inside Settle() the server rolls everything back: the rows are still there, and the ledger doesn't count them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "model/time.h"
#include "outbox/event_sink.h"
#include "outbox/outbox_lease.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

struct LedgerEntry {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t highest_offset = 0;
  std::size_t rows = 0;
};

struct DeadRow {
  std::uint64_t seq = 0;
  std::string reason;  // stable, at most 64 characters
  std::string detail;  // for people; cut at 2000 code points
};

// What one round came to: rows to delete because the sink has them, and rows to move aside.
struct Settlement {
  std::vector<std::uint64_t> stored;
  std::vector<LedgerEntry> ledger;
  std::vector<DeadRow> dead;
  bool empty() const { return stored.empty() && dead.empty(); }
};

struct Backlog {
  std::size_t rows = 0;             // at most kBacklogCap
  std::optional<Timestamp> oldest;  // created_at, over the rows counted
  Timestamp probed_at{};            // database clock
};
inline constexpr std::size_t kBacklogCap = 10'000;

class OutboxStore final {
 public:
  OutboxStore(std::string source, std::string_view table);

  // The rows with the lowest seq, in its order: at most `max_rows`, and no more bytes than `max_bytes` unless a single
  // row is larger.
  Result<std::vector<OutboxRow>> Read(mysql::MysqlConnection& connection, std::size_t max_rows,
                                      std::size_t max_bytes) const;

  // In one transaction: renews the lease, writes the ledger, copies dead rows to outbox_dead, deletes exactly the rows
  // named. Gives the number of rows deleted. kConflict: the lease has another epoch. kUnknown: the commit's answer was
  // lost, read again. Any other error: nothing was changed, the same settlement may be tried again.
  Result<std::size_t> Settle(mysql::MysqlConnection& connection, const OutboxLease& lease, std::uint64_t epoch,
                             const Settlement& settlement) const;

  Result<Backlog> ProbeBacklog(mysql::MysqlConnection& connection) const;

 private:
  Result<std::size_t> SettleInside(mysql::MysqlConnection& connection, const OutboxLease& lease, std::uint64_t epoch,
                                   const Settlement& settlement) const;
  Result<void> WriteLedger(mysql::MysqlConnection& connection, std::uint64_t epoch,
                           const std::vector<LedgerEntry>& ledger) const;
  Result<void> FetchLargePayloads(mysql::MysqlConnection& connection, std::vector<OutboxRow>& rows,
                                  const std::vector<std::uint64_t>& seqs) const;

  std::string source_;
  std::string read_;
  std::string read_payloads_;
  std::string delete_;
  std::string copy_to_dead_;
  std::string probe_;
};

}  // namespace outrider::outbox
