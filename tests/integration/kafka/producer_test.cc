// The producer while all is well, and what it says of records that can't be sent.
#include "platform/kafka/producer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/kafka/fixture.h"

namespace outrider::kafka {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Kind = DeliveryReport::Kind;

class KafkaProducerTest : public ::testing::Test {
 protected:
  testing::KafkaBroker& broker_ = testing::KafkaBroker::Shared();
  const std::string topic_ = broker_.CreateTopic();
};

TEST_F(KafkaProducerTest, AnAcknowledgedRecordIsInTheLogAtTheReportedPlace) {
  auto producer = OpenProducer(broker_.Options());
  Publish(*producer, topic_, "key", "first");
  const auto report = Publish(*producer, topic_, "key", "second");
  EXPECT_EQ(report.partition, 0);
  EXPECT_EQ(report.offset, 1);
  EXPECT_THAT(ReadLog(broker_.Options(), topic_, 2), ElementsAre("first", "second"));
}

TEST_F(KafkaProducerTest, TheTagComesBackWithEachReport) {
  auto producer = OpenProducer(broker_.Options());
  for (std::uint64_t tag : {7u, 8u, 9u}) Produce(*producer, topic_, "key", "value", tag);
  const auto reports = AwaitReports(*producer, 3);
  EXPECT_EQ(reports[0].tag, 7u);
  EXPECT_EQ(reports[1].tag, 8u);
  EXPECT_EQ(reports[2].tag, 9u);
  EXPECT_EQ(producer->outstanding(), 0u);
}

TEST_F(KafkaProducerTest, ARecordIsCopiedSoThatTheCallersBytesMayGo) {
  auto producer = OpenProducer(broker_.Options());
  std::string bytes = "header";
  const std::vector<std::pair<std::string_view, std::string_view>> headers = {{"id", bytes}};
  ASSERT_TRUE(producer->Produce({topic_, bytes, bytes, headers, 0}).has_value());
  bytes = "gone!!";
  AwaitReports(*producer, 1);
  const auto event = AwaitEvents(*OpenConsumer(broker_.Options(), NewGroup(), {topic_}), 1).front();
  EXPECT_EQ(event.key, "header");
  EXPECT_EQ(event.value, "header");
  ASSERT_THAT(event.headers, SizeIs(1));
  EXPECT_EQ(event.headers[0].name, "id");
  EXPECT_EQ(event.headers[0].value, "header");
}

TEST_F(KafkaProducerTest, AKeyGoesToThePartitionThatJavaProducersChoose) {
  const std::string topic = broker_.CreateTopic(7);
  auto producer = OpenProducer(broker_.Options());
  // Java's murmur2 of the keys, as Kafka's own tests have them.
  const std::vector<std::pair<std::string, std::int32_t>> hashes = {
      {"21", -973932308}, {"foobar", -790332482}, {"a-little-bit-long-string", -985981536}, {"abc", 479470107}};
  for (const auto& [key, hash] : hashes) {
    EXPECT_EQ(Publish(*producer, topic, key, "value").partition, (hash & 0x7fffffff) % 7) << key;
  }
}

TEST_F(KafkaProducerTest, ARecordAboveTheClientsLimitIsRefusedAtOnceAndTheProducerGoesOn) {
  auto producer = OpenProducer(broker_.Options());
  const std::string large(2'000'000, 'x');
  const auto refused = producer->Produce({topic_, "key", large, {}, 0});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(producer->outstanding(), 0u);
  EXPECT_EQ(Publish(*producer, topic_, "key", "small").offset, 0);
}

TEST_F(KafkaProducerTest, ARecordAboveTheBrokersLimitIsReportedInvalidAndEndsTheProducer) {
  const std::string topic = topic_ + "-small";
  broker_.CreateTopic(topic, 1, {{"max.message.bytes", "10000"}});
  auto producer = OpenProducer(broker_.Options());
  Publish(*producer, topic, "key", "before");
  Produce(*producer, topic, "key", std::string(20'000, 'x'));
  const auto report = AwaitReports(*producer, 1).front();
  EXPECT_EQ(report.kind, Kind::kNotWritten);
  EXPECT_EQ(report.error.code, ErrorCode::kInvalid);
  EXPECT_THAT(report.error.message, HasSubstr("too large"));
  ASSERT_TRUE(producer->fatal_error().has_value());
  EXPECT_FALSE(producer->Produce({topic, "key", "after", {}, 0}).has_value());

  producer = OpenProducer(broker_.Options());
  EXPECT_EQ(producer->fatal_error(), std::nullopt);
  EXPECT_EQ(Publish(*producer, topic, "key", "after").offset, 1);
}

TEST_F(KafkaProducerTest, ATopicThatDoesNotExistIsNobodysPoison) {
  auto options = broker_.Options();
  options.properties["topic.metadata.propagation.max.ms"] = "500";
  auto producer = OpenProducer(options);
  const std::string missing = topic_ + "-missing";
  Produce(*producer, missing, "key", "value");
  const auto report = AwaitReports(*producer, 1).front();
  EXPECT_EQ(report.kind, Kind::kNotWritten);
  EXPECT_EQ(report.error.code, ErrorCode::kUnavailable);
  EXPECT_THAT(report.error.message, HasSubstr("nknown topic"));

  broker_.CreateTopic(missing);
  producer = OpenProducer(options);
  EXPECT_EQ(Publish(*producer, missing, "key", "value").offset, 0);
}

TEST_F(KafkaProducerTest, ATopicNameThatNoBrokerTakesIsInvalid) {
  auto producer = OpenProducer(broker_.Options());
  const auto taken = producer->Produce({"no such/topic", "key", "value", {}, 0});
  ASSERT_TRUE(taken.has_value());
  const auto report = AwaitReports(*producer, 1).front();
  EXPECT_EQ(report.kind, Kind::kNotWritten);
  EXPECT_EQ(report.error.code, ErrorCode::kInvalid);
  EXPECT_FALSE(producer->Produce({std::string(600, 't'), "key", "value", {}, 0}).has_value());
}

TEST_F(KafkaProducerTest, AFullQueueAsksForAPoll) {
  auto options = broker_.Options();
  options.properties["queue.buffering.max.messages"] = "3";
  auto producer = OpenProducer(options);
  for (std::uint64_t tag = 0; tag < 3; ++tag) Produce(*producer, topic_, "key", "value", tag);
  const auto refused = producer->Produce({topic_, "key", "value", {}, 3});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  AwaitReports(*producer, 3);
  Publish(*producer, topic_, "key", "value");
}

TEST_F(KafkaProducerTest, TheQueueIsBoundedInBytes) {
  auto producer = OpenProducer({"127.0.0.1:1", {}});
  const std::string value(500'000, 'x');
  std::size_t taken = 0;
  while (taken < 100 && producer->Produce({"topic", "key", value, {}, taken})) ++taken;
  EXPECT_GT(taken, 20u);
  EXPECT_LT(taken, 40u);
}

TEST_F(KafkaProducerTest, ManyRecordsOfAKeyKeepTheirOrder) {
  auto producer = OpenProducer(broker_.Options());
  std::vector<std::string> sent;
  for (int i = 0; i < 5'000; ++i) {
    sent.push_back(std::to_string(i));
    Produce(*producer, topic_, "key", sent.back());
  }
  AwaitReports(*producer, 5'000);
  EXPECT_EQ(ReadLog(broker_.Options(), topic_, 5'000), sent);
}

TEST_F(KafkaProducerTest, PollingAnIdleProducerGivesNothingInTheGivenTime) {
  auto producer = OpenProducer(broker_.Options());
  std::vector<DeliveryReport> reports;
  EXPECT_EQ(producer->Poll(std::chrono::milliseconds(5), reports), 0u);
  EXPECT_EQ(producer->last_trouble(), "");
  EXPECT_EQ(producer->fatal_error(), std::nullopt);
}

}  // namespace
}  // namespace outrider::kafka
