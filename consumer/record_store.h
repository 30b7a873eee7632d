// RecordStore: every statement of delivery on notification_records and notification_attempts, each with its index.
//
// Thread-safe: holds nothing; the connection is the caller's. Lists of any length go to the server as one JSON
// document (or as a number of parts that is a power of two), so few statements are ever prepared. Writes name the
// version that they expect and tell how many rows they changed. Errors are the connection's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/record.h"
#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

class RecordStore final {
 public:
  struct DueQuery {
    int shard = 0;
    std::string_view channel;
    int priority = 0;
    std::size_t limit = 0;
  };
  struct DueRow {
    std::size_t query = 0;  // index of the query
    std::int64_t id = 0;
    std::chrono::microseconds wait{0};  // zero or less: due
  };
  // What is due within `horizon`, of each query the first rows. Reads the index only; a row may turn out to be sending
  // with an expired lease.
  Result<std::vector<DueRow>> FindDue(mysql::MysqlConnection& connection, std::span<const DueQuery> queries,
                                      std::chrono::microseconds horizon) const;
  // Those of the ids that are pending or failed and due, with their requests.
  Result<std::vector<Record>> ReadDue(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids) const;
  // Due, or not, without requests: for channels that are switched off or held.
  Result<std::vector<Record>> ReadWaiting(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids) const;

  // All that are there, locked until the transaction ends. REQUIRES: the ids in order.
  Result<std::vector<Record>> Lock(mysql::MysqlConnection& connection, std::span<const std::int64_t> ids) const;

  struct ClaimKey {
    std::int64_t id = 0;
    std::uint32_t version = 0;
    std::string send_key;  // empty: the provider has none
  };
  // Sets those that are still as they were read, and due, to sending under `token`; gives how many.
  Result<std::size_t> Claim(mysql::MysqlConnection& connection, std::span<const ClaimKey> keys, std::string_view token,
                            std::chrono::milliseconds lease) const;
  // Those of the ids that a claim got.
  Result<std::vector<std::int64_t>> FindClaimed(mysql::MysqlConnection& connection, std::span<const ClaimKey> keys,
                                                std::string_view token) const;

  // Writes changes, attempts included, and forgets the requests of private records that end (of the recipient
  // the keyed hash stays). Gives how many records
  // it changed; when they are fewer than asked for, the caller must roll back. REQUIRES: an open transaction.
  Result<std::size_t> Write(mysql::MysqlConnection& connection, std::span<const Change> changes) const;
  enum class Standing {
    kAsRead,   // nobody has changed it
    kWritten,  // this very change is there already
    kElsewhere,
  };
  // How the database stands to each of the changes.
  Result<std::vector<Standing>> Compare(mysql::MysqlConnection& connection, std::span<const Change> changes) const;

  Result<std::vector<Record>> FindExpiredLeases(mysql::MysqlConnection& connection, std::size_t limit) const;
  // Parked records in the order of (parked_by, channel, id), after that place.
  struct ParkedPlace {
    std::string parked_by, channel;
    std::int64_t id = 0;
  };
  Result<std::vector<Record>> FindParked(mysql::MysqlConnection& connection, const ParkedPlace& after,
                                         std::size_t limit) const;
  // The first value of parked_by after `after`; empty: none.
  Result<std::string> NextParkedBy(mysql::MysqlConnection& connection, std::string_view after) const;
  // Parked for want of this channel.
  Result<std::vector<Record>> FindParkedForChannel(mysql::MysqlConnection& connection, std::string_view channel,
                                                   std::size_t limit) const;
  // The first channel after `after` that has records in the shard, whatever became of them; empty: none.
  Result<std::string> NextChannel(mysql::MysqlConnection& connection, int shard, std::string_view after) const;
};

}  // namespace outrider::consumer
