// IngestWriter: the thread that stores batches, and the bounded hand-over in front of it.
//
// Events that arrive while a batch is being stored wait together and make the next one, so batches grow with the load.
// A batch is tried until it is durable; outages are waited out. Since one batch follows another, what is durable of a
// partition is always a prefix of what was added.
//
// Threads: one of its own; the methods are for one other thread. `stored` is called in the writer's thread. On a crash
// nothing is lost: whatever isn't durable isn't committed to the broker either.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "consumer/ingest.h"
#include "metrics/health.h"
#include "platform/kafka/consumer.h"

namespace outrider::consumer {

class IngestWriter final {
 public:
  using Partitions = std::vector<kafka::TopicPartition>;
  // Told the channels that the scan will find something new in, if there are any.
  using Stored = std::function<void(const std::set<std::string>&)>;

  IngestWriter(Ingest& ingest, std::size_t batch_events, Stored stored, IngestProbe& probe, Health& health, Log& log);
  // Ends after the attempt under way; what isn't durable by then is dropped.
  ~IngestWriter();
  IngestWriter(const IngestWriter&) = delete;
  IngestWriter& operator=(const IngestWriter&) = delete;

  // How many events the waiting batch still takes. Waits up to `wait` for there to be some.
  std::size_t Room(std::chrono::milliseconds wait);
  void Add(std::vector<Event> events);

  // Drops what waits of these partitions, then waits up to `wait` for what is being stored of them. False when some of
  // it isn't durable by then; at once when the database is away.
  bool Settle(const Partitions& partitions, std::chrono::milliseconds wait);
  // The same for everything, without dropping what waits.
  bool SettleAll(std::chrono::milliseconds wait);
  // From now on nothing of these partitions that was added before is reported durable.
  void Forget(const Partitions& partitions);

  // The next offsets to read of partitions where more has become durable since the last call.
  std::map<kafka::TopicPartition, std::int64_t> TakeDurable();
  // Why the batch can't be stored, since the last attempt; empty while all is well.
  std::string trouble() const;

 private:
  using Offsets = std::map<kafka::TopicPartition, std::int64_t>;

  void Run(const std::stop_token& stop);
  // Nothing when it was told to stop before.
  std::optional<IngestCounts> StoreUntilDurable(const std::vector<Event>& batch, const std::stop_token& stop);
  void Complain(const Error& error);
  bool Holds(const std::set<kafka::TopicPartition>& partitions) const;

  Ingest& ingest_;
  const std::size_t batch_events_;
  const Stored stored_;
  IngestProbe& probe_;
  Health& health_;
  Log& log_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // All below under `mutex_`.
  std::vector<Event> waiting_;
  std::size_t waiting_bytes_ = 0;
  Offsets storing_;                            // of the batch that is being stored: the next offsets once it is
  std::set<kafka::TopicPartition> forgotten_;  // of that batch
  Offsets durable_;
  std::string trouble_;
  std::chrono::steady_clock::time_point complained_at_{};

  std::jthread thread_;
};

}  // namespace outrider::consumer
