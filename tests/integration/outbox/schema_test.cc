#include "outbox/schema.h"

#include "platform/mysql/migrator.h"
#include "tests/integration/outbox/fixture.h"

namespace outrider::outbox {
namespace {

class SchemaTest : public ::testing::Test {
 protected:
  std::vector<std::string> Missing(std::string_view table = "outbox") {
    auto missing = MissingTables(*connection_, table);
    if (!missing) throw std::runtime_error(missing.error().message);
    return *missing;
  }

  std::unique_ptr<mysql::MysqlConnection> connection_ =
      Connect(mysql::ParseMysqlUrl(testing::DatabaseServer::Shared().CreateDatabase()).value());
};

TEST_F(SchemaTest, AnEmptyDatabaseLacksEveryTableAndTheCommandIsNamed) {
  const auto missing = Missing();
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_NE(missing[0].find("outbox, outbox_leases, outbox_replicas, outbox_ledger, outbox_dead, outbox_held_keys, "
                            "outbox_held, outbox_audit;"),
            std::string::npos)
      << missing[0];
  EXPECT_NE(missing[0].find("outrider migrate up"), std::string::npos);
}

TEST_F(SchemaTest, NothingIsMissingAfterTheMigrations) {
  Migrate(*connection_);
  EXPECT_TRUE(Missing().empty());
}

TEST_F(SchemaTest, AMissingColumnIsNamed) {
  Migrate(*connection_);
  Must(*connection_, "ALTER TABLE outbox DROP COLUMN traceparent, DROP COLUMN tracestate");
  const auto missing = Missing();
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_NE(missing[0].find("traceparent, tracestate"), std::string::npos) << missing[0];
}

TEST_F(SchemaTest, TwoOutboxTablesOfOneDatabaseAreBothCreated) {
  Migrate(*connection_, "outbox");
  EXPECT_EQ(Missing("order`s outbox").size(), 1u);
  Migrate(*connection_, "order`s outbox");
  EXPECT_TRUE(Missing("order`s outbox").empty());
  EXPECT_TRUE(Missing("outbox").empty());
}

TEST_F(SchemaTest, TheHashDoesNotDependOnTheTablesName) {
  EXPECT_EQ(OutboxMigrations("a").at(0).hash_text, OutboxMigrations("b").at(0).hash_text);
  EXPECT_NE(OutboxMigrations("a").at(0).sql, OutboxMigrations("b").at(0).sql);
}

TEST_F(SchemaTest, AnApplicationMayLeaveOutWhatHasADefault) {
  Migrate(*connection_);
  Must(*connection_, R"(INSERT INTO outbox (aggregateid, payload) VALUES ('order-1', '{"a": 1}'))");
  auto rows = Must(*connection_, "SELECT LENGTH(id), aggregatetype, type, created_at IS NULL FROM outbox");
  EXPECT_EQ(rows.rows.at(0).Int(0), 36);
  EXPECT_EQ(rows.rows.at(0).Text(1), "notification");
  EXPECT_EQ(rows.rows.at(0).Text(2), "notification.requested");
  EXPECT_EQ(rows.rows.at(0).Int(3), 0);
}

}  // namespace
}  // namespace outrider::outbox
