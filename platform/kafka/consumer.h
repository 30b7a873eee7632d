// KafkaConsumer: one member of a consumer group, with offsets committed by hand.
//
// auto.offset.reset=earliest, no automatic commit or store, isolation read_committed, cooperative-sticky assignment.
// Threads: one owner; the listener is called from inside Poll() and Close(), in the owner's thread. On a crash the
// group hands the partitions to others after session.timeout.ms and records after the last committed offset come again.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/event.h"
#include "model/result.h"
#include "platform/kafka/options.h"

namespace outrider::kafka {

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

struct RebalanceListener {
  // Partitions gained. Paused ones start unpaused.
  std::function<void(const std::vector<TopicPartition>&)> on_assigned;
  // Partitions about to be given up: commits made inside the call still count. `lost`: already gone, commits are
  // refused.
  std::function<void(const std::vector<TopicPartition>&, bool lost)> on_revoked;
};

class KafkaConsumer final {
 public:
  static Result<std::unique_ptr<KafkaConsumer>> Create(const KafkaOptions& options, const std::string& group,
                                                       const std::vector<std::string>& topics,
                                                       RebalanceListener listener);
  ~KafkaConsumer();
  KafkaConsumer(const KafkaConsumer&) = delete;
  KafkaConsumer& operator=(const KafkaConsumer&) = delete;

  // Up to `max` events; waits at most `wait` for the first one, none for the rest. Must be called more often than
  // max.poll.interval.ms (5 min) even when everything is paused. kUnavailable: no broker answers; kInvalid: the set-up
  // is wrong (authorization, unknown topic). Both come from each empty call until it's over, and calls take up to 500
  // ms longer meanwhile: go on polling.
  Result<std::vector<Event>> Poll(std::chrono::milliseconds wait, std::size_t max);
  // Next offsets to read. Waits 3 s at most. kConflict: a partition belongs to another member now; the rest is
  // committed if that was known here, nothing if the broker said so. kUnavailable: not committed. kUnknown: no answer.
  // Committing again is harmless in each case: while one isn't answered no other is sent, so none is taken back.
  Result<void> Commit(const std::vector<EventPosition>& next_offsets);
  // kConflict: one of them isn't assigned; the others are paused or resumed.
  Result<void> Pause(const std::vector<TopicPartition>& partitions);
  Result<void> Resume(const std::vector<TopicPartition>& partitions);
  std::vector<TopicPartition> assignment() const;
  // Leaves the group (on_revoked is called). Takes 3 s at most, and what calls of the listener take; what couldn't be
  // said to the broker by then is said in the background, or it finds out after session.timeout.ms.
  // librdkafka's threads of a member that the group never told its share stay until the process ends.
  void Close();

 private:
  struct State;
  explicit KafkaConsumer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // outlives this object while librdkafka says good-bye
};

}  // namespace outrider::kafka
