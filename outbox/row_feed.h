// RowFeed: which rows a leader submits next: those of its outbox, and in turns with them those of keys that were
// released. Puts them into its Publication together with what is known of their keys.
//
// Threads: the relay's. Holds places only; a crash loses them, and the next leader begins with the lowest row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/result.h"
#include "model/time.h"
#include "outbox/held_reader.h"
#include "outbox/outbox_lease.h"
#include "outbox/outbox_reader.h"
#include "outbox/outbox_store.h"
#include "outbox/publication.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

class RowFeed final {
 public:
  RowFeed(const OutboxStore& store, Publication& publication, const Clock& clock)
      : store_(store), publication_(publication), reader_(store, clock), held_reader_(store.held(), clock) {}

  // The next read begins with the lowest row.
  void Restart() { restart_ = true; }
  bool at_start() const { return restart_; }
  // Whether what is under way must be deleted before anything is read.
  bool waits() const { return (restart_ || held_reader_.at_end()) && publication_.rows_under_way() > 0; }

  struct Piece {
    std::size_t rows = 0;
    bool full = false;                  // there may be more
    bool dry = false;                   // there is nothing more
    std::vector<HeldStore::Key> freed;  // held no more
  };
  // The next rows. kConflict: another epoch. REQUIRES: !waits(), and the publication has submitted all it has.
  Result<Piece> Read(mysql::MysqlConnection& connection, const OutboxLease& lease, std::uint64_t epoch,
                     std::size_t max_rows, std::size_t max_bytes);
  // The search for rows that nobody remembers, as far as it is due.
  Result<void> Search(mysql::MysqlConnection& connection);

  // What it did to keys. REQUIRES: before anything else is read.
  void Settled(const Settlement& settlement);
  // What the publication has lost comes again.
  void TakeBackLost();
  // So does what that settlement may not have deleted.
  void TakeBack(const Settlement& settlement);

  // No row at or below it waits, but such as nobody remembers. REQUIRES: !at_start().
  std::uint64_t nothing_below() const;

 private:
  Result<bool> ReadHeld(mysql::MysqlConnection& connection, const OutboxLease& lease, std::uint64_t epoch,
                        std::size_t max_rows, std::size_t max_bytes, Piece& piece);
  Result<void> ReadOutbox(mysql::MysqlConnection& connection, std::size_t max_rows, std::size_t max_bytes,
                          Piece& piece);
  Result<HeldKeys> FindHeld(mysql::MysqlConnection& connection, const OutboxReader::Batch& batch);

  const OutboxStore& store_;
  Publication& publication_;
  OutboxReader reader_;
  HeldReader held_reader_;
  bool restart_ = true;
  bool after_held_ = false;  // the last read was of held rows
};

}  // namespace outrider::outbox
