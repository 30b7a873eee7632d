// OutboxReader: a leader's place in its outbox: which committed rows come next, none twice and none left out.
//
// The tail is read from the place on. Numbers below its end that weren't seen are in a GapSet; after each read of the
// tail that found rows the gaps are read again, and all rows of one read come in the order of seq: whatever committed
// before a row of the same key was inserted is seen by then, and stands before it. Behind both runs a scan from the
// lowest row, in pieces, so that even a number that nobody remembers is found. Threads: the connection's. Holds no row;
// a crash loses only the place, and the next leader begins with the lowest row.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "model/result.h"
#include "model/time.h"
#include "outbox/event_sink.h"
#include "outbox/gap_set.h"
#include "outbox/outbox_store.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

// Rows that were read and aren't deleted yet, by seq, with their created_at.
using RowsUnderWay = std::unordered_map<std::uint64_t, Timestamp>;

class OutboxReader final {
 public:
  OutboxReader(const OutboxStore& store, const Clock& clock) : store_(store), clock_(clock) {}

  // From the lowest row: after a take-over.
  void Restart();
  // Rows from `seq` on may not have been stored: they come again, but those that are under way.
  void GoBackTo(std::uint64_t seq);

  struct Batch {
    std::size_t rows = 0;  // the first of `rows`, which keeps more of them than that for their memory
    bool full = false;     // there may be more
  };
  // The next rows in the order in which they are to be published.
  Result<Batch> Read(mysql::MysqlConnection& connection, std::size_t max_rows, std::size_t max_bytes,
                     const RowsUnderWay& under_way, std::vector<OutboxRow>& rows);
  // A piece of the scan from the lowest row, and a look at gaps that have been open for long, when either is due.
  Result<void> Search(mysql::MysqlConnection& connection, const RowsUnderWay& under_way);

  std::uint64_t place() const { return place_; }
  const GapSet& gaps() const { return gaps_; }

 private:
  Result<Batch> ReadGaps(mysql::MysqlConnection& connection, std::size_t max_rows, std::size_t max_bytes,
                         const RowsUnderWay& under_way, std::vector<OutboxRow>& rows);
  // The number above which a new leader's first gap begins.
  Result<std::uint64_t> FindFloor(mysql::MysqlConnection& connection, std::uint64_t first_row) const;
  Result<void> ScanPiece(mysql::MysqlConnection& connection, const RowsUnderWay& under_way);
  Result<void> CloseOldGaps(mysql::MysqlConnection& connection);

  const OutboxStore& store_;
  const Clock& clock_;
  std::uint64_t place_ = 0;
  std::uint64_t highest_ = 0;  // the highest place there was
  bool place_is_row_ = false;
  std::size_t limit_ = 0;  // rows asked for; follows what fits into max_bytes
  GapSet gaps_;
  GapSet::Time gaps_read_at_{};
  GapSet::Time close_at_{};
  std::vector<OutboxRow> tail_;
  // The scan: its next number, how many numbers a piece spans, when the next round begins, what this one has cost.
  std::uint64_t scan_at_ = 0;
  std::uint64_t scan_span_ = 1 << 12;  // grows while pieces are cheap
  GapSet::Time scan_due_{};
  std::chrono::microseconds scan_cost_{0};
};

}  // namespace outrider::outbox
