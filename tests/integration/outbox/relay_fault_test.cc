// Databases that go away at the wrong moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <thread>

#include "tests/integration/outbox/fixture.h"
#include "tests/support/process/free_port.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/proxy/fault_proxy.h"

namespace outrider::outbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Fate = testing::MemorySink::Fate;

class RelayFaultTest : public OutboxTest {};

TEST_F(RelayFaultTest, MissingTablesNameTheCommandThatCreatesThem) {
  Must(*app_, "DROP TABLE outbox_leases");
  auto relay = MakeRelay();
  const auto round = relay->RunOnce({});
  ASSERT_FALSE(round.has_value());
  EXPECT_THAT(round.error().message, AllOf(HasSubstr("outbox_leases"), HasSubstr("outrider migrate up")));
  EXPECT_THAT(PartWords(), AllOf(HasSubstr("waits: "), HasSubstr("outrider migrate up")));
  EXPECT_THAT(log_.Text(), HasSubstr("outrider migrate up"));

  Must(*app_, "DROP TABLE outbox_migrations");
  Migrate(*app_);
  EXPECT_TRUE(Turn(*relay).leading);
  EXPECT_EQ(PartWords(), "leads with epoch 1");
}

TEST_F(RelayFaultTest, ATableThatVanishesWhileItIsUsedIsNamedToo) {
  auto relay = MakeRelay();
  Turn(*relay);
  Insert("order-1");
  Must(*app_, "DROP TABLE outbox_ledger");
  const auto round = relay->RunOnce({});
  ASSERT_FALSE(round.has_value());
  EXPECT_THAT(round.error().message, AllOf(HasSubstr("outbox_ledger"), HasSubstr("outrider migrate up")));
  EXPECT_EQ(Waiting(), 1);

  Must(*app_, "DROP TABLE outbox_migrations");
  Migrate(*app_);
  EXPECT_EQ(Turn(*relay).deleted, 1u);
  EXPECT_THAT(sink_.seqs(), SizeIs(1)) << "what is acknowledged is deleted, not published again";
}

TEST_F(RelayFaultTest, ADatabaseThatIsNotThereIsSaidAndTriedAgain) {
  auto options = Options();
  options.database.port = testing::FreePort();
  auto relay = MakeRelay(options);
  const auto round = relay->RunOnce({});
  ASSERT_FALSE(round.has_value());
  EXPECT_EQ(round.error().code, ErrorCode::kUnavailable) << round.error().message;
  EXPECT_THAT(PartWords(), HasSubstr("waits: "));
  EXPECT_FALSE(health_.parts()["relay shop"].delivers);
}

TEST_F(RelayFaultTest, TroublesAreLoggedOnceAndNotAtEachTurn) {
  auto options = Options();
  options.database.port = testing::FreePort();
  auto relay = MakeRelay(options);
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(relay->RunOnce({}).has_value());
  EXPECT_EQ(log_.Count("relay.waits"), 1u);
}

TEST_F(RelayFaultTest, AConnectionKilledInTheMiddleOfTheDeleteLosesAndDoublesNothing) {
  for (int i = 0; i < 10; ++i) Insert("order-" + std::to_string(i));
  // A lock on one of the rows holds the relay's transaction open at its DELETE.
  auto holder = Connect(database_);
  ASSERT_TRUE(holder->Begin().has_value());
  Must(*holder, "SELECT seq FROM outbox WHERE aggregateid = 'order-7' FOR UPDATE");
  auto options = Options();
  options.lease = seconds(60);
  auto relay = MakeRelay(options);
  std::optional<Result<Relay::Round>> round;
  std::jthread thread([&](const std::stop_token& stop) { round = relay->RunOnce(stop); });
  std::int64_t victim = 0;
  ASSERT_TRUE(testing::WaitUntil([&] {
    auto found =
        Must(*app_, "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'DELETE%'");
    if (!found.rows.empty()) victim = found.rows[0].Int(0);
    return victim != 0;
  }));
  ASSERT_TRUE(app_->ExecuteScript("KILL " + std::to_string(victim)).has_value());
  thread.join();
  ASSERT_FALSE(round->has_value());
  EXPECT_EQ(round->error().code, ErrorCode::kUnavailable) << round->error().message;
  EXPECT_EQ(Waiting(), 10);
  EXPECT_EQ(Ledger(), 0);

  holder->Rollback();
  EXPECT_EQ(Turn(*relay).deleted, 10u);
  EXPECT_EQ(Waiting(), 0);
  EXPECT_EQ(Ledger(), 10);
  EXPECT_THAT(sink_.seqs(), SizeIs(10)) << "acknowledged rows are deleted at the next turn, not published again";
}

class LostCommitTest : public OutboxTest, public ::testing::WithParamInterface<testing::CutMoment> {};

