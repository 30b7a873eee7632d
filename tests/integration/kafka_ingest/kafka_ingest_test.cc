// KafkaIngest over a real broker and a real database: what is committed, what happens in outages and rebalances.
#include "consumer/kafka_ingest.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "platform/kafka/producer.h"
#include "tests/integration/ingest/fixture.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/proxy/fault_proxy.h"

namespace outrider::consumer {
namespace {

using kafka::TopicPartition;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using testing::FaultProxy;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::KafkaBroker;
using ::testing::SizeIs;
using testing::WaitUntil;

class RecordingOwner final : public ShardOwner {
 public:
  void Assigned(const std::vector<TopicPartition>& partitions) override {
    {
      const std::lock_guard lock(mutex_);
      owned_.insert(partitions.begin(), partitions.end());
    }
    if (owned() == 4 && owns_all) owns_all();
  }
  void Revoked(const std::vector<TopicPartition>& partitions) override {
    const std::lock_guard lock(mutex_);
    for (const TopicPartition& partition : partitions) owned_.erase(partition);
  }
  void Stored(const std::set<std::string>&) override { ++stored; }
  std::size_t owned() const {
    const std::lock_guard lock(mutex_);
    return owned_.size();
  }
  std::atomic<int> stored = 0;
  std::function<void()> owns_all;  // all four, inside the rebalance; set before there is one

 private:
  mutable std::mutex mutex_;
  std::set<TopicPartition> owned_;
};

class KafkaIngestTest : public IngestTest {
 protected:
  // One process's ingest, from its start to its clean stop.
  class Member {
   public:
    Member(KafkaIngestTest& test, const mysql::MysqlOptions& database, KafkaIngestOptions options)
        : pool_(database, 2),
          ingest_(test.MakeIngest(pool_)),
          kafka_ingest_(std::move(options), *ingest_, owner, test.probe_, health, test.log_.log()),
          thread_([this](const std::stop_token& stop) { kafka_ingest_.Run(stop); }) {}
    void Stop() {
      thread_.request_stop();
      thread_.join();
    }
    std::string Words() const { return health.parts()["ingest"].words; }
    bool Delivers() const { return health.parts()["ingest"].delivers; }

    RecordingOwner owner;
    SystemClock clock;
    Health health{clock};

   private:
    mysql::MysqlPool pool_;
    std::unique_ptr<Ingest> ingest_;
    KafkaIngest kafka_ingest_;
    std::jthread thread_;
  };

  KafkaIngestTest() : KafkaIngestTest(KafkaBroker::Shared(), 1) {}
  KafkaIngestTest(KafkaBroker& broker, int partitions) : broker_(broker), topic_(broker.CreateTopic(partitions)) {
    producer_ = kafka::KafkaProducer::Create(broker.Options()).value();
  }

  KafkaIngestOptions Options() const {
    KafkaIngestOptions options;
    options.kafka = broker_.Options();
    options.group = group_;
    options.topics = {topic_};
    return options;
  }
  std::unique_ptr<Member> Start() { return Start(database_); }
  std::unique_ptr<Member> Start(const mysql::MysqlOptions& database) { return Start(database, Options()); }
  std::unique_ptr<Member> Start(const mysql::MysqlOptions& database, KafkaIngestOptions options) {
    return std::make_unique<Member>(*this, database, std::move(options));
  }

  void Publish(const std::vector<std::string>& values) {
    std::vector<kafka::DeliveryReport> reports;
    for (const std::string& value : values) {
      const std::string key = fmt::format("key-{}", published_++);
      const kafka::ProducerRecord record{topic_, key, value, {}, 0};
      while (!producer_->Produce(record)) producer_->Poll(milliseconds{10}, reports);
    }
    WaitUntil([&] {
      producer_->Poll(milliseconds{20}, reports);
      return producer_->outstanding() == 0;
    });
    for (const auto& report : reports) ASSERT_EQ(report.kind, kafka::DeliveryReport::Kind::kAcked);
  }
  // Requests with the keys <first>, ...
  void PublishRequests(int first, int count) {
    std::vector<std::string> values;
    for (int i = first; i < first + count; ++i) values.push_back(Request(fmt::format("n{}", i)));
    Publish(values);
  }

