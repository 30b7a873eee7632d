// The producer while brokers stop, die, hang and refuse.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>

#include "platform/kafka/producer.h"
#include "tests/integration/kafka/fixture.h"
#include "tests/support/kafka/mock_kafka.h"
#include "tests/support/process/wait_until.h"

namespace outrider::kafka {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Kind = DeliveryReport::Kind;

constexpr std::chrono::milliseconds kShort{100};

std::vector<std::string> Numbers(int count) {
  std::vector<std::string> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

void ProduceNumbers(KafkaProducer& producer, const std::string& topic, int first, int last) {
  for (int i = first; i < last; ++i) Produce(producer, topic, "key", std::to_string(i), static_cast<std::uint64_t>(i));
}

class KafkaProducerFaultTest : public OutageTest {
 protected:
  // Polls for a while that is long against the broker's answers.
  static std::vector<DeliveryReport> PollFor(KafkaProducer& producer, std::chrono::milliseconds duration) {
    std::vector<DeliveryReport> reports;
    const auto end = std::chrono::steady_clock::now() + duration;
    while (std::chrono::steady_clock::now() < end) producer.Poll(kShort, reports);
    return reports;
  }
};

TEST_F(KafkaProducerFaultTest, AKilledBrokerCostsNothingButTime) {
  auto producer = OpenProducer(Options());
  ProduceNumbers(*producer, topic_, 0, 100);
  AwaitReports(*producer, 100);
  Kill();
  ProduceNumbers(*producer, topic_, 100, 200);
  EXPECT_THAT(PollFor(*producer, std::chrono::seconds(2)), SizeIs(0));
  EXPECT_THAT(producer->last_trouble(), HasSubstr("127.0.0.1"));
  EXPECT_EQ(producer->fatal_error(), std::nullopt);
  Heal();
  EXPECT_THAT(AwaitReports(*producer, 100), Each(Field(&DeliveryReport::kind, Kind::kAcked)));
  EXPECT_EQ(producer->last_trouble(), "");
  EXPECT_EQ(ReadLog(Options(), topic_, 200), Numbers(200));
}

TEST_F(KafkaProducerFaultTest, WhatIsPurgedWhileTheBrokerHangsMayHaveBeenWrittenOrNot) {
  auto options = Options();
  options.properties["batch.num.messages"] = "10";
  auto producer = OpenProducer(options);
  Publish(*producer, topic_, "key", "first");
  Pause();
  ProduceNumbers(*producer, topic_, 0, 30);
  EXPECT_THAT(PollFor(*producer, std::chrono::seconds(1)), SizeIs(0));
  producer->Purge();
  const auto reports = AwaitReports(*producer, 30);
  const auto maybe = static_cast<std::size_t>(std::count_if(
      reports.begin(), reports.end(), [](const DeliveryReport& report) { return report.kind == Kind::kMaybeWritten; }));
  EXPECT_GE(maybe, 1u);
  EXPECT_LE(maybe, 10u);
  for (const DeliveryReport& report : reports) {
    EXPECT_EQ(report.kind, report.tag < maybe ? Kind::kMaybeWritten : Kind::kNotWritten) << report.tag;
    EXPECT_EQ(report.error.code, ErrorCode::kUnavailable);
  }
  EXPECT_EQ(producer->outstanding(), 0u);
  EXPECT_TRUE(producer->fatal_error().has_value());
  EXPECT_EQ(producer->Produce({topic_, "key", "more", {}, 0}).error().code, ErrorCode::kUnavailable);
  producer.reset();

  // What the broker had in its hands is in the log, in one piece; a new producer goes on behind it.
  Heal();
  producer = OpenProducer(Options());
  const auto place = Publish(*producer, topic_, "key", "last").offset;
  const auto values = ReadLog(Options(), topic_, static_cast<std::size_t>(place) + 1);
  EXPECT_TRUE(values.size() == 2 || values.size() == 2 + maybe) << values.size();
}

TEST_F(KafkaProducerFaultTest, AProducerGoesAtOnceWhileItsBrokerHangs) {
  auto producer = OpenProducer(Options());
  Publish(*producer, topic_, "key", "first");
  Pause();
  ProduceNumbers(*producer, topic_, 0, 30);
  PollFor(*producer, kShort);
  const auto before = std::chrono::steady_clock::now();
  producer.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
}

TEST_F(KafkaProducerFaultTest, APurgeEndsTheProducerEvenIfNothingWasEverSent) {
  auto producer = OpenProducer({"127.0.0.1:1", {}});
  ProduceNumbers(*producer, topic_, 0, 3);
  producer->Purge();
  EXPECT_THAT(AwaitReports(*producer, 3), Each(Field(&DeliveryReport::kind, Kind::kNotWritten)));
  EXPECT_TRUE(producer->fatal_error().has_value());
  const auto taken = producer->Produce({topic_, "key", "value", {}, 0});
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, ErrorCode::kUnavailable);
}

TEST_F(KafkaProducerFaultTest, PurgingAnIdleProducerChangesNothing) {
  auto producer = OpenProducer(Options());
  producer->Purge();
  EXPECT_EQ(producer->fatal_error(), std::nullopt);
  EXPECT_EQ(Publish(*producer, topic_, "key", "value").offset, 0);
}

class MockedProducerTest : public ::testing::Test {
 protected:
  MockedProducerTest() { mock_.CreateTopic("topic"); }

