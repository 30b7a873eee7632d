// KafkaProducer: librdkafka's idempotent producer (acks=all) with reports by polling.
//
// message.timeout.ms is infinite, so librdkafka never gives a message up by itself and never makes a hole in a
// partition's order; giving up is Purge(), which the owner calls. Reports come from Poll() only, in the owner's thread.
// Threads: one owner. On a crash queued messages are lost (the outbox row is still there) and messages in flight may or
// may not have been written.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/result.h"
#include "platform/kafka/options.h"

namespace outrider::kafka {

struct ProducerRecord {
  std::string_view topic;
  std::string_view key;
  std::string_view value;
  std::span<const std::pair<std::string_view, std::string_view>> headers;
  std::uint64_t tag = 0;  // comes back in the report
};

struct DeliveryReport {
  std::uint64_t tag = 0;
  // kAcked: in the log at partition/offset. kNotWritten: certainly not in the log. kMaybeWritten: purged or failed in
  // flight.
  enum class Kind { kAcked, kNotWritten, kMaybeWritten } kind = Kind::kMaybeWritten;
  std::int32_t partition = -1;  // of kAcked
  std::int64_t offset = -1;
  std::string_view topic;  // valid as long as the producer
  // For the other two. kInvalid: the broker refused this record, or the batch that it was in, for good (too large).
  Error error{ErrorCode::kUnavailable, ""};
};

class KafkaProducer final {
 public:
  // kInvalid with every refused property at once.
  static Result<std::unique_ptr<KafkaProducer>> Create(const KafkaOptions& options);
  ~KafkaProducer();  // purges what is left
  KafkaProducer(const KafkaProducer&) = delete;
  KafkaProducer& operator=(const KafkaProducer&) = delete;

  // Copies the record into the queue. kUnavailable: the queue is full, Poll() first. kInvalid: this record can never be
  // sent.
  Result<void> Produce(const ProducerRecord& record);
  // Serves reports for up to `wait`; appends them to `reports` and gives their number. Returns at once when some are
  // there.
  std::size_t Poll(std::chrono::milliseconds wait, std::vector<DeliveryReport>& reports);
  // Gives up everything queued and in flight; its reports follow by Poll().
  void Purge();
  std::size_t outstanding() const;  // produced and not yet reported
  // Set once the producer can't go on without a hole (a record refused for good, sequence lost, purged): take the
  // reports that are left after a Purge(), destroy it and create another.
  std::optional<Error> fatal_error() const;
  // The newest broker trouble since the last acknowledgement, for people ("Local: Broker transport failure: ...");
  // empty while nothing is outstanding.
  std::string last_trouble() const;

 private:
  struct State;
  explicit KafkaProducer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace outrider::kafka
