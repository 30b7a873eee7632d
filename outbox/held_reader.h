// HeldReader: a leader's place among the held rows that may go: those of keys that no dead row holds any more.
//
// A released key's rows are read in their order, several keys at a time. Once they have been read to their end nothing
// else is read until all of them are published and deleted; then the keys of which nothing is left are free, and their
// next rows go straight from the outbox. Costs do not grow with the rows that are held: a look goes through a bounded
// number of keys. Threads: the connection's. Holds no row; a crash loses only the place.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "model/result.h"
#include "model/time.h"
#include "outbox/held_store.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

// Held rows that were read and aren't deleted yet, by seq.
struct ReleasedUnderWay {
  std::uint64_t id = 0;
  Timestamp created_at{};
};
using ReleasedRowsUnderWay = std::unordered_map<std::uint64_t, ReleasedUnderWay>;

class HeldReader final {
 public:
  HeldReader(const HeldStore& store, const Clock& clock) : store_(store), clock_(clock) {}

  // After a take-over.
  void Restart();
  // Some rows may not have been stored: they come again, but those that are under way.
  void GoBack();

  // It is held again.
  void Drop(KeyNumber key);

  // Looks for released keys, when that is due.
  Result<void> Look(mysql::MysqlConnection& connection);
  // Whether there are released keys.
  bool busy() const { return !keys_.empty(); }
  // Their rows have been read to the end.
  bool at_end() const { return busy() && next_ == keys_.size(); }
  // The next rows up to that number, of one key after the other; the first so many of `rows`.
  Result<std::size_t> Read(mysql::MysqlConnection& connection, std::uint64_t up_to, std::size_t max_rows,
                           std::size_t max_bytes, const ReleasedRowsUnderWay& under_way, std::vector<OutboxRow>& rows);
  // Frees the keys of which nothing is left, and gives them; those of the others are read again. kConflict: another
  // epoch. REQUIRES: at_end(), and nothing at all is under way.
  Result<std::vector<HeldStore::Key>> Free(mysql::MysqlConnection& connection, const OutboxLease& lease,
                                           std::uint64_t epoch);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Reader {
    HeldStore::Key key;
    HeldStore::Place place;
  };

  const HeldStore& store_;
  const Clock& clock_;
  std::vector<Reader> keys_;
  std::size_t next_ = 0;  // the first that isn't read to its end
  KeyNumber looked_to_ = 0;
  Time look_at_{};
  std::vector<OutboxRow> piece_;
};

}  // namespace outrider::outbox
