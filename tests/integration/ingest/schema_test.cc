#include "consumer/schema.h"

#include <gmock/gmock.h>

#include "tests/integration/ingest/fixture.h"

namespace outrider::consumer {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RecordSchemaTest : public ::testing::Test {
 protected:
  std::vector<std::string> Missing() {
    auto missing = MissingTables(*connection_);
    if (!missing) throw std::runtime_error(missing.error().message);
    return *missing;
  }

  std::unique_ptr<mysql::MysqlConnection> connection_ =
      Connect(mysql::ParseMysqlUrl(testing::DatabaseServer::Shared().CreateDatabase()).value());
};

TEST_F(RecordSchemaTest, AnEmptyDatabaseLacksEveryTableAndTheCommandIsNamed) {
  const auto missing = Missing();
  ASSERT_THAT(missing, SizeIs(1));
  EXPECT_THAT(missing[0], HasSubstr("notification_records, notification_attempts, consumer_shards, rejected_events, "
                                    "ordering_flights, ordering_blocks, delivery_pauses, audit_log, audit_records, "
                                    "rejected_replays, rate_leases, record_removals, "
                                    "quota_counters;"));
  EXPECT_THAT(missing[0], HasSubstr("outrider migrate up"));
}

TEST_F(RecordSchemaTest, NothingIsMissingAfterTheMigrations) {
  Migrate(*connection_);
  EXPECT_THAT(Missing(), IsEmpty());
}

TEST_F(RecordSchemaTest, AMissingColumnIsNamed) {
  Migrate(*connection_);
  Must(*connection_, "ALTER TABLE rejected_events DROP COLUMN faults, DROP COLUMN reason");
  const auto missing = Missing();
  ASSERT_THAT(missing, SizeIs(1));
  EXPECT_THAT(missing[0], HasSubstr("reason, faults"));
}

TEST_F(RecordSchemaTest, TheMigrationsMayRunTwice) {
  Migrate(*connection_);
  Migrate(*connection_);
  EXPECT_THAT(Missing(), IsEmpty());
}

}  // namespace
}  // namespace outrider::consumer
