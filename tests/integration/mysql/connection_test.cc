// One session: its settings, its statements, and what its errors mean when the server misbehaves.
#include <chrono>
#include <string>

#include "tests/integration/mysql/fixture.h"

namespace outrider::mysql {
namespace {

using testing::DatabaseServer;

class MysqlConnectionTest : public MysqlTest {
 protected:
  void SetUp() override {
    Must(*connection_, "CREATE TABLE t (id BIGINT PRIMARY KEY, version INT NOT NULL DEFAULT 0, s VARCHAR(64))");
  }

  std::int64_t CountRows() { return Number(*Connect(), "SELECT COUNT(*) FROM t"); }

  std::unique_ptr<MysqlConnection> connection_ = Connect();
};

TEST_F(MysqlConnectionTest, RunsInUtcReadCommittedStrictModeAndUtf8mb4) {
  const bool mysql = connection_->flavor() == Flavor::kMysql;
  EXPECT_EQ(mysql, server().kind() == DatabaseServer::Kind::kMysql);
  const Rows rows =
      Must(*connection_, std::string("SELECT @@session.time_zone, @@session.sql_mode, @@session.autocommit, "
                                     "@@session.character_set_client, @@session.character_set_results, "
                                     "@@session.collation_connection, @@session.") +
                             (mysql ? "transaction_isolation" : "tx_isolation"));
  const Row& row = rows.rows.at(0);
  EXPECT_EQ(row.Text(0), "+00:00");
  for (const char* mode : {"STRICT_TRANS_TABLES", "NO_ZERO_DATE", "NO_ZERO_IN_DATE", "ERROR_FOR_DIVISION_BY_ZERO",
                           "NO_ENGINE_SUBSTITUTION"}) {
    EXPECT_NE(row.Text(1).find(mode), std::string::npos) << mode;
  }
  EXPECT_TRUE(row.Bool(2));
  EXPECT_EQ(row.Text(3), "utf8mb4");
  EXPECT_EQ(row.Text(4), "utf8mb4");
  EXPECT_EQ(row.Text(5), "utf8mb4_bin");
  EXPECT_EQ(row.Text(6), "READ-COMMITTED");
  EXPECT_FALSE(connection_->server_version().empty());
}

TEST_F(MysqlConnectionTest, CountsChangedRowsAndNotMatchedOnes) {
  EXPECT_EQ(Must(*connection_, "INSERT INTO t (id) VALUES (1), (2)").affected, 2u);
  EXPECT_EQ(Must(*connection_, "UPDATE t SET s = 'x' WHERE id = 1").affected, 1u);
  EXPECT_EQ(Must(*connection_, "UPDATE t SET s = 'x' WHERE id = 1").affected, 0u);
  EXPECT_EQ(Must(*connection_, "UPDATE t SET version = version + 1 WHERE id = 1 AND version = 0").affected, 1u);
  EXPECT_EQ(Must(*connection_, "UPDATE t SET version = version + 1 WHERE id = 1 AND version = 0").affected, 0u);
  EXPECT_EQ(Must(*connection_, "SELECT 1").affected, 0u);
}

TEST_F(MysqlConnectionTest, GivesTheFirstIdOfAnInsert) {
  Must(*connection_, "CREATE TABLE numbered (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, x INT)");
  EXPECT_EQ(Must(*connection_, "INSERT INTO numbered (x) VALUES (5), (6)").insert_id, 1u);
  EXPECT_EQ(Must(*connection_, "INSERT INTO numbered (x) VALUES (7)").insert_id, 3u);
}

TEST_F(MysqlConnectionTest, PreparesAStatementOnce) {
  const auto prepared = [&] {
    return std::stoll(Must(*connection_, "SHOW SESSION STATUS LIKE 'Com_stmt_prepare'").rows.at(0).Text(1));
  };
  const auto before = prepared();
  for (std::int64_t i = 0; i < 10; ++i) Must(*connection_, "INSERT INTO t (id) VALUES (?)", {i});
  EXPECT_EQ(prepared(), before + 1);
}

TEST_F(MysqlConnectionTest, KeepsABoundedNumberOfPreparedStatements) {
  const auto kept = [&] {
    return std::stoll(Must(*connection_, "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").rows.at(0).Text(1));
  };
  const auto before = kept();
  for (int i = 0; i < 300; ++i) EXPECT_EQ(Number(*connection_, "SELECT " + std::to_string(i)), i);
  EXPECT_LE(kept(), before + 64);
  EXPECT_EQ(Number(*connection_, "SELECT 0"), 0);
}

TEST_F(MysqlConnectionTest, UsesAKeptStatementAfterItsTableChanged) {
  Must(*connection_, "INSERT INTO t (id, s) VALUES (1, 'x')");
  EXPECT_EQ(Must(*connection_, "SELECT id, s FROM t").rows.at(0).Text(1), "x");
  Must(*Connect(), "ALTER TABLE t ADD COLUMN more INT NOT NULL DEFAULT 7 FIRST, MODIFY s LONGTEXT");
  const std::string text(5000, 'y');
  Must(*connection_, "UPDATE t SET s = ?", {std::string_view(text)});
  EXPECT_EQ(Must(*connection_, "SELECT id, s FROM t").rows.at(0).Text(1), text);
}

TEST_F(MysqlConnectionTest, CountsAsLostWhenAKeptStatementGetsAnotherNumberOfColumns) {
  Must(*connection_, "SELECT * FROM t");
  Must(*Connect(), "ALTER TABLE t ADD COLUMN more INT");
  const auto again = connection_->Execute("SELECT * FROM t");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kUnavailable);
  EXPECT_FALSE(connection_->healthy());
}

TEST_F(MysqlConnectionTest, GoesOnAfterAFaultyStatement) {
  const auto missing = connection_->Execute("SELECT * FROM nowhere");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(missing.error().native_code, 1146);
  const auto syntax = connection_->Execute("SELEC 1");
  ASSERT_FALSE(syntax.has_value());
  EXPECT_EQ(syntax.error().native_code, 1064);
  const auto parameters = connection_->Execute("SELECT ?");
  ASSERT_FALSE(parameters.has_value());
  EXPECT_EQ(parameters.error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(connection_->healthy());
  EXPECT_EQ(Number(*connection_, "SELECT ?", {std::int64_t{1}}), 1);
}

TEST_F(MysqlConnectionTest, NamesADuplicateKeyWithoutItsValue) {
  Must(*connection_, "CREATE TABLE k (s VARCHAR(64) PRIMARY KEY)");
  Must(*connection_, "INSERT INTO k VALUES (?)", {std::string_view("it's private")});
  const auto again = connection_->Execute("INSERT INTO k VALUES (?)", {std::string_view("it's private")});
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(again.error().native_code, 1062);
  EXPECT_EQ(again.error().message.find("private"), std::string::npos) << again.error().message;
  EXPECT_NE(again.error().message.find("PRIMARY"), std::string::npos) << again.error().message;
}

TEST_F(MysqlConnectionTest, RunsOneStatementAtATimeOutsideScripts) {
  const auto two = connection_->Execute("INSERT INTO t (id) VALUES (1); INSERT INTO t (id) VALUES (2)");
  EXPECT_FALSE(two.has_value());
  EXPECT_EQ(CountRows(), 0);
}

TEST_F(MysqlConnectionTest, RunsAScriptUpToItsFirstFault) {
  const auto run = connection_->ExecuteScript(
      "-- first\nINSERT INTO t (id) VALUES (1);\nSELECT * FROM t;\nINSERT INTO t (id) VALUES (1);\nINSERT INTO t (id) "
      "VALUES (2);\n");
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().native_code, 1062);
  EXPECT_EQ(CountRows(), 1);
  EXPECT_TRUE(connection_->ExecuteScript("DELETE FROM t;\nINSERT INTO t (id) VALUES (3);\n").has_value());
  EXPECT_EQ(Number(*connection_, "SELECT id FROM t"), 3);
}

TEST_F(MysqlConnectionTest, RefusesWhatTheServerWouldHangUpOn) {
  const auto limit = static_cast<std::size_t>(Number(*connection_, "SELECT @@max_allowed_packet"));
  const std::string text(limit, 'x');
  const auto sent = connection_->Execute("INSERT INTO t (id, s) VALUES (1, ?)", {std::string_view(text)});
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(connection_->healthy());
  EXPECT_EQ(Number(*connection_, "SELECT 1"), 1);
}

TEST_F(MysqlConnectionTest, NeverPrintsAWrongPassword) {
  MysqlOptions wrong = options_;
  wrong.password = Secret("hunter2");
  const auto connection = MysqlConnection::Open(wrong);
  ASSERT_FALSE(connection.has_value());
  EXPECT_EQ(connection.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(connection.error().native_code, 1045);
  EXPECT_EQ(connection.error().message.find("hunter2"), std::string::npos);
}

TEST_F(MysqlConnectionTest, NamesADatabaseThatIsMissing) {
  MysqlOptions wrong = options_;
  wrong.database = "nowhere";
  const auto connection = MysqlConnection::Open(wrong);
  ASSERT_FALSE(connection.has_value());
  EXPECT_EQ(connection.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(connection.error().native_code, 1049);
}

TEST_F(MysqlConnectionTest, CommitsWhatWasBegun) {
  ASSERT_TRUE(connection_->Begin().has_value());
  EXPECT_TRUE(connection_->in_transaction());
  Must(*connection_, "INSERT INTO t (id) VALUES (1)");
  EXPECT_EQ(CountRows(), 0);
  ASSERT_TRUE(connection_->Commit().has_value());
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(CountRows(), 1);
}

TEST_F(MysqlConnectionTest, TakesBackWhatWasRolledBack) {
  ASSERT_TRUE(connection_->Begin().has_value());
  Must(*connection_, "INSERT INTO t (id) VALUES (1)");
  connection_->Rollback();
  EXPECT_EQ(CountRows(), 0);
  EXPECT_TRUE(connection_->healthy());
}

TEST_F(MysqlConnectionTest, RefusesATransactionInATransaction) {
  ASSERT_TRUE(connection_->Begin().has_value());
  Must(*connection_, "INSERT INTO t (id) VALUES (1)");
  EXPECT_FALSE(connection_->Begin().has_value());
  EXPECT_EQ(CountRows(), 0);
  connection_->Rollback();
  EXPECT_FALSE(connection_->Commit().has_value());
}

TEST_F(MysqlConnectionTest, LetsNothingSlipOutOfATransactionThatALockWaitEnded) {
  Must(*connection_, "INSERT INTO t (id) VALUES (1)");
  const auto other = Connect();
  ASSERT_TRUE(other->Begin().has_value());
  Must(*other, "UPDATE t SET version = 1 WHERE id = 1");

  Must(*connection_, "SET innodb_lock_wait_timeout = 1");
  ASSERT_TRUE(connection_->Begin().has_value());
  Must(*connection_, "INSERT INTO t (id) VALUES (2)");
  const auto blocked = connection_->Execute("UPDATE t SET version = 2 WHERE id = 1");
  ASSERT_FALSE(blocked.has_value());
  EXPECT_EQ(blocked.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(blocked.error().native_code, 1205);

  const auto next = connection_->Execute("INSERT INTO t (id) VALUES (3)");
  ASSERT_FALSE(next.has_value());
  EXPECT_EQ(next.error().native_code, 1205);
  EXPECT_FALSE(connection_->Commit().has_value());
  connection_->Rollback();
  EXPECT_TRUE(connection_->healthy());
  EXPECT_EQ(CountRows(), 1);
  Must(*connection_, "INSERT INTO t (id) VALUES (4)");
}

TEST_F(MysqlConnectionTest, IsBrokenOnceKilledAndItsTransactionIsUndone) {
  ASSERT_TRUE(connection_->Begin().has_value());
  Must(*connection_, "INSERT INTO t (id) VALUES (1)");
  const auto id = ConnectionId(*connection_);
  ASSERT_TRUE(Connect()->ExecuteScript("KILL " + std::to_string(id)).has_value());
  const auto next = connection_->Execute("INSERT INTO t (id) VALUES (2)");
  ASSERT_FALSE(next.has_value());
  EXPECT_EQ(next.error().code, ErrorCode::kUnavailable);
  EXPECT_FALSE(connection_->healthy());
  EXPECT_EQ(connection_->Commit().error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(connection_->Execute("SELECT 1").error().code, ErrorCode::kUnavailable);
  EXPECT_FALSE(connection_->Ping().has_value());
  EXPECT_EQ(CountRows(), 0);
}

TEST_F(MysqlConnectionTest, CallsARefusedLoginByTheFullServerPassing) {
  const auto limited = DatabaseServer::Start(server().kind(), {"--max-connections=10"});
  std::vector<std::unique_ptr<MysqlConnection>> all;
  Result<std::unique_ptr<MysqlConnection>> one = MysqlConnection::Open(limited->Options(""));
  while (one && all.size() < 20) {
    all.push_back(std::move(*one));
    one = MysqlConnection::Open(limited->Options(""));
  }
  ASSERT_FALSE(one.has_value());
  EXPECT_EQ(one.error().native_code, 1040);
  EXPECT_EQ(one.error().code, ErrorCode::kUnavailable);
}

// A server that is stopped in its tracks: nothing answers, nothing hangs up.
class PausedServerTest : public MysqlTest {
 protected:
  void SetUp() override {
    MysqlOptions options = server_->Options("");
    options.database = ParseMysqlUrl(server_->CreateDatabase())->database;
    options.io_timeout = std::chrono::seconds{1};
    connection_ = Connect(options);
    Must(*connection_, "CREATE TABLE t (id BIGINT PRIMARY KEY)");
    options.io_timeout = std::chrono::seconds{30};
    patient_ = options;
  }

  std::unique_ptr<DatabaseServer> server_ = DatabaseServer::Start(DatabaseServer::KindFromEnvironment());
  std::unique_ptr<MysqlConnection> connection_;
  MysqlOptions patient_;
};

TEST_F(PausedServerTest, LeavesACommitUnknown) {
  ASSERT_TRUE(connection_->Begin().has_value());
  Must(*connection_, "INSERT INTO t (id) VALUES (1)");
  server_->Pause();
  const auto committed = connection_->Commit();
  server_->Continue();
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().code, ErrorCode::kUnknown) << committed.error().message;
  EXPECT_FALSE(connection_->healthy());
}

TEST_F(PausedServerTest, LeavesAnAutocommittedWriteUnknown) {
  server_->Pause();
  const auto written = connection_->ExecuteScript("INSERT INTO t (id) VALUES (1)");
  server_->Continue();
  ASSERT_FALSE(written.has_value());
  EXPECT_FALSE(connection_->healthy());
}

TEST_F(PausedServerTest, LeavesAPreparedAutocommittedWriteUnknown) {
  Must(*connection_, "INSERT INTO t (id) VALUES (?)", {std::int64_t{1}});
  server_->Pause();
  const auto written = connection_->Execute("INSERT INTO t (id) VALUES (?)", {std::int64_t{2}});
  server_->Continue();
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().code, ErrorCode::kUnknown) << written.error().message;
}

TEST_F(PausedServerTest, CallsALostReadUnavailable) {
  EXPECT_EQ(Number(*connection_, "/* why */ SELECT 1"), 1);
  server_->Pause();
  const auto read = connection_->Execute("/* why */ SELECT 1");
  server_->Continue();
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::kUnavailable) << read.error().message;
}

TEST_F(PausedServerTest, CallsAStatementLostInsideATransactionUnavailable) {
  Must(*connection_, "INSERT INTO t (id) VALUES (?)", {std::int64_t{1}});
  ASSERT_TRUE(connection_->Begin().has_value());
  server_->Pause();
  const auto written = connection_->Execute("INSERT INTO t (id) VALUES (?)", {std::int64_t{2}});
  server_->Continue();
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().code, ErrorCode::kUnavailable) << written.error().message;
  connection_.reset();
  EXPECT_EQ(Number(*Connect(patient_), "SELECT COUNT(*) FROM t"), 1);
}

}  // namespace
}  // namespace outrider::mysql
