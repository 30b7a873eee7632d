// OrderingStore: the statements that keep ordering keys, each with its index: which record is a key's first, which is
// in flight (ordering_flights), and which dead one holds those behind it (ordering_blocks).
//
// Thread-safe: holds nothing; the connection is the caller's. Rows of the two tables are written in the transaction
// that changes the record they stand for, so after a crash they agree with it. Errors are the connection's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/record.h"
#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

// Whether a dead record of the channel holds those behind it in its ordering key.
using KeyPolicy = std::function<bool(std::string_view channel)>;

class OrderingStore final {
 public:
  // What the changes mean for the ordering keys of their records: those that end or leave `sending` free their key, or
  // hold it from now on. Gives the channels in which that may have set something going. REQUIRES: their transaction.
  Result<std::set<std::string>> Follow(mysql::MysqlConnection& connection, std::span<const Change> changes,
                                       const KeyPolicy& blocks) const;

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
  // REQUIRES: the transaction in which these records aren't dead any more.
  Result<void> Unblock(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids) const;
  // Takes away the first `limit` blocks of the channel; gives their keys. REQUIRES: a transaction that also wakes them.
  Result<std::vector<std::string>> UnblockChannel(mysql::MysqlConnection& connection, std::string_view channel,
                                                  std::size_t limit) const;
  // Blocks whose record isn't dead, or isn't there, because a program that knows nothing of blocks changed it.
  Result<void> ForgetRisen(mysql::MysqlConnection& connection, std::size_t limit) const;
};

}  // namespace outrider::consumer
