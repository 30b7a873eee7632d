// The relay from a real database into a real Kafka.
#include "outbox/relay.h"

#include <gmock/gmock.h>

#include <map>
#include <set>
#include <stop_token>
#include <thread>

#include "tests/integration/outbox/fixture.h"
#include "tests/integration/outbox_kafka/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::outbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class KafkaRelayTest : public OutboxTest {
 protected:
  std::unique_ptr<Relay> RelayTo(EventSink& sink, const std::string& owner = "host:1:a") {
    return std::make_unique<Relay>(Options(owner), sink, clock_, probe_, health_, log_.log());
  }
  void InsertRow(const std::string& key, const std::string& payload = "{}") {
    Must(*app_, "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES (?, ?, ?)", {type_, key, payload});
  }
  // Rows of three keys; the payload counts them.
  void InsertNumbers(int first, int last) {
    ASSERT_TRUE(app_->Begin().has_value());
    for (int i = first; i < last; ++i) InsertRow("key-" + std::to_string(i % 3), std::to_string(i));
    ASSERT_TRUE(app_->Commit().has_value());
  }
  // Of each key the first occurrences come in the order of insertion; gives the numbers seen.
  static std::set<int> FirstOccurrences(const std::vector<Event>& events) {
    std::set<int> seen;
    std::map<std::string, int> last;
    for (const Event& event : events) {
      const int number = std::stoi(event.value.value());
      if (!seen.insert(number).second) continue;
      const auto [entry, first] = last.try_emplace(event.key.value(), number);
      if (first) continue;
      EXPECT_LT(entry->second, number) << "of " << *event.key;
      entry->second = number;
    }
    return seen;
  }

  testing::KafkaBroker& broker_ = testing::KafkaBroker::Shared();
  const std::string type_ = NewAggregateType(broker_, 2);
};

TEST_F(KafkaRelayTest, CommittedRowsAreInTheTopicOnceAndTheOutboxIsEmpty) {
  InsertNumbers(0, 500);
  const auto sink = OpenSink(broker_.Options());
  const auto relay = RelayTo(*sink);
  Drain(*relay);
  const auto events = Read(broker_.Options(), type_, 500);
  EXPECT_THAT(events, SizeIs(500));
  EXPECT_THAT(FirstOccurrences(events), SizeIs(500));
}

TEST_F(KafkaRelayTest, TheLedgerNamesTheHighestOffsetOfEachPartition) {
  InsertNumbers(0, 100);
  const auto sink = OpenSink(broker_.Options());
  const auto relay = RelayTo(*sink);
  Drain(*relay);
  EXPECT_EQ(Ledger(), 100);
  for (std::int64_t partition = 0; partition < 2; ++partition) {
    std::int64_t highest = -1;
    for (const Event& event : Read(broker_.Options(), type_, 100)) {
      if (event.position.partition == partition) highest = std::max(highest, event.position.offset);
    }
    EXPECT_EQ(Number(*app_, "SELECT COALESCE(MAX(highest_offset), -1) FROM outbox_ledger WHERE partition_no = ?",
                     {partition}),
              highest);
  }
}

TEST_F(KafkaRelayTest, ARowThatTheBrokerRefusesMovesAsideAndTheOthersArrive) {
  const std::string small = NewAggregateType(broker_, 1, {{"max.message.bytes", "10000"}});
  InsertNumbers(0, 3);
  Must(*app_, "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES (?, 'key', ?)",
       {small, "\"" + std::string(20'000, 'x') + "\""});
  InsertNumbers(3, 6);
  Must(*app_, "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES (?, 'key', '42')", {small});
  const auto sink = OpenSink(broker_.Options());
  const auto relay = RelayTo(*sink);
  Drain(*relay);
  EXPECT_THAT(FirstOccurrences(Read(broker_.Options(), type_, 6)), ElementsAre(0, 1, 2, 3, 4, 5));
  const auto others = Read(broker_.Options(), small, 1);
  EXPECT_EQ(others.front().value, "42");
  EXPECT_EQ(Number(*app_, "SELECT COUNT(*) FROM outbox_dead"), 1);
}

TEST_F(KafkaRelayTest, ARelayThatIsReplacedInTheMiddleLosesNothingAndKeepsTheOrder) {
  InsertNumbers(0, 400);
  const auto first_sink = OpenSink(broker_.Options());
  auto first = RelayTo(*first_sink);
  auto options = Options("host:1:a");
  options.batch_rows = 100;
  first = std::make_unique<Relay>(options, *first_sink, clock_, probe_, health_, log_.log());
  Turn(*first);
  Turn(*first);
  first.reset();
  InsertNumbers(400, 500);
  const auto second_sink = OpenSink(broker_.Options());
  const auto second = RelayTo(*second_sink, "host:2:b");
  Drain(*second);
  EXPECT_THAT(FirstOccurrences(Read(broker_.Options(), type_, 500)), SizeIs(500));
}

TEST_F(KafkaRelayTest, AnOutageOfTheBrokerSpendsNoRow) {
  const auto own = testing::KafkaBroker::Start();
  own->CreateTopic("outbox.event." + type_, 2);
  const auto sink = OpenSink(own->Options());
  const auto relay = RelayTo(*sink);
  InsertNumbers(0, 50);
  Drain(*relay);
  own->Kill();
  InsertNumbers(50, 100);
  std::jthread running([&](std::stop_token stop) { relay->Run(stop); });
  ASSERT_TRUE(testing::WaitUntil([&] { return Metric(R"(relay_read_total{source="shop"})") == 100; }));
  EXPECT_EQ(Waiting(), 50);
  own->Restart();
  EXPECT_TRUE(testing::WaitUntil([&] { return Waiting() == 0; }));
  running.request_stop();
  running.join();
  EXPECT_EQ(Number(*app_, "SELECT COUNT(*) FROM outbox_dead"), 0);
  const auto events = Read(own->Options(), type_, 100);
  EXPECT_THAT(events, SizeIs(100));
  EXPECT_THAT(FirstOccurrences(events), SizeIs(100));
}

}  // namespace
}  // namespace outrider::outbox