  // What a member of the group would read next: everything that isn't committed.
  std::vector<std::string> Uncommitted() {
    const std::string marker = fmt::format("marker-{}", published_);
    Publish({marker});
    auto consumer = kafka::KafkaConsumer::Create(broker_.Options(), group_, {topic_}, {}).value();
    std::vector<std::string> values;
    EXPECT_TRUE(WaitUntil([&] {
      auto events = consumer->Poll(milliseconds{50}, 1000);
      for (const Event& event : events.value_or(std::vector<Event>{})) values.push_back(event.value.value_or(""));
      return std::ranges::find(values, marker) != values.end();
    }));
    std::erase(values, marker);
    return values;
  }

  // Where a new member would begin in partition 0, as the group's coordinator says.
  bool AwaitCommitted(std::int64_t offset) {
    char words[512] = "";
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", broker_.brokers().c_str(), words, sizeof words);
    rd_kafka_conf_set(conf, "group.id", group_.c_str(), words, sizeof words);
    rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
    const std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)> client(
        rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words), rd_kafka_destroy);
    const std::unique_ptr<rd_kafka_topic_partition_list_t, decltype(&rd_kafka_topic_partition_list_destroy)> list(
        rd_kafka_topic_partition_list_new(1), rd_kafka_topic_partition_list_destroy);
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), 0);
    return WaitUntil([&] {
      return rd_kafka_committed(client.get(), list.get(), 10'000) == RD_KAFKA_RESP_ERR_NO_ERROR &&
             list->elems[0].offset == offset;
    });
  }

  bool AwaitRecords(std::int64_t count) {
    return WaitUntil([&] { return Records() >= count; });
  }
  std::int64_t Counted() {
    return Count(
        "SELECT CAST(COALESCE(SUM(events_recorded + events_duplicate + events_conflicting + events_rejected), 0) AS "
        "SIGNED) FROM consumer_shards");
  }

  KafkaBroker& broker_;
  const std::string topic_;
  const std::string group_ = fmt::format("group-{}", topic_);
  std::unique_ptr<kafka::KafkaProducer> producer_;
  int published_ = 0;
};

TEST_F(KafkaIngestTest, EventsBecomeRecordsAndACleanStopLeavesNothingToRead) {
  PublishRequests(0, 700);
  auto member = Start();
  ASSERT_TRUE(AwaitRecords(700));
  EXPECT_TRUE(WaitUntil([&] { return member->Words() == "reads 1 partitions"; })) << member->Words();
  EXPECT_GE(member->owner.stored, 1);
  EXPECT_EQ(member->owner.owned(), 1u);
  member->Stop();
  EXPECT_EQ(member->owner.owned(), 0u);
  EXPECT_FALSE(member->Delivers());
  EXPECT_THAT(member->health.SilentLoops(), IsEmpty());
  EXPECT_THAT(Uncommitted(), IsEmpty());
}

TEST_F(KafkaIngestTest, ARestartGoesOnWhereTheLastOneEnded) {
  PublishRequests(0, 50);
  auto first = Start();
  ASSERT_TRUE(AwaitRecords(50));
  first->Stop();
  PublishRequests(50, 50);
  auto second = Start();
  ASSERT_TRUE(AwaitRecords(100));
  second->Stop();
  EXPECT_EQ(Metric(R"(consumer_records_total{result="new"})"), 100);
  EXPECT_EQ(Counted(), 100);
  EXPECT_EQ(Count("SELECT offsets_skipped FROM consumer_shards"), 0);
}

TEST_F(KafkaIngestTest, GarbageIsKeptAndHoldsNobodyUp) {
  Publish({Request("a"), "garbage", "", "[1]", Request("b"), std::string("\xff\x00", 2), Request("c")});
  auto member = Start();
  ASSERT_TRUE(AwaitRecords(3));
  member->Stop();
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rejected_events"), 4);
  EXPECT_THAT(Uncommitted(), IsEmpty());
}

