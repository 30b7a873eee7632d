// Several members of a group: who owns what, and what the one that gives up may still do.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <optional>
#include <set>

#include "platform/kafka/consumer.h"
#include "tests/integration/kafka/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::kafka {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A member with its own record of what it was told.
struct Member {
  explicit Member(const KafkaOptions& options, const std::string& group, const std::string& topic)
      : consumer(OpenConsumer(options, group, {topic},
                              {[this](const auto& gained) {
                                 ++calls;
                                 for (const auto& one : gained) owned.insert(one);
                                 if (on_gain) on_gain(gained);
                               },
                               [this](const auto& given, bool were_lost) {
                                 ++calls;
                                 lost = lost || were_lost;
                                 if (on_give_up) on_give_up(given);
                                 for (const auto& one : given) owned.erase(one);
                               }})) {}

  std::set<TopicPartition> owned;
  int calls = 0;
  bool lost = false;
  std::function<void(const std::vector<TopicPartition>&)> on_gain;
  std::function<void(const std::vector<TopicPartition>&)> on_give_up;
  std::unique_ptr<KafkaConsumer> consumer;
};

class KafkaRebalanceTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kPartitions = 4;

  KafkaRebalanceTest() { options_.properties["heartbeat.interval.ms"] = "200"; }

  std::unique_ptr<Member> Join() { return std::make_unique<Member>(options_, group_, topic_); }

  // Polls all members in turn until it holds.
  bool Turn(const std::vector<Member*>& members, const std::function<bool()>& done) {
    return testing::WaitUntil([&] {
      for (Member* member : members) {
        auto polled = member->consumer->Poll(std::chrono::milliseconds(20), 100);
        if (polled) events_.insert(events_.end(), polled->begin(), polled->end());
      }
      return done();
    });
  }

  testing::KafkaBroker& broker_ = testing::KafkaBroker::Shared();
  const std::string topic_ = broker_.CreateTopic(kPartitions);
  const std::string group_ = NewGroup();
  KafkaOptions options_ = broker_.Options();
  std::vector<Event> events_;
};

TEST_F(KafkaRebalanceTest, ANewMemberGetsItsShareAndWhatStaysIsNotInterrupted) {
  std::size_t given_up = 0;  // outlives the members, who give up once more at their end
  auto first = Join();
  ASSERT_TRUE(Turn({first.get()}, [&] { return first->owned.size() == kPartitions; }));
  first->on_give_up = [&](const auto& given) { given_up += given.size(); };
  auto second = Join();
  ASSERT_TRUE(Turn({first.get(), second.get()}, [&] { return second->owned.size() == kPartitions / 2; }));
  EXPECT_EQ(given_up, kPartitions / 2);
  EXPECT_EQ(first->owned.size(), kPartitions / 2);
  EXPECT_FALSE(first->lost);
  std::set<TopicPartition> all = first->owned;
  all.insert(second->owned.begin(), second->owned.end());
  EXPECT_THAT(all, SizeIs(kPartitions));
  const auto told = first->consumer->assignment();
  EXPECT_EQ(std::set<TopicPartition>(told.begin(), told.end()), first->owned);
}

TEST_F(KafkaRebalanceTest, WhatIsCommittedWhileGivingUpIsWhereTheNextOwnerBegins) {
  auto producer = OpenProducer(broker_.Options());
  for (int i = 0; i < 40; ++i) Produce(*producer, topic_, std::to_string(i), std::to_string(i));
  AwaitReports(*producer, 40);
  auto first = Join();
  ASSERT_TRUE(Turn({first.get()}, [&] { return events_.size() == 40; }));
  first->on_give_up = [&](const auto& given) {
    std::vector<EventPosition> next;
    for (const TopicPartition& one : given) {
      EventPosition place{one.topic, one.partition, 0};
      for (const Event& event : events_) {
        if (event.position.partition == one.partition) place.offset = std::max(place.offset, event.position.offset + 1);
      }
      next.push_back(place);
    }
    const auto committed = first->consumer->Commit(next);
    EXPECT_TRUE(committed.has_value()) << committed.error().message;
  };
  auto second = Join();
  ASSERT_TRUE(Turn({first.get(), second.get()}, [&] { return second->owned.size() == kPartitions / 2; }));
  first->consumer->Close();
  ASSERT_TRUE(Turn({second.get()}, [&] { return second->owned.size() == kPartitions; }));
  for (int i = 40; i < 60; ++i) Produce(*producer, topic_, std::to_string(i), std::to_string(i));
  ASSERT_TRUE(Turn({second.get()}, [&] { return events_.size() >= 60; }));
  EXPECT_THAT(events_, SizeIs(60));
}

