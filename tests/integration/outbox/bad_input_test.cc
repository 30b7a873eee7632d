// What operators and applications get wrong around an outbox: the relay says what, and loses nothing.
#include <gmock/gmock.h>

#include "tests/integration/outbox/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::outbox {
namespace {

using std::chrono::hours;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class BadInputTest : public OutboxTest {
 protected:
  // A relay's account with these rights, each "SELECT, DELETE ON outbox".
  mysql::MysqlOptions AccountWith(const std::vector<std::string>& rights) {
    mysql::MysqlOptions account = database_;
    account.user = "relay_" + database_.database.substr(database_.database.size() - 12);
    account.password = Secret("pw");
    Must(*app_, "CREATE USER '" + account.user + "'@'%' IDENTIFIED BY 'pw'");
    for (const std::string& right : rights) {
      const std::size_t on = right.find(" ON ") + 4;
      Must(*app_, "GRANT " + right.substr(0, on) + database_.database + "." + right.substr(on) + " TO '" +
                      account.user + "'@'%'");
    }
    return account;
  }
  std::vector<std::string> AllRightsBut(std::string_view left_out, const std::string& instead) {
    std::vector<std::string> rights = {"SELECT, DELETE ON outbox", "SELECT, INSERT ON outbox_audit"};
    for (const char* table :
         {"outbox_leases", "outbox_replicas", "outbox_ledger", "outbox_dead", "outbox_held_keys", "outbox_held"}) {
      rights.push_back("SELECT, INSERT, UPDATE, DELETE ON " + std::string(table));
    }
    for (std::string& right : rights) {
      if (right.ends_with(left_out)) right = instead;
    }
    return rights;
  }
  // What the relay says when it can't go on.
  std::string Trouble(RelayOptions options) {
    auto relay = MakeRelay(std::move(options));
    std::string said;
    EXPECT_TRUE(testing::WaitUntil([&] {
      const auto round = relay->RunOnce({});
      if (!round) said = round.error().message;
      return !round.has_value();
    }));
    return said;
  }
};

TEST_F(BadInputTest, TheRightsOfTheManualAreEnough) {
  Insert("a");
  RelayOptions options = Options();
  options.database = AccountWith(AllRightsBut("nothing", ""));
  auto relay = MakeRelay(std::move(options));
  Drain(*relay);
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(BadInputTest, AMissingRightIsNamedWithItsTableAndNothingIsLost) {
  Insert("a");
  RelayOptions options = Options();
  options.database = AccountWith(AllRightsBut("ON outbox", "SELECT ON outbox"));
  EXPECT_THAT(Trouble(std::move(options)), AllOf(HasSubstr("DELETE"), HasSubstr("outbox"), HasSubstr("grant")));
  EXPECT_EQ(Waiting(), 1);
  EXPECT_EQ(Ledger(), 0);
}

TEST_F(BadInputTest, AMissingRightOnTheLedgerIsNamedToo) {
  Insert("a");
  RelayOptions options = Options();
  options.database = AccountWith(AllRightsBut("ON outbox_ledger", "SELECT ON outbox_ledger"));
  EXPECT_THAT(Trouble(std::move(options)), AllOf(HasSubstr("INSERT"), HasSubstr("outbox_ledger"), HasSubstr("grant")));
  EXPECT_EQ(Waiting(), 1);
}

// The host's wall clock is days away from the database's.
class WrongClock final : public Clock {
 public:
  explicit WrongClock(hours off) : off_(off) {}
  Timestamp Now() const override { return SystemClock().Now() + off_; }
  std::chrono::steady_clock::time_point SteadyNow() const override { return std::chrono::steady_clock::now(); }

 private:
  const hours off_;
};

TEST_F(BadInputTest, LeasesDontCareForTheHostsClock) {
  const WrongClock early(hours{-24 * 5});
  const WrongClock late(hours{24 * 5});
  RelayOptions options = Options("host:1:a");
  options.lease = std::chrono::seconds{60};
  auto first = MakeRelay(options, early);
  Insert("a");
  Drain(*first);
  EXPECT_EQ(Number(*app_,
                   "SELECT expires_at BETWEEN NOW(6) + INTERVAL 50 SECOND AND NOW(6) + INTERVAL 60 SECOND FROM "
                   "outbox_leases"),
            1);
  options.owner = "host:2:b";
  auto second = MakeRelay(options, late);
  Turn(*second);
  Insert("b");
  EXPECT_EQ(Turn(*second).published, 0u) << "the lease holds, whatever the second host's clock says";
  Drain(*first);
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(BadInputTest, ABinaryLogThatRefusesReadCommittedIsNamedWithTheSettingToChange) {
  const auto other = testing::DatabaseServer::Start(server().kind(), {"--log-bin=bin", "--server-id=1"});
  database_ = mysql::ParseMysqlUrl(other->CreateDatabase()).value();
  app_ = Connect(database_);
  Migrate(*app_);
  Must(*app_, "SET GLOBAL binlog_format = 'STATEMENT'");
  EXPECT_THAT(Trouble(Options()), AllOf(HasSubstr("binlog_format"), HasSubstr("ROW")));
  app_.reset();
}

TEST_F(BadInputTest, AKeyThatIsLongerThanTheTableAllowsIsRefusedToTheApplication) {
  const auto inserted =
      app_->Execute("INSERT INTO outbox (aggregateid, payload) VALUES (?, '{}')", {std::string(192, 'k')});
  ASSERT_FALSE(inserted.has_value());
  EXPECT_THAT(inserted.error().message, HasSubstr("aggregateid"));
  Insert(std::string(191, 'k'));
  auto relay = MakeRelay();
  Drain(*relay);
  EXPECT_THAT(sink_.seqs(), SizeIs(1));
}

}  // namespace
}  // namespace outrider::outbox
