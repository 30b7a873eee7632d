// HeldStore: dead rows, the keys that they hold, and the rows of those keys, in SQL.
//
// A key is held as long as it stands in outbox_held_keys: from the transaction that moves its dead row aside until
// nothing of it is left in outbox_held. It is released, and its rows may go, once no row of outbox_dead holds it. Reads
// take no locks. Threads: the connection's. What is written inside the caller's transaction goes or stays with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/result.h"
#include "outbox/outbox_lease.h"
#include "outbox/row_key.h"
#include "outbox/row_reading.h"
#include "outbox/settlement.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

// Held keys, and the seq of each above which its rows wait.
using HeldKeys = std::unordered_map<KeyNumber, std::uint64_t>;

// At most kHeldCap of each.
struct HeldCounts {
  std::size_t dead = 0;  // rows of outbox_dead
  std::size_t keys = 0;  // held
  std::size_t rows = 0;  // of those keys, in outbox_held
};
inline constexpr std::size_t kHeldCap = 10'000;

class HeldStore final {
 public:
  HeldStore(std::string source, std::string_view table);

  // Those of the keys that are held.
  Result<HeldKeys> FindHeld(mysql::MysqlConnection& connection, std::span<const KeyNumber> keys) const;

  struct Key {
    KeyNumber number = 0;
    std::string aggregatetype, aggregateid;
  };
  struct Look {
    std::vector<Key> released;
    KeyNumber seen_to = 0;
    bool end = false;
  };
  // Goes through a bounded number of held keys behind `after`.
  Result<Look> LookForReleased(mysql::MysqlConnection& connection, KeyNumber after) const;
  // The rows of a key behind a row, in their order. Bounds as in OutboxStore::ReadAfter().
  struct Place {
    std::uint64_t seq = 0;
    std::uint64_t id = 0;
  };
  Result<Reading> ReadKey(mysql::MysqlConnection& connection, KeyNumber key, Place after, std::size_t max_rows,
                          std::size_t max_bytes, std::vector<OutboxRow>& rows) const;
  // In a transaction of its own, fenced by the epoch: the keys of which nothing is left are held no more; gives those
  // that still are. kConflict: another epoch, nothing was changed.
  Result<std::vector<KeyNumber>> Free(mysql::MysqlConnection& connection, const OutboxLease& lease, std::uint64_t epoch,
                                      std::span<const KeyNumber> keys) const;

  // Inside the settling transaction: copies dead rows and holds their keys, copies held rows, and deletes from
  // outbox_held what left it, of which it gives the number. What leaves the outbox is the caller's to delete.
  Result<std::size_t> Settle(mysql::MysqlConnection& connection, const Settlement& settlement) const;

  Result<HeldCounts> Count(mysql::MysqlConnection& connection) const;

 private:
  Result<void> MoveToDead(mysql::MysqlConnection& connection, const DeadRow& row) const;

  const std::string source_;
  std::string copy_to_dead_;
  std::string copy_to_held_;
};

}  // namespace outrider::outbox
