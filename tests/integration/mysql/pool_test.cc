// The pool and its transactions, among them real deadlocks, restarts and a primary that turns read-only.
#include "platform/mysql/pool.h"

#include <atomic>
#include <chrono>
#include <latch>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/integration/mysql/fixture.h"

namespace outrider::mysql {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::DatabaseServer;

constexpr std::string_view kTable = "CREATE TABLE t (id BIGINT PRIMARY KEY, version INT NOT NULL DEFAULT 0)";

std::int64_t Count(MysqlPool& pool) { return Number(**pool.Acquire(), "SELECT COUNT(*) FROM t"); }

class MysqlPoolTest : public MysqlTest {
 protected:
  void SetUp() override { Must(**pool_.Acquire(), kTable); }

  MysqlPool pool_{options_, 4};
};

TEST_F(MysqlPoolTest, LendsAReturnedConnectionAgain) {
  const auto first = ConnectionId(**pool_.Acquire());
  EXPECT_EQ(ConnectionId(**pool_.Acquire()), first);
}

TEST_F(MysqlPoolTest, RollsBackWhatALeaseLeftOpen) {
  {
    auto lease = pool_.Acquire();
    ASSERT_TRUE((*lease)->Begin().has_value());
    Must(**lease, "INSERT INTO t (id) VALUES (1)");
  }
  EXPECT_EQ(Count(pool_), 0);
}

TEST_F(MysqlPoolTest, NeverOpensMoreThanItsLimitAndWaitsForOneToComeFree) {
  MysqlPool small(options_, 1);
  auto lease = small.Acquire();
  ASSERT_TRUE(lease.has_value());
  const auto id = ConnectionId(**lease);
  const auto refused = small.Acquire(milliseconds{10});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);

  std::latch about_to_wait(1);
  std::int64_t second = 0;
  std::thread waiter([&] {
    about_to_wait.count_down();
    auto late = small.Acquire(seconds{30});
    if (late) second = ConnectionId(**late);
  });
  about_to_wait.wait();
  { const auto returned = std::move(*lease); }
  waiter.join();
  EXPECT_EQ(second, id);
}

TEST_F(MysqlPoolTest, ReturnsTheLeaseThatAnAssignmentReplaces) {
  MysqlPool small(options_, 2);
  auto one = small.Acquire();
  auto two = small.Acquire();
  *one = std::move(*two);
  EXPECT_TRUE(small.Acquire(milliseconds{0}).has_value());
}

TEST_F(MysqlPoolTest, DoesNotKeepAKilledConnection) {
  std::int64_t killed = 0;
  {
    auto lease = pool_.Acquire();
    killed = ConnectionId(**lease);
    ASSERT_TRUE((*lease)->Begin().has_value());
    ASSERT_TRUE(Connect()->ExecuteScript("KILL " + std::to_string(killed)).has_value());
    EXPECT_FALSE((*lease)->Execute("INSERT INTO t (id) VALUES (1)").has_value());
  }
  EXPECT_NE(ConnectionId(**pool_.Acquire()), killed);
}

TEST_F(MysqlPoolTest, CommitsATransaction) {
  const auto done = pool_.InTransaction([](MysqlConnection& connection) -> Result<void> {
    Must(connection, "INSERT INTO t (id) VALUES (1)");
    return {};
  });
  EXPECT_TRUE(done.has_value());
  EXPECT_EQ(Count(pool_), 1);
}

TEST_F(MysqlPoolTest, RollsATransactionBackOnAnyError) {
  int runs = 0;
  const auto done = pool_.InTransaction([&](MysqlConnection& connection) -> Result<void> {
    ++runs;
    Must(connection, "INSERT INTO t (id) VALUES (1)");
    return Fail(ErrorCode::kConflict, "somebody else was first");
  });
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kConflict);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(Count(pool_), 0);
}

TEST_F(MysqlPoolTest, RollsATransactionBackOnAnException) {
  EXPECT_THROW((void)pool_.InTransaction([](MysqlConnection& connection) -> Result<void> {
    Must(connection, "INSERT INTO t (id) VALUES (1)");
    throw std::runtime_error("a defect");
  }),
               std::runtime_error);
  EXPECT_EQ(Count(pool_), 0);
}

TEST_F(MysqlPoolTest, RepeatsTheLoserOfADeadlock) {
  Must(**pool_.Acquire(), "INSERT INTO t (id) VALUES (1), (2)");
  std::latch both_hold_one(2);
  std::atomic<int> runs = 0;
  std::atomic<int> deadlocks = 0;
  const auto swap = [&](std::int64_t first, std::int64_t second) {
    bool met = false;
    return pool_.InTransaction([&, first, second](MysqlConnection& connection) -> Result<void> {
      ++runs;
      constexpr std::string_view kUpdate = "UPDATE t SET version = version + 1 WHERE id = ?";
      for (const std::int64_t id : {first, second}) {
        auto updated = connection.Execute(kUpdate, {id});
        if (!updated) {
          if (updated.error().native_code == 1213) ++deadlocks;
          return std::unexpected(updated.error());
        }
        if (!std::exchange(met, true)) both_hold_one.arrive_and_wait();
      }
      return {};
    });
  };
  Result<void> one;
  std::thread other([&] { one = swap(1, 2); });
  const auto two = swap(2, 1);
  other.join();
  EXPECT_TRUE(one.has_value());
  EXPECT_TRUE(two.has_value());
  EXPECT_EQ(deadlocks, 1);
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(Number(**pool_.Acquire(), "SELECT SUM(version) FROM t"), 4);
}

