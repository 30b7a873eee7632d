// The hand-over to the writer: bounded, in order, and never durable before the database says so.
#include "consumer/ingest_writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>

#include "tests/integration/ingest/fixture.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/proxy/fault_proxy.h"

namespace outrider::consumer {
namespace {

using kafka::TopicPartition;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FaultProxy;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using testing::WaitUntil;

class IngestWriterTest : public IngestTest {
 protected:
  static constexpr std::size_t kBatch = 10;

  static TopicPartition P(std::int32_t partition) { return {std::string(kTopic), partition}; }
  static std::vector<Event> Events(std::int32_t partition, std::int64_t first, int count) {
    std::vector<Event> events;
    for (std::int64_t offset = first; offset < first + count; ++offset) {
      events.push_back(EventOf(offset, Request(fmt::format("{}-{}", partition, offset)), partition));
    }
    return events;
  }
  mysql::MysqlOptions Through() const {
    mysql::MysqlOptions through = database_;
    through.port = proxy_.port();
    return through;
  }
  bool AwaitIdle() { return writer_.SettleAll(seconds{30}); }
  // Nothing reaches the database any more, and the batch that is added now is the one being stored.
  int StallWith(std::vector<Event> events) {
    const int stall = proxy_.Inject(testing::Stall());
    writer_.Add(std::move(events));
    EXPECT_TRUE(WaitUntil([&] { return writer_.Room(milliseconds{0}) == kBatch; }));
    return stall;
  }

  FaultProxy proxy_{server().port()};
  mysql::MysqlPool writer_pool_{Through(), 1};
  std::unique_ptr<Ingest> writer_ingest_ = MakeIngest(writer_pool_);
  Health health_{clock_};
  std::atomic<int> stored_ = 0;
  IngestWriter writer_{*writer_ingest_, kBatch,  [this](const std::set<std::string>&) { ++stored_; },
                       probe_,          health_, log_.log()};
};

TEST_F(IngestWriterTest, WhatIsAddedBecomesDurable) {
  writer_.Add(Events(0, 5, 3));
  writer_.Add(Events(1, 0, 2));
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(writer_.TakeDurable(), UnorderedElementsAre(Pair(P(0), 8), Pair(P(1), 2)));
  EXPECT_THAT(writer_.TakeDurable(), IsEmpty());
  EXPECT_EQ(Records(), 5);
  EXPECT_TRUE(WaitUntil([&] { return stored_ > 0; }));
}

TEST_F(IngestWriterTest, WhileABatchIsStoredTheNextOneGrowsToItsBoundAndNotFurther) {
  const int stall = StallWith(Events(0, 0, 1));
  EXPECT_EQ(writer_.Room(milliseconds{0}), kBatch);
  writer_.Add(Events(0, 1, 6));
  EXPECT_EQ(writer_.Room(milliseconds{0}), kBatch - 6);
  writer_.Add(Events(0, 7, 4));
  EXPECT_EQ(writer_.Room(milliseconds{20}), 0u);
  EXPECT_THAT(writer_.TakeDurable(), IsEmpty());
  proxy_.Heal(stall);
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(writer_.TakeDurable(), UnorderedElementsAre(Pair(P(0), 11)));
  EXPECT_EQ(writer_.Room(milliseconds{0}), kBatch);
}

TEST_F(IngestWriterTest, LargeEventsFillTheBatchByTheirBytes) {
  proxy_.Inject(testing::Refuse());
  Health health(clock_);
  IngestWriter writer(*writer_ingest_, 100, {}, probe_, health, log_.log());
  writer.Add(Events(0, 0, 1));
  ASSERT_TRUE(WaitUntil([&] { return !writer.trouble().empty(); }));
  std::vector<Event> large;
  for (int i = 1; i <= 16; ++i) large.push_back(EventOf(i, std::string(1 << 20, 'x')));
  EXPECT_EQ(writer.Room(milliseconds{0}), 100u);
  writer.Add(std::move(large));
  EXPECT_EQ(writer.Room(milliseconds{20}), 0u);
}

TEST_F(IngestWriterTest, SettlingWaitsForWhatIsBeingStoredAndDropsWhatWaits) {
  const int stall = StallWith(Events(0, 0, 2));
  writer_.Add(Events(0, 2, 2));
  writer_.Add(Events(1, 0, 2));
  EXPECT_FALSE(writer_.Settle({P(0)}, milliseconds{50}));
  EXPECT_EQ(writer_.Room(milliseconds{0}), kBatch - 2);
  EXPECT_TRUE(writer_.Settle({P(2)}, milliseconds{0}));
  proxy_.Heal(stall);
  EXPECT_TRUE(writer_.Settle({P(0)}, seconds{30}));
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(writer_.TakeDurable(), UnorderedElementsAre(Pair(P(0), 2), Pair(P(1), 2)));
}

TEST_F(IngestWriterTest, ForgottenPartitionsAreNotReported) {
  writer_.Add(Events(2, 0, 1));
  ASSERT_TRUE(AwaitIdle());
  std::vector<Event> events = Events(0, 0, 2);
  for (Event& event : Events(1, 0, 2)) events.push_back(std::move(event));
  const int stall = StallWith(std::move(events));
  writer_.Forget({P(0), P(2)});
  proxy_.Heal(stall);
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(writer_.TakeDurable(), UnorderedElementsAre(Pair(P(1), 2)));
  // Given back, it is reported again.
  writer_.Add(Events(0, 2, 1));
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(writer_.TakeDurable(), UnorderedElementsAre(Pair(P(0), 3)));
}

TEST_F(IngestWriterTest, AnOutageIsSaidAndNobodyWaitsForItsEnd) {
  proxy_.Inject(testing::Refuse());
  writer_.Add(Events(0, 0, 2));
  ASSERT_TRUE(WaitUntil([&] { return !writer_.trouble().empty(); }));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_FALSE(writer_.Settle({P(0)}, seconds{30}));
  EXPECT_FALSE(writer_.SettleAll(seconds{30}));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds{10});
  proxy_.Heal();
  ASSERT_TRUE(WaitUntil([&] { return writer_.trouble().empty(); }));
  ASSERT_TRUE(AwaitIdle());
  EXPECT_THAT(writer_.TakeDurable(), UnorderedElementsAre(Pair(P(0), 2)));
  EXPECT_EQ(log_.Count("ingest.waits"), 1u);
}

}  // namespace
}  // namespace outrider::consumer
