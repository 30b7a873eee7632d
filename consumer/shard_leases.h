// ShardLeases: which shards this process scans. A shard stands for a Kafka partition or a direct source.
//
// The group's assignment says whose a shard is; the lease in the database, by its clock, keeps two processes from
// scanning one at the same time. An assigned shard is taken when its lease is free or has expired, and renewed. A shard
// whose lease has been expired for a whole lease is anybody's: it is adopted, but not renewed, so that its rightful
// owner gets it at the next turn. Correctness doesn't rest on any of this: claims are conditional.
//
// Threads: Assign() and Revoke() from any; Tend() and GiveBack() from the scanner's. No row lock is waited for. On a
// crash the lease expires.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "metrics/log.h"
#include "model/result.h"
#include "model/time.h"
#include "platform/kafka/consumer.h"
#include "platform/mysql/pool.h"

namespace outrider::consumer {

class ShardLeases final {
 public:
  ShardLeases(std::string owner, std::chrono::milliseconds lease, mysql::MysqlPool& pool, const Clock& clock, Log& log);
  ShardLeases(const ShardLeases&) = delete;
  ShardLeases& operator=(const ShardLeases&) = delete;

  void Assign(const std::vector<kafka::TopicPartition>& partitions);
  void Revoke(const std::vector<kafka::TopicPartition>& partitions);

  // Creates missing rows, takes, renews, adopts, gives back. What fails stays for the next turn; leases that couldn't
  // be renewed in time are no longer held.
  Result<void> Tend();
  // Gives everything back at once.
  Result<void> GiveBack();
  // Those whose lease is held now, with some time left.
  std::vector<int> Held();
  std::size_t assigned() const;

 private:
  struct Holding {
    std::uint64_t epoch = 0;
    std::chrono::steady_clock::time_point until{};  // counted from before the statement left
    bool adopted = false;
  };
  struct Row {
    int shard = 0;
    kafka::TopicPartition partition;
    std::string owner;
    std::uint64_t epoch = 0;
    std::chrono::microseconds left{0};
  };
  std::set<kafka::TopicPartition> wanted() const;
  Result<std::vector<Row>> ReadRows(mysql::MysqlConnection& connection) const;
  Result<void> CreateMissing(mysql::MysqlConnection& connection, const std::set<kafka::TopicPartition>& wanted,
                             std::vector<Row>& rows) const;

  const std::string owner_;
  const std::chrono::milliseconds lease_;
  mysql::MysqlPool& pool_;
  const Clock& clock_;
  Log& log_;
  mutable std::mutex mutex_;
  std::set<kafka::TopicPartition> wanted_;
  std::map<int, Holding> held_;  // the scanner's thread only
};

}  // namespace outrider::consumer
