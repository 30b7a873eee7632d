// KafkaIngest: the thread that owns the Kafka consumer, and the writer thread behind it.
//
// Polls batches, hands them to Ingest in a writer thread through a bounded queue, commits an offset only when
// everything below it is durable (the contiguous prefix), and pauses partitions while the writer is behind. On
// revocation it waits for the writer and commits before it gives the partitions up. On a crash records after the last
// committed offset come again and are counted as copies.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "consumer/ingest.h"
#include "metrics/health.h"
#include "platform/kafka/consumer.h"

namespace outrider::consumer {

struct KafkaIngestOptions {
  kafka::KafkaOptions kafka;
  std::string group = "outrider";
  std::vector<std::string> topics{"outbox.event.notification"};
  std::size_t batch_events = 512;
};

// Told which shards (topic, partition) this process owns by the group's assignment: what is gained, what is given up.
class ShardOwner {
 public:
  virtual ~ShardOwner() = default;
  // Both in KafkaIngest's thread. Revoked ones may have records on their way still; their offsets are committed as far
  // as they are durable.
  virtual void Assigned(const std::vector<kafka::TopicPartition>& partitions) = 0;
  virtual void Revoked(const std::vector<kafka::TopicPartition>& partitions) = 0;
  // The scan will find new records in these channels: look now rather than later. In the writer's thread, so it must
  // not wait.
  virtual void Stored(const std::set<std::string>& channels) = 0;
};

class KafkaIngest final {
 public:
  KafkaIngest(KafkaIngestOptions options, Ingest& ingest, ShardOwner& shards, IngestProbe& probe, Health& health,
              Log& log);
  ~KafkaIngest();
  KafkaIngest(const KafkaIngest&) = delete;
  KafkaIngest& operator=(const KafkaIngest&) = delete;
  // Until stopped; broker and database outages are waited out, never fatal. Stops by finishing what the writer holds (5
  // s at most; at once when the database is away), committing, and leaving the group. Once per object.
  void Run(std::stop_token stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::consumer
