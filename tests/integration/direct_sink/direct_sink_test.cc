// The direct sink passes what Kafka's passes, over a real database; and what it reports as stored is a record.
#include "app/direct_sink.h"

#include <fmt/format.h>

#include <stdexcept>

#include "consumer/schema.h"
#include "platform/mysql/migrator.h"
#include "tests/support/database/database_server.h"
#include "tests/support/database/statements.h"
#include "tests/support/kept_log/kept_log.h"
#include "tests/support/memory_sink/event_sink_contract.h"

namespace outrider::app {
namespace {

using outbox::PublishReport;
using testing::DatabaseServer;
using testing::Must;
using testing::Number;

class NoShards final : public consumer::ShardOwner {
 public:
  void Assigned(const std::vector<kafka::TopicPartition>&) override {}
  void Revoked(const std::vector<kafka::TopicPartition>&) override {}
  void Stored(const std::set<std::string>&) override {}
};

// What the sink stands on: Outrider's tables, and an ingest over them.
struct Ground {
  Ground() {
    const mysql::Migrator migrator("outrider", consumer::RecordMigrations());
    if (auto done = migrator.Up(*connection); !done) throw std::runtime_error(done.error().message);
  }

  const mysql::MysqlOptions database = mysql::ParseMysqlUrl(DatabaseServer::Shared().CreateDatabase()).value();
  const std::unique_ptr<mysql::MysqlConnection> connection = testing::Connect(database);
  MetricsRegistry registry;
  IngestProbe probe{registry};
  DeliveryProbe delivery_probe{registry};
  testing::KeptLog log;
  SystemClock clock;
  http::HttpEngine engine{http::HttpEngineOptions{}};
  providers::Sender sender{engine, clock, delivery_probe, log.log()};
  mysql::MysqlPool pool{database, 2};
  crypto::Sealer sealer;  // without keys
  consumer::Ingest ingest{pool, sender, probe, log.log(), {.sealer = &sealer}};
  NoShards shards;
};

std::unique_ptr<DirectSink> SinkOver(Ground& ground) {
  return std::make_unique<DirectSink>("shop", ground.ingest, ground.shards, &ground.sealer);
}

outbox::OutboxRow RowOf(std::uint64_t seq, std::string payload) {
  outbox::OutboxRow row;
  row.seq = seq;
  row.id = fmt::format("00000000-0000-4000-8000-{:012}", seq);
  row.aggregatetype = "notification";
  row.aggregateid = "order-1";
  row.type = "notification.requested";
  row.payload = std::move(payload);
  row.created_at = SystemClock().Now();
  return row;
}

TEST(DirectSinkTest, ARowIsReportedAsStoredOnceItIsARecord) {
  Ground ground;
  const auto sink = SinkOver(ground);
  ASSERT_TRUE(sink->Submit(RowOf(7, R"({"dedupe_key": "k", "channel": "ops", "message": {"text": "hello"}})")));
  EXPECT_EQ(Number(*ground.connection, "SELECT COUNT(*) FROM notification_records"), 0);
  std::vector<PublishReport> reports;
  sink->Poll(std::chrono::milliseconds(0), reports);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].kind, PublishReport::Kind::kStored) << reports[0].problem;
  EXPECT_EQ(Number(*ground.connection, "SELECT COUNT(*) FROM notification_records"), 1);
}

TEST(DirectSinkTest, WhatTheDatabaseRefusesIsReportedAsNotStoredAndIsTakenLater) {
  Ground ground;
  const auto sink = SinkOver(ground);
  const outbox::OutboxRow row = RowOf(7, R"({"dedupe_key": "k", "channel": "ops", "message": {"text": "hello"}})");
  Must(*ground.connection, "RENAME TABLE notification_records TO put_aside");
  std::vector<PublishReport> reports;
  ASSERT_TRUE(sink->Submit(row));
  sink->Poll(std::chrono::milliseconds(0), reports);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].kind, PublishReport::Kind::kNotStored);
  EXPECT_NE(sink->trouble(), "");
  Must(*ground.connection, "RENAME TABLE put_aside TO notification_records");
  ASSERT_TRUE(sink->Submit(row));
  sink->Poll(std::chrono::milliseconds(0), reports);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[1].kind, PublishReport::Kind::kStored) << reports[1].problem;
  EXPECT_EQ(sink->trouble(), "");
}

}  // namespace
}  // namespace outrider::app

namespace outrider::testing {

INSTANTIATE_TEST_SUITE_P(DirectSink, EventSinkContract, ::testing::Values(SinkFactory([] {
                           const auto ground = std::make_shared<app::Ground>();
                           return SinkUnderTest{.ground = ground,
                                                .sink = app::SinkOver(*ground),
                                                .aggregatetype = "notification",
                                                .topic = app::DirectTopic("shop")};
                         })));

}  // namespace outrider::testing