TEST_F(KafkaIngestTest, WhatIsNotDurableIsNeverCommitted) {
  PublishRequests(0, 30);
  auto member = Start();
  ASSERT_TRUE(AwaitRecords(30));
  Must(*connection_, "RENAME TABLE notification_records TO gone");
  PublishRequests(30, 20);
  ASSERT_TRUE(WaitUntil([&] { return !member->Delivers(); }));
  EXPECT_THAT(member->Words(), HasSubstr("create the tables"));
  member->Stop();
  EXPECT_THAT(Uncommitted(), SizeIs(20));
  EXPECT_EQ(Counted(), 30);

  Must(*connection_, "RENAME TABLE gone TO notification_records");
  auto second = Start();
  ASSERT_TRUE(AwaitRecords(50));
  second->Stop();
  EXPECT_THAT(Uncommitted(), IsEmpty());
}

TEST_F(KafkaIngestTest, ADatabaseThatGoesAwayIsWaitedOut) {
  FaultProxy proxy(server().port());
  mysql::MysqlOptions through = database_;
  through.port = proxy.port();
  auto member = Start(through);
  PublishRequests(0, 20);
  ASSERT_TRUE(AwaitRecords(20));

  proxy.Inject(testing::Refuse());
  proxy.Inject(testing::ResetOnce());
  PublishRequests(20, 1500);
  ASSERT_TRUE(WaitUntil([&] { return !member->Delivers(); }));
  EXPECT_THAT(member->Words(), HasSubstr("waits: "));
  EXPECT_THAT(member->health.SilentLoops(), IsEmpty());
  ASSERT_TRUE(WaitUntil([&] { return log_.Count("ingest.pauses") > 0; }));
  EXPECT_EQ(member->owner.owned(), 1u);
  EXPECT_GE(Metric("ingest_store_failures_total"), 1);

  proxy.Heal();
  ASSERT_TRUE(AwaitRecords(1520));
  EXPECT_TRUE(WaitUntil([&] { return member->Delivers(); }));
  member->Stop();
  EXPECT_EQ(Counted(), 1520);
  EXPECT_EQ(Count("SELECT events_recorded FROM consumer_shards"), 1520);
  EXPECT_THAT(Uncommitted(), IsEmpty());
}

TEST_F(KafkaIngestTest, StoppingWhileTheDatabaseIsAwayEnds) {
  FaultProxy proxy(server().port());
  mysql::MysqlOptions through = database_;
  through.port = proxy.port();
  proxy.Inject(testing::Refuse());
  PublishRequests(0, 5);
  auto member = Start(through);
  ASSERT_TRUE(WaitUntil([&] { return !member->Words().empty() && !member->Delivers(); }));
  const auto before = std::chrono::steady_clock::now();
  member->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds{8});
  EXPECT_THAT(Uncommitted(), SizeIs(5));
}

TEST_F(KafkaIngestTest, AWrongSetUpIsSaidAndStopsNobody) {
  auto options = Options();
  options.kafka.properties["acks"] = "0";
  options.kafka.properties["enable.auto.commit"] = "true";
  auto member = Start(database_, options);
  ASSERT_TRUE(WaitUntil([&] { return !member->Words().empty(); }));
  EXPECT_FALSE(member->Delivers());
  EXPECT_THAT(member->Words(), HasSubstr("enable.auto.commit"));
  member->Stop();
}

// ---- Several members ----

class KafkaIngestGroupTest : public KafkaIngestTest {
 protected:
  KafkaIngestGroupTest() : KafkaIngestTest(KafkaBroker::Shared(), 4) {}
};

