// The cuts that know MySQL's protocol, on real servers: what the client is told, and what is true.
#include <gtest/gtest.h>
#include <mysql.h>

#include <memory>
#include <string>

#include "platform/mysql/connection.h"
#include "tests/support/database/database_server.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/proxy/fault_proxy.h"

namespace outrider::testing {
namespace {

using mysql::MysqlConnection;

std::unique_ptr<MysqlConnection> Connect(const mysql::MysqlOptions& options) {
  auto connection = MysqlConnection::Open(options);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

class StatementCutTest : public ::testing::TestWithParam<CutMoment> {
 protected:
  StatementCutTest() {
    EXPECT_TRUE(direct_->ExecuteScript("CREATE TABLE t (id INT PRIMARY KEY)").has_value());
    through_proxy_.port = proxy_.port();
  }
  static DatabaseServer& server() { return DatabaseServer::Shared(); }
  bool committed() const { return GetParam() == CutMoment::kAfterServer; }

  std::int64_t Number(std::string_view sql) { return direct_->Execute(sql).value().rows.at(0).Int(0); }
  std::int64_t Rows() { return Number("SELECT COUNT(*) FROM t"); }
  // Once the server has noticed that a connection is gone, nothing of it can become true any more.
  bool ServerHasForgottenTheOthers() {
    return WaitUntil(
        [&] { return Number("SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()") == 1; });
  }

  mysql::MysqlOptions options_ = mysql::ParseMysqlUrl(server().CreateDatabase()).value();
  std::unique_ptr<MysqlConnection> direct_ = Connect(options_);
  FaultProxy proxy_{server().port()};
  mysql::MysqlOptions through_proxy_ = options_;
};

TEST_P(StatementCutTest, HidesTheOutcomeOfACommit) {
  auto connection = Connect(through_proxy_);
  ASSERT_TRUE(connection->Begin().has_value());
  ASSERT_TRUE(connection->Execute("INSERT INTO t VALUES (1)").has_value());
  const int cut = proxy_.Inject(CutCommit(GetParam()));
  const auto outcome = connection->Commit();
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, ErrorCode::kUnknown) << outcome.error().message;
  EXPECT_EQ(proxy_.fired(cut), 1u);
  if (committed()) {
    EXPECT_EQ(Rows(), 1) << "the server has it before the client learns that the connection is cut";
  }
  EXPECT_TRUE(ServerHasForgottenTheOthers());
  EXPECT_EQ(Rows(), committed() ? 1 : 0);
}

TEST_P(StatementCutTest, CutsTheNthAndNoOther) {
  const int cut = proxy_.Inject(CutCommit(GetParam(), 3));
  auto one = Connect(through_proxy_);
  auto two = Connect(through_proxy_);
  const auto commit = [](MysqlConnection& connection, std::int64_t id) {
    return connection.Begin().has_value() && connection.Execute("INSERT INTO t VALUES (?)", {id}).has_value() &&
           connection.Commit().has_value();
  };
  EXPECT_TRUE(commit(*one, 1));
  EXPECT_TRUE(commit(*two, 2));
  EXPECT_EQ(proxy_.fired(cut), 0u);
  EXPECT_FALSE(commit(*one, 3));
  EXPECT_TRUE(commit(*two, 4));
  EXPECT_EQ(proxy_.fired(cut), 1u);
  EXPECT_FALSE(one->healthy());
  EXPECT_TRUE(WaitUntil([&] { return Rows() == (committed() ? 4 : 3); }));
}

TEST_P(StatementCutTest, CutsAPreparedWriteThatCommitsByItself) {
  auto connection = Connect(through_proxy_);
  ASSERT_TRUE(connection->Execute("INSERT INTO t VALUES (?)", {std::int64_t{1}}).has_value());
  const int cut = proxy_.Inject(CutStatement(GetParam(), "insert into t"));
  EXPECT_FALSE(connection->Execute("INSERT INTO t VALUES (?)", {std::int64_t{2}}).has_value());
  EXPECT_EQ(proxy_.fired(cut), 1u);
  EXPECT_TRUE(ServerHasForgottenTheOthers());
  EXPECT_EQ(Rows(), committed() ? 2 : 1);
}

TEST_P(StatementCutTest, CutsAWriteInPlainText) {
  auto connection = Connect(through_proxy_);
  const int cut = proxy_.Inject(CutStatement(GetParam(), "INSERT INTO t"));
  EXPECT_FALSE(connection->ExecuteScript("INSERT INTO t VALUES (1)").has_value());
  EXPECT_EQ(proxy_.fired(cut), 1u);
  EXPECT_TRUE(ServerHasForgottenTheOthers());
  EXPECT_EQ(Rows(), committed() ? 1 : 0);
}

TEST_P(StatementCutTest, TakesTheClientLibrarysCommitForOneToo) {
  const std::unique_ptr<MYSQL, decltype(&mysql_close)> handle(mysql_init(nullptr), mysql_close);
  ASSERT_NE(mysql_real_connect(handle.get(), "127.0.0.1", "outrider", "outrider", options_.database.c_str(),
                               proxy_.port(), nullptr, 0),
            nullptr)
      << mysql_error(handle.get());
  ASSERT_EQ(mysql_autocommit(handle.get(), 0), 0);
  ASSERT_EQ(mysql_query(handle.get(), "INSERT INTO t VALUES (1)"), 0);
  const int cut = proxy_.Inject(CutCommit(GetParam()));
  EXPECT_NE(mysql_commit(handle.get()), 0);
  EXPECT_EQ(proxy_.fired(cut), 1u);
  EXPECT_TRUE(ServerHasForgottenTheOthers());
  EXPECT_EQ(Rows(), committed() ? 1 : 0);
}

TEST_P(StatementCutTest, FindsTheCommitInSlicesOfASlowConnection) {
  auto connection = Connect(through_proxy_);
  ASSERT_TRUE(connection->Begin().has_value());
  ASSERT_TRUE(connection->Execute("INSERT INTO t VALUES (1)").has_value());
  proxy_.Inject(Slice(Direction::kBoth, 2, std::chrono::milliseconds{1}));
  proxy_.Inject(Latency(Direction::kBoth, std::chrono::milliseconds{5}));
  const int cut = proxy_.Inject(CutCommit(GetParam()));
  EXPECT_FALSE(connection->Commit().has_value());
  EXPECT_EQ(proxy_.fired(cut), 1u);
  EXPECT_TRUE(ServerHasForgottenTheOthers());
  EXPECT_EQ(Rows(), committed() ? 1 : 0);
}

INSTANTIATE_TEST_SUITE_P(Before, StatementCutTest, ::testing::Values(CutMoment::kBeforeServer));
INSTANTIATE_TEST_SUITE_P(After, StatementCutTest, ::testing::Values(CutMoment::kAfterServer));

}  // namespace
}  // namespace outrider::testing