  std::unique_ptr<KafkaProducer> OpenOneByOne() const {
    auto options = mock_.Options();
    options.properties["batch.num.messages"] = "1";
    return OpenProducer(options);
  }

  testing::MockKafka mock_;
};

TEST_F(MockedProducerTest, ARecordThatTheBrokerCannotTakeYetIsNotOvertaken) {
  mock_.AnswerLate(1, testing::MockKafka::kProduce, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, kShort);
  auto producer = OpenOneByOne();
  ProduceNumbers(*producer, "topic", 0, 6);
  EXPECT_THAT(AwaitReports(*producer, 6), Each(Field(&DeliveryReport::kind, Kind::kAcked)));
  EXPECT_EQ(ReadLog(mock_.Options(), "topic", 6), Numbers(6));
}

TEST_F(MockedProducerTest, PassingErrorsAreTriedAgainWithoutAWord) {
  mock_.Answer(testing::MockKafka::kProduce,
               {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART});
  auto producer = OpenProducer(mock_.Options());
  Produce(*producer, "topic", "key", "value");
  EXPECT_EQ(AwaitReports(*producer, 1).front().kind, Kind::kAcked);
  EXPECT_EQ(producer->fatal_error(), std::nullopt);
}

TEST_F(MockedProducerTest, AnAcknowledgementWithoutAPlaceIsNone) {
  auto producer = OpenProducer(mock_.Options());
  mock_.Answer(testing::MockKafka::kProduce, {RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER});
  Produce(*producer, "topic", "key", "value");
  const auto report = AwaitReports(*producer, 1).front();
  EXPECT_EQ(report.kind, Kind::kMaybeWritten);
  EXPECT_EQ(report.error.code, ErrorCode::kUnknown);
}

TEST_F(MockedProducerTest, ALostSequenceEndsTheProducer) {
  auto producer = OpenOneByOne();
  mock_.Answer(testing::MockKafka::kProduce, {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
  ProduceNumbers(*producer, "topic", 0, 3);
  ASSERT_TRUE(testing::WaitUntil([&] { return producer->fatal_error().has_value(); }));
  EXPECT_THAT(producer->fatal_error()->message, HasSubstr("out of order sequence"));
  const auto reports = AwaitReports(*producer, 3);
  const auto first = std::find_if(reports.begin(), reports.end(), [](const auto& report) { return report.tag == 0; });
  EXPECT_NE(first->kind, Kind::kAcked);
  EXPECT_EQ(first->error.code, ErrorCode::kUnavailable);
}

TEST_F(MockedProducerTest, AMissingRightIsNobodysPoison) {
  mock_.Answer(testing::MockKafka::kProduce, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  auto producer = OpenProducer(mock_.Options());
  Produce(*producer, "topic", "key", "value");
  const auto report = AwaitReports(*producer, 1).front();
  EXPECT_EQ(report.kind, Kind::kNotWritten);
  EXPECT_EQ(report.error.code, ErrorCode::kUnavailable);
  EXPECT_THAT(report.error.message, HasSubstr("uthoriz"));
}

TEST(MockedClusterTest, OrderHoldsWhileTheLeaderChanges) {
  testing::MockKafka mock(3);
  mock.CreateTopic("topic");
  mock.SetLeader("topic", 0, 1);
  auto options = mock.Options();
  options.properties["batch.num.messages"] = "50";
  auto producer = OpenProducer(options);
  ProduceNumbers(*producer, "topic", 0, 100);
  for (int turn = 0; turn < 3; ++turn) {
    mock.SetLeader("topic", 0, 2 + turn % 2);
    ProduceNumbers(*producer, "topic", 100 * (turn + 1), 100 * (turn + 2));
  }
  EXPECT_THAT(AwaitReports(*producer, 400), Each(Field(&DeliveryReport::kind, Kind::kAcked)));
  EXPECT_EQ(ReadLog(mock.Options(), "topic", 400), Numbers(400));
}

TEST(MockedClusterTest, RecordsBeforeTheFirstConnectionWaitForIt) {
  testing::MockKafka mock(3);
  mock.CreateTopic("topic");
  for (int id : {1, 2, 3}) mock.Down(id);
  auto producer = OpenProducer(mock.Options());
  ProduceNumbers(*producer, "topic", 0, 10);
  ASSERT_TRUE(testing::WaitUntil([&] {
    std::vector<DeliveryReport> reports;
    producer->Poll(kShort, reports);
    return !producer->last_trouble().empty();
  }));
  for (int id : {1, 2, 3}) mock.Up(id);
  EXPECT_THAT(AwaitReports(*producer, 10), Each(Field(&DeliveryReport::kind, Kind::kAcked)));
}

}  // namespace
}  // namespace outrider::kafka
