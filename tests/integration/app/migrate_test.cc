#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/app/program.h"
#include "tests/support/process/free_port.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class MigrateTest : public ::testing::Test {
 protected:
  Installation installation_;
};

TEST_F(MigrateTest, StatusOfAnEmptyDatabaseIsUnhealthyAndNamesTheCommand) {
  const Ended status = installation_.Call({"migrate", "status"});
  EXPECT_EQ(status.code, 3);
  EXPECT_THAT(status.out, HasSubstr("missing"));
  EXPECT_THAT(status.err, HasSubstr("outrider migrate up"));
}

TEST_F(MigrateTest, UpCreatesEverythingOnce) {
  const Ended first = installation_.Call({"migrate", "up"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("applied 0001_"));
  const Ended second = installation_.Call({"migrate", "up"});
  EXPECT_EQ(second.code, 0);
  EXPECT_THAT(second.out, AllOf(HasSubstr("up to date"), Not(HasSubstr("applied"))));
  const Ended status = installation_.Call({"migrate", "status", "-o", "json"});
  EXPECT_EQ(status.code, 0);
  for (const auto& row : nlohmann::json::parse(status.out)) EXPECT_EQ(row["state"], "applied");
}

TEST_F(MigrateTest, TwoOutboxTablesOfOneDatabaseAreRecordedApart) {
  const std::string url = testing::DatabaseServer::Shared().Url(installation_.shop_database());
  ASSERT_EQ(installation_.Call({"migrate", "up"}).code, 0);
  const std::vector<std::string> second = {"--set", "sources.1.name=second",        "--set", "sources.1.url=" + url,
                                           "--set", "sources.1.table=second_outbox"};
  const auto call = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), second.begin(), second.end());
    return installation_.Call(std::move(arguments));
  };
  EXPECT_EQ(call({"migrate", "status"}).code, 3) << "the first table's migrations don't stand for the second's";
  EXPECT_EQ(call({"migrate", "up"}).code, 0);
  EXPECT_EQ(call({"migrate", "status"}).code, 0);
  EXPECT_TRUE(installation_.ConnectToShop()->Execute("SELECT COUNT(*) FROM second_outbox"));
}

TEST_F(MigrateTest, SqlIsWhatADatabaseAdministratorNeeds) {
  const Ended sql = installation_.Call({"migrate", "sql"});
  ASSERT_EQ(sql.code, 0);
  // The text names each database in a comment; here everything may stand in each.
  for (const std::string& database : {installation_.own_database(), installation_.shop_database()}) {
    auto connection = mysql::MysqlConnection::Open(testing::DatabaseServer::Shared().Options(database));
    ASSERT_TRUE(connection);
    const auto run = (*connection)->ExecuteScript(sql.out);
    ASSERT_TRUE(run) << run.error().message;
  }
  EXPECT_EQ(installation_.Call({"migrate", "status"}).code, 0);
}

TEST_F(MigrateTest, ADatabaseThatIsAwayIsNamedWithoutItsPassword) {
  const std::string url = fmt::format("mysql://u:hunter2@127.0.0.1:{}/d", testing::FreePort());
  for (const char* what : {"status", "up"}) {
    const Ended ended = installation_.Call({"migrate", what, "--set", "database.url=" + url});
    EXPECT_EQ(ended.code, 1);
    EXPECT_THAT(ended.err, AllOf(HasSubstr("u@127.0.0.1"), Not(HasSubstr("hunter2"))));
  }
}

TEST_F(MigrateTest, TheMigratingAccountIsUsedWhereThereIsOne) {
  const testing::DatabaseServer& server = testing::DatabaseServer::Shared();
  auto admin = mysql::MysqlConnection::Open(server.Options(""));
  ASSERT_TRUE(admin);
  const std::string user = "reader_" + installation_.own_database().substr(5, 8);
  ASSERT_TRUE((*admin)->ExecuteScript(
      fmt::format("CREATE USER '{0}'@'%' IDENTIFIED BY 'pw'; GRANT SELECT ON {1}.* TO '{0}'@'%'", user,
                  installation_.own_database())));
  const std::string reader =
      fmt::format("mysql://{}:pw@127.0.0.1:{}/{}", user, server.port(), installation_.own_database());
  EXPECT_EQ(installation_.Call({"migrate", "up", "--set", "database.url=" + reader}).code, 1);
  EXPECT_EQ(installation_
                .Call({"migrate", "up", "--set", "database.url=" + reader, "--set",
                       "database.migrate_url=" + server.Url(installation_.own_database())})
                .code,
            0);
}

}  // namespace
}  // namespace outrider::app