TEST_P(LostCommitTest, LeavesNoRowLostAndNoRowCountedTwice) {
  for (int i = 0; i < 10; ++i) Insert("order-1");
  testing::FaultProxy proxy(server().port());
  auto options = Options();
  options.database.port = proxy.port();
  auto relay = MakeRelay(options);
  const int cut = proxy.Inject(testing::CutCommit(GetParam()));
  const auto round = relay->RunOnce({});
  ASSERT_FALSE(round.has_value());
  EXPECT_EQ(round.error().code, ErrorCode::kUnknown) << round.error().message;
  ASSERT_EQ(proxy.fired(cut), 1u);
  const bool committed = GetParam() == testing::CutMoment::kAfterServer;
  // A server that never got the COMMIT rolls back once it notices that the connection is gone.
  EXPECT_TRUE(testing::WaitUntil([&] { return Ledger() == (committed ? 10 : 0); }));
  EXPECT_EQ(Waiting(), committed ? 0 : 10);

  Insert("order-1");
  Drain(*relay);
  EXPECT_EQ(Ledger(), 11);
  const auto seqs = sink_.seqs();
  EXPECT_EQ(std::set<std::uint64_t>(seqs.begin(), seqs.end()).size(), 11u);
  EXPECT_THAT(seqs, SizeIs(committed ? 11 : 21));
  ExpectFirstOccurrencesInOrder(sink_.log());
}

INSTANTIATE_TEST_SUITE_P(Before, LostCommitTest, ::testing::Values(testing::CutMoment::kBeforeServer));
INSTANTIATE_TEST_SUITE_P(After, LostCommitTest, ::testing::Values(testing::CutMoment::kAfterServer));

// ---- Run() ----

TEST_F(RelayFaultTest, ARunningRelaySurvivesItsDatabasesCrash) {
  auto own = testing::DatabaseServer::Start(testing::DatabaseServer::KindFromEnvironment());
  const auto database = mysql::ParseMysqlUrl(own->CreateDatabase()).value();
  Migrate(*Connect(database));
  auto options = Options();
  options.database = database;
  auto relay = MakeRelay(options);
  std::jthread thread([&](const std::stop_token& stop) { relay->Run(stop); });
  constexpr auto kInsert = "INSERT INTO outbox (aggregateid, payload) VALUES ('order-1', '{}')";
  Must(*Connect(database), kInsert);
  ASSERT_TRUE(testing::WaitUntil([&] { return sink_.seqs().size() == 1; }));
  own->Kill();
  ASSERT_TRUE(testing::WaitUntil([&] { return PartWords().starts_with("waits: "); }));
  own->Restart();
  auto after = Connect(database);
  Must(*after, kInsert);
  ASSERT_TRUE(testing::WaitUntil([&] { return Number(*after, "SELECT COUNT(*) FROM outbox") == 0; }));
  ASSERT_TRUE(testing::WaitUntil([&] { return PartWords().starts_with("leads with epoch "); }));
  EXPECT_EQ(log_.Count("relay.resumes"), 1u);
}

TEST_F(RelayFaultTest, ARunningRelayBeatsAndOnStopGivesTheLeaseBack) {
  auto relay = MakeRelay();
  std::jthread thread([&](const std::stop_token& stop) { relay->Run(stop); });
  ASSERT_TRUE(testing::WaitUntil([&] { return PartWords() == "leads with epoch 1"; }));
  EXPECT_TRUE(health_.SilentLoops().empty());
  Insert("order-1");
  ASSERT_TRUE(testing::WaitUntil([&] { return Waiting() == 0; }));
  thread.request_stop();
  thread.join();
  EXPECT_EQ(Number(*app_, "SELECT expires_at <= NOW(6) FROM outbox_leases"), 1);
  EXPECT_EQ(PartWords(), "stopped");
}

TEST_F(RelayFaultTest, StoppingInTheMiddleOfABatchDeletesWhatWasAcknowledged) {
  for (int i = 0; i < 6; ++i) Insert("order-1");
  int asked = 0;
  sink_.DecideWith([&](const OutboxRow&) {
    if (++asked == 4) sink_.Pause("broker transport failure");
    return Fate::kStore;
  });
  auto relay = MakeRelay();
  std::jthread thread([&](const std::stop_token& stop) { relay->Run(stop); });
  ASSERT_TRUE(testing::WaitUntil([&] { return sink_.seqs().size() == 4; }));
  thread.request_stop();
  thread.join();
  EXPECT_EQ(Waiting(), 2);
  EXPECT_EQ(Ledger(), 4);
  EXPECT_EQ(Number(*app_, "SELECT expires_at <= NOW(6) FROM outbox_leases"), 1);
}

TEST_F(RelayFaultTest, ASinkThatDoesNotMoveIsSaidInHealthAndLogAndSpendsNothing) {
  const TestClock fast(100);
  sink_.Pause("broker transport failure");
  Insert("order-1");
  auto options = Options();
  options.lease = seconds(600);
  auto relay = MakeRelay(options, fast);
  std::jthread thread([&](const std::stop_token& stop) { relay->Run(stop); });
  ASSERT_TRUE(testing::WaitUntil([&] { return PartWords().starts_with("waits: broker transport failure for "); }));
  EXPECT_FALSE(health_.parts()["relay shop"].delivers);
  ASSERT_TRUE(testing::WaitUntil([&] { return log_.Count("relay.waits") >= 1; }));
  EXPECT_EQ(Waiting(), 1);
  EXPECT_EQ(Number(*app_, "SELECT COUNT(*) FROM outbox_dead"), 0);
  sink_.Resume();
  ASSERT_TRUE(testing::WaitUntil([&] { return Waiting() == 0; }));
  ASSERT_TRUE(testing::WaitUntil([&] { return PartWords() == "leads with epoch 1"; }));
  EXPECT_THAT(sink_.seqs(), SizeIs(1));
}

}  // namespace
}  // namespace outrider::outbox
