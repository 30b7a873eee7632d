// One member of a group: what it reads, what it commits, what it pauses.
#include "platform/kafka/consumer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/kafka/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::kafka {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class KafkaConsumerTest : public ::testing::Test {
 protected:
  std::unique_ptr<KafkaConsumer> Open(RebalanceListener listener = {}) {
    return OpenConsumer(broker_.Options(), group_, {topic_}, std::move(listener));
  }
  void Fill(int first, int last, const std::string& topic) {
    for (int i = first; i < last; ++i) Produce(*producer_, topic, "key", std::to_string(i));
    AwaitReports(*producer_, static_cast<std::size_t>(last - first));
  }
  void Fill(int first, int last) { Fill(first, last, topic_); }

  testing::KafkaBroker& broker_ = testing::KafkaBroker::Shared();
  const std::string topic_ = broker_.CreateTopic();
  const std::string group_ = NewGroup();
  std::unique_ptr<KafkaProducer> producer_ = OpenProducer(broker_.Options());
};

TEST_F(KafkaConsumerTest, ANewGroupBeginsWithTheOldestRecord) {
  Fill(0, 5);
  const auto events = AwaitEvents(*Open(), 5);
  EXPECT_THAT(Values(events), ElementsAre("0", "1", "2", "3", "4"));
  EXPECT_EQ(events[3].position, (EventPosition{topic_, 0, 3}));
  EXPECT_EQ(events[3].key, "key");
}

TEST_F(KafkaConsumerTest, AnEventCarriesTheTimeOfItsPublishing) {
  const auto before = std::chrono::floor<std::chrono::milliseconds>(SystemClock().Now());
  Fill(0, 1);
  const auto after = SystemClock().Now();
  const auto event = AwaitEvents(*Open(), 1).front();
  EXPECT_GE(event.timestamp, before);
  EXPECT_LE(event.timestamp, after);
}

TEST_F(KafkaConsumerTest, NullsAndEmptyTextsAreToldApart) {
  const std::vector<std::pair<std::string_view, std::string_view>> headers = {
      {"null", std::string_view()}, {"empty", ""}, {"twice", "1"}, {"twice", "2"}};
  ASSERT_TRUE(producer_->Produce({topic_, std::string_view(), std::string_view(), headers, 0}).has_value());
  ASSERT_TRUE(producer_->Produce({topic_, "", "", {}, 0}).has_value());
  AwaitReports(*producer_, 2);
  const auto events = AwaitEvents(*Open(), 2);
  EXPECT_EQ(events[0].key, std::nullopt);
  EXPECT_EQ(events[0].value, std::nullopt);
  ASSERT_THAT(events[0].headers, SizeIs(4));
  EXPECT_EQ(events[0].headers[0].value, std::nullopt);
  EXPECT_EQ(events[0].headers[1].value, "");
  EXPECT_EQ(events[0].headers[2].value, "1");
  EXPECT_EQ(events[0].headers[3].value, "2");
  EXPECT_EQ(events[1].key, "");
  EXPECT_EQ(events[1].value, "");
  EXPECT_THAT(events[1].headers, IsEmpty());
}

TEST_F(KafkaConsumerTest, ALargeHeaderAndBytesThatAreNoTextArriveWhole) {
  const std::string large(700'000, '\xff');
  const std::string bytes("a\0b", 3);
  const std::vector<std::pair<std::string_view, std::string_view>> headers = {{"large", large}};
  ASSERT_TRUE(producer_->Produce({topic_, bytes, bytes, headers, 0}).has_value());
  AwaitReports(*producer_, 1);
  const auto event = AwaitEvents(*Open(), 1).front();
  EXPECT_EQ(event.key, bytes);
  EXPECT_EQ(event.value, bytes);
  EXPECT_EQ(event.headers.at(0).value, large);
}

TEST_F(KafkaConsumerTest, APollGivesAtMostWhatWasAskedForAndDoesNotWaitForMore) {
  Fill(0, 25);
  auto consumer = Open();
  AwaitEvents(*consumer, 1);
  std::size_t seen = 1;
  while (seen < 25) {
    const auto before = std::chrono::steady_clock::now();
    const auto events = consumer->Poll(std::chrono::seconds(20), 10);
    ASSERT_TRUE(events.has_value());
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
    EXPECT_LE(events->size(), 10u);
    seen += events->size();
  }
  EXPECT_EQ(seen, 25u);
}

TEST_F(KafkaConsumerTest, TheNextMemberGoesOnBehindTheLastCommittedOffset) {
  Fill(0, 10);
  auto first = Open();
  EXPECT_THAT(AwaitEvents(*first, 6), SizeIs(6));
  ASSERT_TRUE(first->Commit({{topic_, 0, 4}}).has_value());
  first->Close();
  EXPECT_THAT(Values(AwaitEvents(*Open(), 6)), ElementsAre("4", "5", "6", "7", "8", "9"));
}

TEST_F(KafkaConsumerTest, WhatIsReadAndNotCommittedComesAgain) {
  Fill(0, 3);
  AwaitEvents(*Open(), 3);
  EXPECT_THAT(Values(AwaitEvents(*Open(), 3)), ElementsAre("0", "1", "2"));
}

TEST_F(KafkaConsumerTest, AnOffsetOfAPartitionThatIsNotOursIsRefusedAndTheRestCommitted) {
  Fill(0, 3);
  auto first = Open();
  AwaitEvents(*first, 3);
  const auto committed = first->Commit({{topic_, 7, 1}, {topic_, 0, 2}});
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().code, ErrorCode::kConflict);
  EXPECT_THAT(committed.error().message, HasSubstr(topic_ + "/7"));
  first->Close();
  EXPECT_THAT(Values(AwaitEvents(*Open(), 1)), ElementsAre("2"));
}