TEST_F(MysqlPoolTest, GivesUpAfterFiveRepetitions) {
  int runs = 0;
  const auto done = pool_.InTransaction([&](MysqlConnection&) -> Result<void> {
    ++runs;
    return Fail(ErrorCode::kUnavailable, "deadlock", 1213);
  });
  EXPECT_EQ(runs, 6);
  EXPECT_EQ(done.error().native_code, 1213);
}

TEST_F(MysqlPoolTest, ATransactionThatStandsStillHoldsItsLocksNoLongerThanTheServersPatience) {
  MysqlOptions options = options_;
  options.hang_up_after = seconds{1};
  MysqlPool pool(options, 2);
  auto still = pool.Acquire();
  ASSERT_TRUE((*still)->Begin().has_value());
  Must(**still, "INSERT INTO t (id) VALUES (1)");
  const auto insert = [](MysqlConnection& connection) -> Result<void> {
    auto inserted = connection.Execute("INSERT INTO t (id) VALUES (1)");
    return inserted ? Result<void>() : std::unexpected(inserted.error());
  };
  EXPECT_TRUE(pool_.InTransaction(insert).has_value());
  EXPECT_FALSE((*still)->Execute("INSERT INTO t (id) VALUES (2)").has_value());
  EXPECT_EQ(Count(pool_), 1);
}

TEST_F(MysqlPoolTest, AStatementGivesUpOnALockBeforeItsConnectionIsGivenUp) {
  auto holder = pool_.Acquire();
  Must(**holder, "INSERT INTO t (id) VALUES (1)");
  ASSERT_TRUE((*holder)->Begin().has_value());
  Must(**holder, "UPDATE t SET version = 1");
  MysqlOptions options = options_;
  options.io_timeout = seconds{3};
  auto other = MysqlConnection::Open(options);
  const auto row = (*other)->Execute("UPDATE t SET version = 2");
  ASSERT_FALSE(row.has_value());
  EXPECT_EQ(row.error().native_code, 1205);
  const auto table = (*other)->Execute("ALTER TABLE t ADD COLUMN more INT");
  ASSERT_FALSE(table.has_value());
  EXPECT_EQ(table.error().native_code, 1205);
  EXPECT_TRUE((*other)->healthy());
}

TEST_F(MysqlPoolTest, EmptiesItselfWhenTheServerTurnsReadOnly) {
  const auto server = DatabaseServer::Start(DatabaseServer::KindFromEnvironment());
  MysqlOptions options = *ParseMysqlUrl(server->CreateDatabase());
  const auto admin = Connect(options);
  Must(*admin, kTable);
  // An administrator may write to a read-only server.
  Must(*admin, "CREATE USER app IDENTIFIED BY 'app'");
  Must(*admin, "GRANT SELECT, INSERT ON " + options.database + ".* TO app");
  options.user = "app";
  options.password = Secret("app");
  MysqlPool pool(options, 3);
  std::set<std::int64_t> before;
  {
    auto one = pool.Acquire();
    auto two = pool.Acquire();
    auto three = pool.Acquire();
    before = {ConnectionId(**one), ConnectionId(**two), ConnectionId(**three)};
  }
  {
    auto still_lent = pool.Acquire();
    Must(*admin, "SET GLOBAL read_only = 1");
    const auto refused = (*pool.Acquire())->Execute("INSERT INTO t (id) VALUES (1)");
    Must(*admin, "SET GLOBAL read_only = 0");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().native_code, 1290);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  }
  auto one = pool.Acquire();
  auto two = pool.Acquire();
  auto three = pool.Acquire();
  for (auto* lease : {&one, &two, &three}) {
    ASSERT_TRUE(lease->has_value());
    EXPECT_FALSE(before.contains(ConnectionId(***lease)));
  }
}

class RestartedServerTest : public MysqlTest {
 protected:
  void SetUp() override { Must(**pool_.Acquire(), kTable); }

  std::unique_ptr<DatabaseServer> server_ = DatabaseServer::Start(DatabaseServer::KindFromEnvironment());
  MysqlPool pool_{*ParseMysqlUrl(server_->CreateDatabase()), 2};
};

TEST_F(RestartedServerTest, IsUnavailableWhileDownAndWorksAgainAfterwards) {
  server_->Stop();
  const auto refused = pool_.Acquire();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  server_->Restart();
  Must(**pool_.Acquire(), "INSERT INTO t (id) VALUES (1)");
  EXPECT_EQ(Count(pool_), 1);
}

TEST_F(RestartedServerTest, CostsAnIdleConnectionNoStatement) {
  server_->Kill();
  server_->Restart();
  EXPECT_TRUE((*pool_.Acquire())->Execute("INSERT INTO t (id) VALUES (1)").has_value());
}

TEST_F(RestartedServerTest, LosesAnOpenTransactionAndNothingElse) {
  Must(**pool_.Acquire(), "INSERT INTO t (id) VALUES (1)");
  const auto done = pool_.InTransaction([&](MysqlConnection& connection) -> Result<void> {
    Must(connection, "INSERT INTO t (id) VALUES (2)");
    server_->Kill();
    auto next = connection.Execute("INSERT INTO t (id) VALUES (3)");
    if (!next) return std::unexpected(next.error());
    return {};
  });
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
  server_->Restart();
  EXPECT_EQ(Count(pool_), 1);
}

}  // namespace
}  // namespace outrider::mysql
