// A member of a group while brokers stop, hang and refuse.
#include <gmock/gmock.h>
#include <librdkafka/rdkafka.h>

#include "platform/kafka/consumer.h"
#include "tests/integration/kafka/fixture.h"
#include "tests/support/kafka/mock_kafka.h"
#include "tests/support/process/wait_until.h"

namespace outrider::kafka {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::optional<Error> AwaitTrouble(KafkaConsumer& consumer) {
  std::optional<Error> trouble;
  (void)testing::WaitUntil([&] {
    const auto polled = consumer.Poll(kPoll, 1);
    if (!polled) trouble = polled.error();
    return trouble.has_value();
  });
  return trouble;
}

bool AwaitNoTrouble(KafkaConsumer& consumer) {
  return testing::WaitUntil([&] { return consumer.Poll(kPoll, 1).has_value(); });
}

class KafkaConsumerFaultTest : public OutageTest {};

TEST_F(KafkaConsumerFaultTest, AnOutageIsSaidUntilItIsOverAndCostsNothing) {
  auto producer = OpenProducer(Options());
  Publish(*producer, topic_, "key", "before");
  auto consumer = OpenConsumer(Options(), NewGroup(), {topic_});
  AwaitEvents(*consumer, 1);
  ASSERT_TRUE(consumer->Commit({{topic_, 0, 1}}).has_value());
  Stop();
  const auto trouble = AwaitTrouble(*consumer);
  ASSERT_TRUE(trouble.has_value());
  EXPECT_EQ(trouble->code, ErrorCode::kUnavailable);
  EXPECT_THAT(trouble->message, HasSubstr("127.0.0.1"));
  EXPECT_FALSE(consumer->Poll(kPoll, 1).has_value());

  const auto before = std::chrono::steady_clock::now();
  const auto committed = consumer->Commit({{topic_, 0, 1}});
  ASSERT_FALSE(committed.has_value());
  EXPECT_NE(committed.error().code, ErrorCode::kConflict) << committed.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));

  Heal();
  EXPECT_TRUE(AwaitNoTrouble(*consumer));
  Publish(*producer, topic_, "key", "after");
  EXPECT_THAT(Values(AwaitEvents(*consumer, 1)), ElementsAre("after"));
  EXPECT_TRUE(testing::WaitUntil([&] { return consumer->Commit({{topic_, 0, 2}}).has_value(); }));
}

TEST_F(KafkaConsumerFaultTest, LeavingWhileTheBrokerHangsTakesSecondsAtMost) {
  bool given_up = false;
  auto consumer = OpenConsumer(Options(), NewGroup(), {topic_}, {{}, [&](const auto&, bool) { given_up = true; }});
  ASSERT_TRUE(PollUntil(*consumer, [&] { return consumer->assignment().size() == 1; }));
  Pause();
  const auto before = std::chrono::steady_clock::now();
  consumer.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(4800));
  EXPECT_TRUE(given_up);
}

class MockedConsumerTest : public ::testing::Test {
 protected:
  MockedConsumerTest() { mock_.CreateTopic("topic"); }

  // A member that owns the partition.
  std::unique_ptr<KafkaConsumer> Open() {
    auto consumer = OpenConsumer(mock_.Options(), "group", {"topic"});
    if (!PollUntil(*consumer, [&] { return !consumer->assignment().empty(); }))
      throw std::runtime_error("no partition");
    return consumer;
  }

  testing::MockKafka mock_;
};

TEST_F(MockedConsumerTest, ARefusedCommitSaysWhatTheCallerMayDoNext) {
  auto consumer = Open();
  const std::vector<std::pair<int, ErrorCode>> answers = {
      {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, ErrorCode::kConflict},
      {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, ErrorCode::kConflict},
      {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, ErrorCode::kUnavailable},
      {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ErrorCode::kInvalid},
      {RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, ErrorCode::kInvalid},
  };
  for (const auto& [answer, expected] : answers) {
    mock_.Answer(testing::MockKafka::kOffsetCommit, {answer});
    const auto committed = consumer->Commit({{"topic", 0, 1}});
    ASSERT_FALSE(committed.has_value()) << answer;
    EXPECT_EQ(committed.error().code, expected) << committed.error().message;
    EXPECT_EQ(committed.error().native_code, answer);
  }
}

TEST_F(MockedConsumerTest, AMissingRightIsSaidAndPollingGoesOn) {
  mock_.SetTopicError("topic", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  auto consumer = OpenConsumer(mock_.Options(), "group", {"topic"});
  const auto trouble = AwaitTrouble(*consumer);
  ASSERT_TRUE(trouble.has_value());
  EXPECT_EQ(trouble->code, ErrorCode::kInvalid);
  EXPECT_THAT(trouble->message, HasSubstr("uthoriz"));
}

TEST_F(MockedConsumerTest, AMemberThatWasNeverGivenAShareCloses) {
  // It joins, is refused its share, and may not join again.
  mock_.Answer(testing::MockKafka::kJoinGroup, {0, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED});
  mock_.Answer(testing::MockKafka::kSyncGroup, {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS});
  auto consumer = OpenConsumer(mock_.Options(), "group", {"topic"});
  ASSERT_TRUE(AwaitTrouble(*consumer).has_value());
  consumer->Close();
  EXPECT_THAT(consumer->assignment(), IsEmpty());
}

}  // namespace
}  // namespace outrider::kafka