TEST_F(KafkaConsumerTest, CommittingNothingSucceeds) { EXPECT_TRUE(Open()->Commit({}).has_value()); }

TEST_F(KafkaConsumerTest, APausedPartitionIsSilentAndLosesNothing) {
  const std::string topic = broker_.CreateTopic(2);
  producer_ = OpenProducer(broker_.Options());
  auto consumer = OpenConsumer(broker_.Options(), group_, {topic});
  ASSERT_TRUE(PollUntil(*consumer, [&] { return consumer->assignment().size() == 2; }));
  // "21" and "abc" fall on different partitions.
  const std::int32_t left = Publish(*producer_, topic, "21", "left").partition;
  const std::int32_t right = Publish(*producer_, topic, "abc", "right").partition;
  ASSERT_NE(left, right);
  AwaitEvents(*consumer, 2);
  ASSERT_TRUE(consumer->Pause({{topic, left}}).has_value());
  Publish(*producer_, topic, "21", "left again");
  for (int i = 0; i < 20; ++i) Publish(*producer_, topic, "abc", "right again");
  const auto others = AwaitEvents(*consumer, 20);
  for (const Event& event : others) EXPECT_EQ(event.position.partition, right);
  EXPECT_THAT(consumer->Poll(std::chrono::milliseconds(100), 10).value(), IsEmpty());
  ASSERT_TRUE(consumer->Resume({{topic, left}}).has_value());
  EXPECT_THAT(Values(AwaitEvents(*consumer, 1)), ElementsAre("left again"));
}

TEST_F(KafkaConsumerTest, PausingWhatIsNotOursIsAConflict) {
  auto consumer = Open();
  const auto paused = consumer->Pause({{topic_, 3}});
  ASSERT_FALSE(paused.has_value());
  EXPECT_EQ(paused.error().code, ErrorCode::kConflict);
}

TEST_F(KafkaConsumerTest, SeveralTopicsAreReadByOneMember) {
  const std::string other = broker_.CreateTopic();
  Fill(0, 1);
  Fill(1, 2, other);
  auto consumer = OpenConsumer(broker_.Options(), group_, {topic_, other});
  EXPECT_THAT(Values(AwaitEvents(*consumer, 2)), UnorderedElementsAre("0", "1"));
}

TEST_F(KafkaConsumerTest, AMissingTopicIsSaidUntilItIsThere) {
  const std::string missing = topic_ + "-missing";
  auto options = broker_.Options();
  options.properties["topic.metadata.refresh.interval.ms"] = "500";
  auto consumer = OpenConsumer(options, group_, {missing});
  std::string words;
  ASSERT_TRUE(testing::WaitUntil([&] {
    const auto polled = consumer->Poll(kPoll, 1);
    if (polled) return false;
    EXPECT_EQ(polled.error().code, ErrorCode::kInvalid);
    words = polled.error().message;
    return true;
  }));
  EXPECT_THAT(words, HasSubstr(missing));
  broker_.CreateTopic(missing);
  Fill(0, 1, missing);
  EXPECT_THAT(Values(AwaitEvents(*consumer, 1)), ElementsAre("0"));
  EXPECT_TRUE(consumer->Poll(std::chrono::milliseconds(0), 1).has_value());
}

TEST_F(KafkaConsumerTest, ClosingTwiceAndUsingItAfterwardsIsHarmless) {
  auto consumer = Open();
  consumer->Close();
  consumer->Close();
  EXPECT_EQ(consumer->Poll(kPoll, 1).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(consumer->Commit({{topic_, 0, 1}}).error().code, ErrorCode::kConflict);
  EXPECT_EQ(consumer->Pause({{topic_, 0}}).error().code, ErrorCode::kConflict);
  EXPECT_THAT(consumer->assignment(), IsEmpty());
}

}  // namespace
}  // namespace outrider::kafka
