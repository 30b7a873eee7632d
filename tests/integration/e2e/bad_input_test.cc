// Whatever comes in: nothing is lost, nothing stops, and everybody is told.
#include <fmt/format.h>

#include "platform/kafka/producer.h"
#include "tests/integration/e2e/fixture.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/process/wait_until.h"

namespace outrider::e2e {
namespace {

class BadInputTest : public E2eTest {
 protected:
  BadInputTest() {
    vendor_->SetBot({.token = "group", .per_second = 0, .per_minute = 0});
    SetChannels(BotChannel("ops", "group"));
  }
  std::int64_t Rejected() { return Number(*records_, "SELECT COUNT(*) FROM rejected_events"); }
};

TEST_F(BadInputTest, WhatDoesNotValidateIsKeptWithEveryFaultAndTheRestGoesOn) {
  Migrate();
  const auto relay = Start("relay");
  const auto consumer = Start("consumer");
  InsertRaw(*shop_, "a", R"({"dedupe_key": "", "channel": 7, "priority": "urgent"})");
  InsertRaw(*shop_, "a", R"([1, 2, 3])");
  Insert("good", "good");
  ASSERT_TRUE(Drained(1)) << consumer->Stderr();
  ASSERT_TRUE(testing::WaitUntil([&] { return Rejected() == 2; }));
  const std::string faults =
      Must(*records_, "SELECT faults FROM rejected_events ORDER BY id LIMIT 1").rows.at(0).Text(0);
  for (const std::string_view pointer : {"/dedupe_key", "/channel", "/priority", "/message"}) {
    EXPECT_NE(faults.find(pointer), std::string::npos) << pointer << " isn't named in: " << faults;
  }
}

TEST_F(BadInputTest, RecordsOfGarbageInTheTopicAreKeptAndStopNobody) {
  Migrate();
  const auto consumer = Start("consumer");
  auto producer = kafka::KafkaProducer::Create({testing::KafkaBroker::Shared().brokers(), {}});
  ASSERT_TRUE(producer);
  const std::string topic = "outbox.event." + topic_;
  const std::vector<std::string> values = {"",
                                           "\xff\xfe not UTF-8",
                                           "{",
                                           std::string("\0\0", 2),
                                           std::string(2000, '['),
                                           R"({"dedupe_key": "good", "channel": "ops", "message": {"text": "good"}})"};
  for (const std::string& value : values) {
    ASSERT_TRUE((*producer)->Produce({.topic = topic, .key = "same key, same partition", .value = value}));
  }
  std::vector<kafka::DeliveryReport> reports;
  ASSERT_TRUE(testing::WaitUntil([&] {
    (*producer)->Poll(std::chrono::milliseconds{50}, reports);
    return reports.size() == values.size();
  }));
  ASSERT_TRUE(Drained(1)) << consumer->Stderr();
  EXPECT_EQ(Rejected(), 5);
  EXPECT_EQ(Taken(), (std::map<std::string, int>{{"good", 1}}));
}

TEST_F(BadInputTest, AnUnknownChannelIsRecordedAndDeliveredOnceItIsConfigured) {
  SetChannels("  other: {provider: mock}\n");
  Migrate();
  const auto relay = Start("relay");
  auto consumer = Start("consumer");
  Insert("early", "early");
  ASSERT_TRUE(testing::WaitUntil([&] { return Records("status = 'pending' AND parked_by = 'channel_unknown'") == 1; }))
      << consumer->Stderr();
  EXPECT_EQ(consumer->Terminate().code, 0);
  SetChannels(BotChannel("ops", "group"));
  consumer = Start("consumer");
  ASSERT_TRUE(Drained(1)) << consumer->Stderr();
  EXPECT_EQ(Taken(), (std::map<std::string, int>{{"early", 1}}));
}

// Compared byte for byte after trimming, so "a" and "a " are one key.
TEST_F(BadInputTest, KeysThatACollationWouldMergeAreNotificationsOfTheirOwn) {
  Migrate();
  const auto relay = Start("relay");
  const auto consumer = Start("consumer");
  for (const std::string_view key : {"Order-1", "order-1", "é", "e", "🎉", "🔥", "a", "a "}) Insert(key, key);
  ASSERT_TRUE(Drained(7)) << consumer->Stderr();
  EXPECT_EQ(vendor_->deliveries().size(), 7U);
  const auto taken = Taken();
  for (const std::string key : {"Order-1", "order-1", "é", "e", "🎉", "🔥", "a"}) EXPECT_EQ(taken.at(key), 1) << key;
}

TEST_F(BadInputTest, MissingTablesAreNamedWithTheCommandThatCreatesThem) {
  const auto process = program_.Run({});
  ASSERT_TRUE(testing::WaitUntil([&] { return process->Stderr().find("outrider migrate up") != std::string::npos; }))
      << process->Stderr();
  Migrate();
  Insert("patient", "patient");
  ASSERT_TRUE(Drained(1)) << process->Stderr();
}

TEST_F(BadInputTest, ADatabaseThatIsAwayIsWaitedFor) {
  Migrate();
  const auto own = testing::DatabaseServer::Start(server().kind());
  const auto shop = mysql::ParseMysqlUrl(own->CreateDatabase()).value();
  const auto outrider = mysql::ParseMysqlUrl(own->CreateDatabase()).value();
  std::string configuration = Configuration(BotChannel("ops", "group"));
  const auto replace = [&](const std::string& from, const std::string& to) {
    configuration.replace(configuration.find(from), from.size(), to);
  };
  replace(server().Url(shop_database_.database), own->Url(shop.database));
  replace(server().Url(outrider_database_.database), own->Url(outrider.database));
  program_.SetConfiguration(configuration);
  Migrate();
  shop_ = Connect(shop);
  Insert("kept", "kept");
  shop_.reset();
  own->Stop();

  const auto process = program_.Run({});
  ASSERT_TRUE(testing::WaitUntil([&] { return process->Stderr().find("run.waits") != std::string::npos; }))
      << process->Stderr();
  EXPECT_TRUE(process->Running());
  own->Restart();
  shop_ = Connect(shop);
  records_ = Connect(outrider);
  ASSERT_TRUE(Drained(1)) << process->Stderr();
  EXPECT_EQ(process->Terminate().code, 0);
}

TEST_F(BadInputTest, EveryFaultOfAConfigurationIsListedAndTheExitCodeIsTwo) {
  program_.SetConfiguration(
      "databse: {url: \"mysql://a@b/c\"}\nchannels:\n  ops: {provider: feishu_bott, rate: {per_second: -1}}\n");
  const auto checked = program_.Command({"config", "check"});
  EXPECT_EQ(checked.code, 2);
  for (const std::string_view fault : {"databse", "database.url", "feishu_bot", "channels.ops.rate.per_second"}) {
    EXPECT_NE(checked.err.find(fault), std::string::npos) << fault << " isn't named in:\n" << checked.err;
  }
  EXPECT_EQ(program_.Command({"run"}).code, 2);
}

}  // namespace
}  // namespace outrider::e2e
