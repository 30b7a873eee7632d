// OrderingStore: the statements that keep ordering keys, each with its index: which record is a key's first, which is
// in flight (ordering_flights), and which dead one holds those behind it (ordering_blocks).
//
// Thread-safe: holds nothing; the connection is the caller's. Rows of the two tables are written in the transaction
// that changes the record they stand for, so after a crash they agree with it. Errors are the connection's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/record.h"
#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

class OrderingStore final {
 public:
  // The first unfinished record of each ordering key, 0 when there is none.
  Result<std::vector<std::int64_t>> FindHeads(mysql::MysqlConnection& connection,
                                              std::span<const std::string> ordering_hashes) const;
  // Locks those of the records that are unfinished and that nobody else has locked, and gives them.
  Result<std::vector<std::int64_t>> LockUnfinished(mysql::MysqlConnection& connection,
                                                   std::span<const std::int64_t> ids) const;
  // Of each key the first unfinished record goes on, if it was parked behind the key; with `may_be_held` it is parked
  // if a dead record holds it. REQUIRES: the transaction that ended or freed what stood before.
  Result<void> WakeNext(mysql::MysqlConnection& connection, std::span<const std::string> keys, bool may_be_held) const;
  // Makes followers due that were parked behind their ordering key; gives how many.
  Result<std::size_t> Wake(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids) const;

  // Enters those of the records that are under the claim `token`. REQUIRES: the transaction of the claim; all of them
  // have a key. native_code kKeyInFlight: a record of one of the keys is in flight already; roll back.
  static constexpr int kKeyInFlight = 1062;
  Result<void> TakeOff(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids,
                       std::string_view token) const;
  // REQUIRES: the transaction in which these records leave `sending`.
  Result<void> Land(mysql::MysqlConnection& connection, std::span<const Change* const> changes) const;
  struct Flight {
    std::int64_t record_id = 0;
    bool lost = false;  // the record isn't in flight: a program that knows nothing of flights has settled it
  };
  // By ordering hash.
  Result<std::map<std::string, Flight>> FindFlights(mysql::MysqlConnection& connection,
                                                    std::span<const std::string> ordering_hashes) const;
  Result<void> ForgetLost(mysql::MysqlConnection& connection, std::span<const std::string> ordering_hashes) const;

  // REQUIRES: the transaction in which these records become dead.
  Result<void> Block(mysql::MysqlConnection& connection, std::span<const Change* const> changes) const;
  // Of each key that is held, the first record that holds it: it holds those with a higher id.
  Result<std::map<std::string, std::int64_t>> FindBlockers(mysql::MysqlConnection& connection,
                                                           std::span<const std::string> ordering_hashes) const;
  // Locks those of the records that hold their key and that nobody else has locked, and gives them.
  Result<std::vector<std::int64_t>> LockBlockers(mysql::MysqlConnection& connection,
                                                 std::span<const std::int64_t> ids) const;
  // Parks those that wait, or are parked by the key, as held by a dead record; gives how many.
  Result<std::size_t> ParkHeld(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids) const;

  struct Blocked {
    std::size_t records = 0;  // dead ones that hold a key
    std::optional<Timestamp> oldest;
  };
  Result<Blocked> CountBlocked(mysql::MysqlConnection& connection) const;
  Result<std::vector<std::string>> BlockedChannels(mysql::MysqlConnection& connection) const;
  // Takes away the first `limit` blocks of the channel, and those whose record isn't dead any more; gives the keys.
  // REQUIRES: a transaction, which also wakes those keys.
  Result<std::vector<std::string>> Unblock(mysql::MysqlConnection& connection, std::string_view channel,
                                           std::size_t limit) const;
};

}  // namespace outrider::consumer