TEST_F(KafkaIngestGroupTest, MembersThatComeAndGoStoreEachEventOnce) {
  auto first = Start();
  PublishRequests(0, 300);
  ASSERT_TRUE(AwaitRecords(300));
  auto second = Start();
  PublishRequests(300, 300);
  ASSERT_TRUE(WaitUntil([&] { return first->owner.owned() == 2 && second->owner.owned() == 2; }));
  PublishRequests(600, 300);
  ASSERT_TRUE(AwaitRecords(900));
  first->Stop();
  PublishRequests(900, 300);
  ASSERT_TRUE(AwaitRecords(1200));
  EXPECT_EQ(second->owner.owned(), 4u);
  second->Stop();

  EXPECT_EQ(Records(), 1200);
  EXPECT_EQ(Counted(), 1200);
  EXPECT_EQ(Count("SELECT CAST(SUM(next_offset) AS SIGNED) FROM consumer_shards"), 1200);
  EXPECT_EQ(Count("SELECT CAST(SUM(offsets_skipped) AS SIGNED) FROM consumer_shards"), 0);
  EXPECT_EQ(Metric(R"(consumer_records_total{result="new"})"), 1200);
  EXPECT_GE(Metric("rebalances_total"), 4);
  EXPECT_THAT(Uncommitted(), IsEmpty());
}

TEST_F(KafkaIngestGroupTest, PartitionsAreGivenUpWithEverythingDurableCommitted) {
  auto first = Start();
  PublishRequests(0, 400);
  ASSERT_TRUE(AwaitRecords(400));
  auto second = Start();
  ASSERT_TRUE(WaitUntil([&] { return first->owner.owned() == 2 && second->owner.owned() == 2; }));
  PublishRequests(400, 4);
  ASSERT_TRUE(AwaitRecords(404));
  second->Stop();
  first->Stop();
  // Nothing was read twice: a copy would have been seen at a position below the shard's.
  EXPECT_EQ(Metric(R"(consumer_records_total{result="new"})"), 404);
  EXPECT_THAT(Uncommitted(), IsEmpty());
}

TEST_F(KafkaIngestGroupTest, PartitionsThatWerePausedWhenOthersCameGoOn) {
  FaultProxy proxy(server().port());
  mysql::MysqlOptions through = database_;
  through.port = proxy.port();
  auto second = Start();
  ASSERT_TRUE(WaitUntil([&] { return second->owner.owned() == 4; }));
  auto first = Start(through);
  ASSERT_TRUE(WaitUntil([&] { return first->owner.owned() == 2 && second->owner.owned() == 2; }));
  proxy.Inject(testing::Refuse());
  proxy.Inject(testing::ResetOnce());
  PublishRequests(0, 6000);
  ASSERT_TRUE(WaitUntil([&] { return log_.Count("ingest.pauses") > 0; }));
  // When the others have come the writer has room again.
  first->owner.owns_all = [&] {
    proxy.Heal();
    WaitUntil([&] { return log_.Count("ingest.stores_again") > 0; });
  };
  second->Stop();
  EXPECT_TRUE(AwaitRecords(6000)) << Records();
  first->Stop();
}

// ---- The broker goes away ----

class KafkaIngestBrokerTest : public KafkaIngestTest {
 protected:
  KafkaIngestBrokerTest() : KafkaIngestTest(*Own(), 1) {}
  ~KafkaIngestBrokerTest() override { Own().reset(); }
  static std::unique_ptr<KafkaBroker>& Own() {
    static std::unique_ptr<KafkaBroker> broker;
    if (!broker) broker = KafkaBroker::Start();
    return broker;
  }
};

TEST_F(KafkaIngestBrokerTest, ABrokerThatGoesAwayIsWaitedOut) {
  auto options = Options();
  options.kafka.properties["session.timeout.ms"] = "6000";  // how long the broker, once back, waits for the old member
  auto member = Start(database_, options);
  PublishRequests(0, 20);
  ASSERT_TRUE(AwaitRecords(20));
  broker_.Stop();
  ASSERT_TRUE(WaitUntil([&] { return !member->Delivers(); })) << member->Words();
  EXPECT_THAT(member->health.SilentLoops(), IsEmpty());
  broker_.Restart();
  PublishRequests(20, 20);
  ASSERT_TRUE(AwaitRecords(40));
  EXPECT_TRUE(WaitUntil([&] { return member->Delivers(); }));
  // A commit may be refused while the group gathers anew; the member tries again.
  EXPECT_TRUE(AwaitCommitted(40));
  member->Stop();
  EXPECT_EQ(Counted(), 40);
  EXPECT_THAT(Uncommitted(), IsEmpty());
}

}  // namespace
}  // namespace outrider::consumer
