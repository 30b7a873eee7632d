#include "platform/mysql/migrator.h"

#include <algorithm>
#include <string>
#include <thread>

#include "tests/integration/mysql/fixture.h"

namespace outrider::mysql {
namespace {

Migration Make(int number, std::string name, std::string sql) { return {number, std::move(name), sql, sql}; }

const Migration kFirst = Make(
    1, "0001_first",
    "-- The first table; with a ; in a comment.\nCREATE TABLE IF NOT EXISTS first_table (\n  id BIGINT PRIMARY KEY  -- "
    "the number\n) ENGINE=InnoDB;\n\nCREATE TABLE IF NOT EXISTS second_table (id BIGINT PRIMARY KEY);\n");
const Migration kSecond = Make(
    2, "0002_second", "CREATE TABLE IF NOT EXISTS third_table (id BIGINT PRIMARY KEY, s VARCHAR(9) DEFAULT 'a;b');\n");

using Names = std::vector<std::string>;

class MigratorTest : public MysqlTest {
 protected:
  std::int64_t Tables() {
    return Number(*connection_, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()");
  }

  std::unique_ptr<MysqlConnection> connection_ = Connect();
};

TEST_F(MigratorTest, FindsNothingAppliedInAnEmptyDatabase) {
  const auto status = Migrator("shop", {kFirst, kSecond}).Status(*connection_);
  ASSERT_TRUE(status.has_value());
  ASSERT_EQ(status->size(), 2u);
  EXPECT_FALSE(status->at(0).applied);
  EXPECT_FALSE(status->at(1).applied);
  EXPECT_EQ(Tables(), 0);
}

TEST_F(MigratorTest, AppliesWhatIsMissingOnceAndInOrder) {
  EXPECT_EQ(Migrator("shop", {kFirst}).Up(*connection_), Names{"0001_first"});
  const Migrator both("shop", {kSecond, kFirst});
  EXPECT_EQ(both.Up(*connection_), Names{"0002_second"});
  EXPECT_EQ(both.Up(*connection_), Names{});
  EXPECT_EQ(Tables(), 4);
  const auto status = both.Status(*connection_);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->at(0).name, "0001_first");
  for (const MigrationStatus& one : *status) EXPECT_TRUE(one.applied && !one.changed) << one.name;
}

TEST_F(MigratorTest, RefusesAChangedTextAndTouchesNothing) {
  ASSERT_TRUE(Migrator("shop", {kFirst}).Up(*connection_).has_value());
  Migration changed = kFirst;
  changed.hash_text += " ";
  const Migrator migrator("shop", {changed, kSecond});
  const auto up = migrator.Up(*connection_);
  ASSERT_FALSE(up.has_value());
  EXPECT_EQ(up.error().code, ErrorCode::kInvalid);
  EXPECT_NE(up.error().message.find("0001_first"), std::string::npos);
  EXPECT_EQ(Tables(), 3);
  EXPECT_TRUE(migrator.Status(*connection_)->at(0).changed);
}

TEST_F(MigratorTest, HashesTheTextBeforePlaceholdersAreFilledIn) {
  ASSERT_TRUE(Migrator("shop", {kFirst}).Up(*connection_).has_value());
  Migration renamed = kFirst;
  renamed.sql = "CREATE TABLE other (id INT PRIMARY KEY)";
  EXPECT_EQ(Migrator("shop", {renamed}).Up(*connection_), Names{});
}

TEST_F(MigratorTest, DoesNotRecordAFileThatFails) {
  const Migrator faulty(
      "shop", {kFirst, Make(2, "0002_faulty", "CREATE TABLE third_table (id BIGINT PRIMARY KEY);\nBAD SQL;")});
  const auto up = faulty.Up(*connection_);
  ASSERT_FALSE(up.has_value());
  EXPECT_NE(up.error().message.find("0002_faulty"), std::string::npos);
  EXPECT_EQ(Migrator("shop", {kFirst, kSecond}).Up(*connection_), Names{"0002_second"});
}

TEST_F(MigratorTest, KeepsTwoRunsApart) {
  const Migrator migrator("shop", {kFirst, kSecond});
  const auto other = Connect();
  Result<Names> theirs;
  std::thread thread([&] { theirs = migrator.Up(*other); });
  auto ours = migrator.Up(*connection_);
  thread.join();
  ASSERT_TRUE(ours.has_value()) << ours.error().message;
  ASSERT_TRUE(theirs.has_value()) << theirs.error().message;
  EXPECT_EQ(ours->size() + theirs->size(), 2u);
}

TEST_F(MigratorTest, FreesItsLockForTheNext) {
  ASSERT_TRUE(Migrator("shop", {kFirst}).Up(*connection_).has_value());
  EXPECT_EQ(Migrator("shop", {kFirst, kSecond}).Up(*Connect()), Names{"0002_second"});
}

TEST_F(MigratorTest, KeepsSetsApart) {
  ASSERT_TRUE(Migrator("shop", {kFirst}).Up(*connection_).has_value());
  EXPECT_EQ(Migrator("other", {kSecond}).Up(*connection_), Names{"0002_second"});
}

TEST_F(MigratorTest, PrintsAScriptThatDoesTheSameAndMayRunTwice) {
  const Migrator migrator("shop", {kFirst, kSecond});
  for (int i = 0; i < 2; ++i) {
    const auto run = connection_->ExecuteScript(migrator.Sql());
    ASSERT_TRUE(run.has_value()) << run.error().message << migrator.Sql();
  }
  EXPECT_EQ(migrator.Up(*connection_), Names{});
  EXPECT_EQ(Tables(), 4);
}

}  // namespace
}  // namespace outrider::mysql