TEST_F(KafkaRebalanceTest, LeavingGivesUpEverythingAndTheOtherTakesItAtOnce) {
  auto first = Join();
  auto second = Join();
  ASSERT_TRUE(Turn({first.get(), second.get()},
                   [&] { return first->owned.size() == kPartitions / 2 && second->owned.size() == kPartitions / 2; }));
  const auto before = std::chrono::steady_clock::now();
  first->consumer->Close();
  EXPECT_THAT(first->owned, IsEmpty());
  EXPECT_FALSE(first->lost);
  ASSERT_TRUE(Turn({second.get()}, [&] { return second->owned.size() == kPartitions; }));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(8));
}

// The group has come to a new generation that changes nothing for this member, and it hasn't polled since.
TEST_F(KafkaRebalanceTest, WhatIsCommittedWhileLeavingCountsEvenIfANewGenerationWaits) {
  auto producer = OpenProducer(broker_.Options());
  Publish(*producer, topic_, "key", "value");
  auto first = Join();
  ASSERT_TRUE(Turn({first.get()}, [&] { return events_.size() == 1; }));
  const std::string other_topic = broker_.CreateTopic(1);
  Member second(options_, group_, other_topic);
  ASSERT_TRUE(Turn({&second}, [&] { return second.owned.size() == 1; }));
  std::optional<Error> refused;
  first->on_give_up = [&](const auto&) {
    EventPosition next = events_[0].position;
    ++next.offset;
    if (const auto committed = first->consumer->Commit({next}); !committed) refused = committed.error();
  };
  first->consumer->Close();
  EXPECT_THAT(first->owned, IsEmpty());
  EXPECT_FALSE(refused.has_value()) << refused->message;
  auto third = Join();
  ASSERT_TRUE(Turn({&second, third.get()}, [&] { return third->owned.size() == kPartitions; }));
  Publish(*producer, topic_, "key", "next");
  ASSERT_TRUE(Turn({third.get()}, [&] { return events_.size() > 1; }));
  EXPECT_EQ(events_.back().value, "next");
}

TEST_F(KafkaRebalanceTest, AMemberThatLeavesBeforeItsFirstAssignmentIsToldNothing) {
  auto first = Join();
  AwaitStableGroup(options_, group_);  // it has been given its share, which it doesn't take
  first->consumer->Close();
  EXPECT_EQ(first->calls, 0);
  auto second = Join();
  ASSERT_TRUE(Turn({second.get()}, [&] { return second->owned.size() == kPartitions; }));
}

TEST_F(KafkaRebalanceTest, APartitionPausedByItsLastOwnerStartsUnpaused) {
  auto first = Join();
  ASSERT_TRUE(Turn({first.get()}, [&] { return first->owned.size() == kPartitions; }));
  ASSERT_TRUE(first->consumer->Pause(first->consumer->assignment()).has_value());
  auto second = Join();
  ASSERT_TRUE(Turn({first.get(), second.get()}, [&] { return second->owned.size() == kPartitions / 2; }));
  const std::set<TopicPartition> moved = second->owned;
  second->consumer->Close();
  ASSERT_TRUE(Turn({first.get()}, [&] { return first->owned.size() == kPartitions; }));
  auto producer = OpenProducer(broker_.Options());
  std::size_t expected = 0;
  for (int i = 0; i < 40; ++i) {
    expected += moved.contains({topic_, Publish(*producer, topic_, std::to_string(i), "value").partition}) ? 1 : 0;
  }
  ASSERT_TRUE(Turn({first.get()}, [&] { return events_.size() >= expected; }));
  for (const Event& event : events_) EXPECT_TRUE(moved.contains({topic_, event.position.partition}));
}

TEST_F(KafkaRebalanceTest, AMemberThatDoesNotPollLosesItsPartitionsAndMayNotCommitThem) {
  auto producer = OpenProducer(broker_.Options());
  options_.properties["session.timeout.ms"] = "1500";
  options_.properties["max.poll.interval.ms"] = "1500";
  auto first = Join();
  ASSERT_TRUE(Turn({first.get()}, [&] { return first->owned.size() == kPartitions; }));
  options_.properties.erase("max.poll.interval.ms");
  options_.properties.erase("session.timeout.ms");
  auto second = Join();
  ASSERT_TRUE(Turn({second.get()}, [&] { return second->owned.size() == kPartitions; }));
  const TopicPartition one = *first->owned.begin();
  const auto late = first->consumer->Commit({{one.topic, one.partition, 1}});
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, ErrorCode::kConflict) << late.error().message;
  std::optional<ErrorCode> refused;
  first->on_give_up = [&](const auto& given) {
    const auto committed = first->consumer->Commit({{given[0].topic, given[0].partition, 1}});
    if (!committed) refused = committed.error().code;
  };
  ASSERT_TRUE(Turn({first.get(), second.get()}, [&] { return first->lost; }));
  EXPECT_EQ(refused, ErrorCode::kConflict);
  ASSERT_TRUE(Turn({first.get(), second.get()}, [&] { return first->owned.size() == kPartitions / 2; }));
}

}  // namespace
}  // namespace outrider::kafka
