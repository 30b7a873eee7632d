// What the tests of platform/kafka share: clients that must open, records, and polling until something is there.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/kafka/consumer.h"
#include "platform/kafka/producer.h"
#include "tests/support/kafka/kafka_broker.h"

namespace outrider::kafka {

constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kPoll{50};

// The client, or the error's text as an exception.
std::unique_ptr<KafkaProducer> OpenProducer(const KafkaOptions& options);
std::unique_ptr<KafkaConsumer> OpenConsumer(const KafkaOptions& options, const std::string& group,
                                            const std::vector<std::string>& topics, RebalanceListener listener = {});
std::string NewGroup();
// Returns when the broker has sent every member of the group its share; throws when that doesn't happen.
void AwaitStableGroup(const KafkaOptions& options, const std::string& group);

// Produces, polling while the queue is full; throws for any other refusal.
void Produce(KafkaProducer& producer, std::string_view topic, std::string_view key, std::string_view value,
             std::uint64_t tag = 0);
// Polls until `count` reports are in; throws when they aren't.
std::vector<DeliveryReport> AwaitReports(KafkaProducer& producer, std::size_t count);
// One record in a topic, acknowledged.
DeliveryReport Publish(KafkaProducer& producer, std::string_view topic, std::string_view key, std::string_view value);
// Polls, over errors, until `done` or `count` events; throws when they aren't there.
std::vector<Event> AwaitEvents(KafkaConsumer& consumer, std::size_t count);
bool PollUntil(KafkaConsumer& consumer, const std::function<bool()>& done);
std::vector<std::string> Values(const std::vector<Event>& events);
// The first `count` values of the topic's partition 0, read by librdkafka alone, without a group.
std::vector<std::string> ReadLog(const KafkaOptions& options, const std::string& topic, std::size_t count);

// A test that stops, kills or pauses a broker: one for all of them, and it serves again when the test is over.
class OutageTest : public ::testing::Test {
 protected:
  void TearDown() override { Heal(); }
  void Kill();
  void Stop();
  void Pause();
  void Heal();
  KafkaOptions Options() const { return broker_.Options(); }

  testing::KafkaBroker& broker_ = Broker();
  const std::string topic_ = broker_.CreateTopic();

 private:
  static testing::KafkaBroker& Broker();

  bool down_ = false;
  bool paused_ = false;
};

}  // namespace outrider::kafka
