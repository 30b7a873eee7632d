// A database that goes away, deadlocks or loses the answer to a commit; and the program's stop.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "platform/failpoint/failpoint.h"
#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/proxy/fault_proxy.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::SizeIs;

mysql::MysqlOptions Through(unsigned port, mysql::MysqlOptions options) {
  options.port = port;
  return options;
}

// Delivery reaches the database through a proxy, the test goes straight.
// A change's statement, as far as it differs from a claim's.
constexpr char kWriteBegins[] =
    "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$[0]', version INT UNSIGNED PATH '$[1]', "
    "from_status";

class CutTest : public DeliveryTest {
 protected:
  ~CutTest() override { failpoint::Disarm(); }

  std::unique_ptr<Delivery> MakeDeliveryThroughProxy() {
    auto delivery = std::make_unique<Delivery>(Options(), far_pool_, *sender_, clock_, probe_, health_, log_.log());
    delivery->Assigned({{"t", 0}});
    return delivery;
  }

  testing::FaultProxy proxy_{server().port()};
  mysql::MysqlPool far_pool_{Through(proxy_.port(), database_), 4};
};

TEST_F(CutTest, AClaimWhoseCommitLostItsAnswerIsSentOnce) {
  const std::int64_t id = Insert({.key = "order-1"});
  auto delivery = MakeDeliveryThroughProxy();
  // Claims are the only transactions of this look.
  Execute("UPDATE notification_records SET due_at = NOW(6) + INTERVAL 1 HOUR");
  Turn(*delivery);
  MakeDue(id);
  const int cut = proxy_.Inject(testing::CutCommit(testing::CutMoment::kAfterServer));
  EXPECT_EQ(Turn(*delivery).claimed, 1u);
  EXPECT_EQ(proxy_.fired(cut), 1u);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1");
  EXPECT_THAT(Delivered(), SizeIs(1));
}

TEST_F(CutTest, AClaimThatNeverReachedItsCommitIsMadeAgain) {
  const std::int64_t id = Insert({.key = "order-1"});
  auto delivery = MakeDeliveryThroughProxy();
  Execute("UPDATE notification_records SET due_at = NOW(6) + INTERVAL 1 HOUR");
  Turn(*delivery);
  MakeDue(id);
  proxy_.Inject(testing::CutCommit(testing::CutMoment::kBeforeServer));
  EXPECT_EQ(Turn(*delivery).claimed, 0u);
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1");
}

TEST_F(CutTest, AClaimThatCantBeLookedUpIsGivenBackOnceTheDatabaseAnswers) {
  const std::int64_t id = Insert({.key = "order-1"});
  auto delivery = MakeDeliveryThroughProxy();
  Execute("UPDATE notification_records SET due_at = NOW(6) + INTERVAL 1 HOUR");
  Turn(*delivery);
  MakeDue(id);
  proxy_.Inject(testing::CutCommit(testing::CutMoment::kAfterServer));
  const int look =
      proxy_.Inject(testing::CutStatement(testing::CutMoment::kBeforeServer, "SELECT r.id FROM JSON_TABLE"));
  delivery->LookAgain();
  EXPECT_FALSE(delivery->ScanOnce().has_value());
  EXPECT_EQ(proxy_.fired(look), 1u);
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_EQ(Story(id), "failed") << "given back with its attempt";
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_THAT(Delivered(), SizeIs(1));
}

// The version that the lost claim would have made is the one that the next claim makes.
TEST_F(CutTest, AClaimThatNeverWasIsntGivenBackInTheNextOnesPlace) {
  const std::int64_t id = Insert({.key = "order-1"});
  auto delivery = MakeDeliveryThroughProxy();
  Execute("UPDATE notification_records SET due_at = NOW(6) + INTERVAL 1 HOUR");
  Turn(*delivery);
  MakeDue(id);
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .ms = 20});
  proxy_.Inject(testing::CutCommit(testing::CutMoment::kBeforeServer));
  proxy_.Inject(testing::CutStatement(testing::CutMoment::kBeforeServer, "SELECT r.id FROM JSON_TABLE"));
  // Keeps the giving back away until the record is claimed anew.
  const int write = proxy_.Inject(testing::CutStatement(testing::CutMoment::kBeforeServer, kWriteBegins, 1, 6));
  delivery->LookAgain();
  EXPECT_FALSE(delivery->ScanOnce().has_value());
  ASSERT_TRUE(proxy_.WaitUntilFired(write));
  ASSERT_TRUE(testing::WaitUntil([&] { return Turn(*delivery).claimed == 1; }));
  proxy_.Heal(write);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_TRUE(LogBecomes("record.too_late channel=ops dedupe_key=order-1 what=record.returned"));
  EXPECT_EQ(Story(id), "sent spent:1");
  EXPECT_EQ(Column(id, "version"), "3");
  EXPECT_THAT(Delivered(), SizeIs(1));
}

TEST_F(CutTest, ASettlementWhoseCommitLostItsAnswerIsLookedUpAndNotMadeTwice) {
  const std::int64_t id = Insert({.key = "order-1"});
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .ms = 5});
  auto delivery = MakeDeliveryThroughProxy();
  Turn(*delivery);
  const int cut = proxy_.Inject(testing::CutCommit(testing::CutMoment::kAfterServer));
  ASSERT_TRUE(proxy_.WaitUntilFired(cut));
  EXPECT_TRUE(MetricBecomes("transitions_total{from=\"sending\",to=\"sent\"}", 1));
  EXPECT_EQ(Story(id), "sent spent:1");
  EXPECT_EQ(Column(id, "version"), "3");
  EXPECT_EQ(Attempts(id), "1 accepted");
  EXPECT_EQ(Metric("settle_conflicts_total"), 0);
}

TEST_F(CutTest, WhatTheDatabaseCantTakeNowIsKeptAndSettledLater) {
  const auto ids = InsertMany(20);
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .times = 0, .ms = 5});
  auto delivery = MakeDeliveryThroughProxy();
  Turn(*delivery);
  const int away = proxy_.Inject(testing::ResetAlways());
  ASSERT_TRUE(vendor_->WaitForDeliveries(20, seconds{10}));
  EXPECT_TRUE(LogBecomes("settle.waits"));
  EXPECT_FALSE(delivery->ScanOnce().has_value());
  EXPECT_THAT(PartWords(), HasSubstr("waits: "));
  proxy_.Heal(away);
  EXPECT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'", 20));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_attempts WHERE verdict = 'accepted'"), 20);
  // What is said follows the commit.
  EXPECT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery);
    return PartWords().find("1 of 1 shards") != std::string::npos;
  })) << PartWords();
}

TEST_F(DeliveryTest, AnOutcomeThatTheDatabaseRefusesForNoValuesSakeIsKeptUntilItIsTaken) {
  const std::int64_t id = Insert({.key = "order-1"});
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .ms = 5});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  Execute("RENAME TABLE notification_attempts TO away");
  ASSERT_TRUE(LogBecomes("settle.waits"));
  Execute("RENAME TABLE away TO notification_attempts");
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1");
  EXPECT_EQ(Attempts(id), "1 accepted");
}

// The end of a record with the key "poison" is refused; what was to end with it isn't.
class RefusalTest : public CutTest {
 protected:
  void RefuseThePoison() {
    Execute(
        "ALTER TABLE notification_records ADD CONSTRAINT no_poison CHECK (dedupe_key <> 'poison' OR status <> 'sent')");
  }
};

TEST_F(RefusalTest, TheCompanyOfARefusedOutcomeIsWrittenThoughTheDatabaseGoesAwayMeanwhile) {
  RefuseThePoison();
  const std::int64_t poison = InsertKey("poison");
  const auto ids = InsertMany(5);
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .times = 0, .ms = 5});
  auto delivery = MakeDeliveryThroughProxy();
  Turn(*delivery);
  // The whole batch never comes to its commit.
  const int cut = proxy_.Inject(testing::CutCommit(testing::CutMoment::kBeforeServer));
  ASSERT_TRUE(proxy_.WaitUntilFired(cut));
  EXPECT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'", 5));
  EXPECT_TRUE(LogBecomes("settle.lost"));
  EXPECT_EQ(Column(poison, "status"), "sending");
  EXPECT_THAT(Delivered(), SizeIs(6));
}

TEST_F(CutTest, AnErrorBeforeTheClaimsCommitLeavesNothingBehind) {
  ASSERT_TRUE(failpoint::Arm("claim.before_commit=error@1"));
  const std::int64_t id = Insert({.key = "order-1"});
  auto delivery = MakeDelivery();
  delivery->LookAgain();
  EXPECT_FALSE(delivery->ScanOnce().has_value());
  EXPECT_EQ(Story(id), "pending");
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1");
}

TEST_F(DeliveryTest, ADeadlockIsLostAndTheWholeBatchClaimedAgain) {
  const auto ids = InsertMany(2);
  auto delivery = MakeDelivery();
  const auto deadlocks = [&] {
    return db_->flavor() == mysql::Flavor::kMariaDb
               ? std::stoll(Must(*db_, "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").rows.at(0).Text(1))
               : Count("SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'");
  };
  const std::int64_t before = deadlocks();
  // A heavier transaction (it isn't the one that loses) holds the second row, and wants the first once the claim has
  // it.
  auto other = Connect(database_);
  Must(*other, "CREATE TABLE weight (n INT)");
  ASSERT_TRUE(other->Begin());
  Must(*other,
       "INSERT INTO weight SELECT a.n FROM (SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) a, "
       "(SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) b, "
       "(SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) c");
  Must(*other, "UPDATE notification_records SET source_key = 'touched' WHERE id = ?", {ids[1]});
  std::size_t claimed = 0;
  std::jthread claim([&] { claimed = Turn(*delivery).claimed; });
  ASSERT_TRUE(testing::WaitUntil(
      [&] { return Must(*db_, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'").rows.at(0).Text(1) == "1"; }));
  Must(*other, "UPDATE notification_records SET source_key = 'touched' WHERE id = ?", {ids[0]});
  ASSERT_TRUE(other->Commit());
  claim.join();
  EXPECT_EQ(claimed, 2u);
  EXPECT_EQ(deadlocks() - before, 1);
  EXPECT_TRUE(
      WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'sent' AND source_key = 'touched'", 2));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE attempt_no <> 1"), 0);
}

class RestartTest : public DeliveryTest {
 protected:
  RestartTest() : RestartTest(testing::DatabaseServer::Start(testing::DatabaseServer::KindFromEnvironment())) {}
  explicit RestartTest(std::unique_ptr<testing::DatabaseServer> own)
      : DeliveryTest(mysql::ParseMysqlUrl(own->CreateDatabase()).value()), own_(std::move(own)) {}

  std::unique_ptr<testing::DatabaseServer> own_;
};

TEST_F(RestartTest, ADatabaseThatDiesInTheMiddleCostsNothingButTime) {
  providers::ChannelSettings channel = Bot();
  channel.retry.base = milliseconds{10};
  sender_ = std::make_unique<providers::Sender>(*engine_, system_clock_, probe_, log_.log());
  SetChannels({channel});
  InsertMany(300);
  DeliveryOptions options = Options();
  options.sweep = milliseconds{100};
  options.max_in_flight = 8;
  options.lease = seconds{8};
  options.call_deadline = seconds{2};
  auto delivery = MakeDelivery(options, system_clock_);
  std::jthread thread([&](std::stop_token stop) { delivery->Run(stop, seconds{5}); });
  ASSERT_TRUE(vendor_->WaitForDeliveries(50, seconds{20}));
  own_->Kill();
  own_->Restart();
  db_ = Connect(database_);
  ASSERT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'", 300));
  const std::vector<std::string> texts = Delivered();
  const std::set<std::string> once(texts.begin(), texts.end());
  EXPECT_THAT(once, SizeIs(300));
  EXPECT_LE(static_cast<std::int64_t>(texts.size() - once.size()),
            Count("SELECT COUNT(*) FROM notification_records WHERE uncertain"));
  thread.request_stop();
  thread.join();
}

class StopTest : public DeliveryTest {
 protected:
  StopTest() {
    sender_ = std::make_unique<providers::Sender>(*engine_, system_clock_, probe_, log_.log());
    SetChannels({Bot()});
  }
  void Start(const DeliveryOptions& options, milliseconds grace) {
    delivery_ = MakeDelivery(options, system_clock_);
    thread_ = std::jthread([this, grace](std::stop_token stop) { delivery_->Run(stop, grace); });
  }
  void Stop() {
    thread_.request_stop();
    thread_.join();
  }

  std::unique_ptr<Delivery> delivery_;
  std::jthread thread_;
};

TEST_F(StopTest, WhatIsOnItsWayIsSettledAndTheShardGivenBack) {
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .times = 0, .ms = 10});
  InsertMany(8);
  Start(Options(), seconds{10});
  ASSERT_TRUE(vendor_->WaitForDeliveries(1, seconds{10}));
  Stop();
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sending'"), 0);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE uncertain"), 0);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'"),
            static_cast<std::int64_t>(Delivered().size()));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM consumer_shards WHERE owner = ''"), 1);
  EXPECT_EQ(PartWords(), "stopped");
}

TEST_F(StopTest, ClaimsThatNeverLeftAreGivenBackWithTheirAttempt) {
  ASSERT_TRUE(failpoint::Arm("send.before_bytes=sleep:1500ms"));
  InsertMany(3);
  Start(Options(), milliseconds{1000});
  ASSERT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'sending'", 3));
  Stop();
  engine_.reset();
  failpoint::Disarm();
  EXPECT_TRUE(
      WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'failed' AND attempts_spent = 0 AND "
                   "NOT uncertain AND due_at <= NOW(6)",
                   3));
  EXPECT_THAT(vendor_->deliveries(), SizeIs(0));
}

TEST_F(StopTest, AVendorThatHangsDoesntHoldUpTheStopForLongerThanTheGrace) {
  vendor_->AddFault({.kind = FaultKind::kAcceptThenTimeout, .times = 0});
  const std::int64_t id = Insert({.key = "order-1"});
  Start(Options(), milliseconds{600});
  ASSERT_TRUE(vendor_->WaitForDeliveries(1, seconds{10}));
  const auto before = std::chrono::steady_clock::now();
  Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds{5});
  engine_.reset();
  ASSERT_TRUE(WaitForStatus(id, "failed")) << "the engine's end is the answer's end";
  EXPECT_THAT(Story(id), HasSubstr("uncertain"));
}

TEST_F(DeliveryTest, AnIdleDeliveryAsksTheDatabaseSeldom) {
  SetChannels({Bot("a"), Bot("b"), Bot("c"), Bot("d")});
  DeliveryOptions options = Options();
  options.sweep = seconds{1};
  auto delivery = MakeDelivery(options, clock_);
  Turn(*delivery);
  const auto statements = [&] {
    return std::stoll(Must(*db_, "SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'").rows.at(0).Text(1));
  };
  const std::int64_t before = statements();
  for (int i = 0; i < 600; ++i) {
    clock_.Advance(milliseconds{100});
    ASSERT_TRUE(delivery->ScanOnce().has_value());
  }
  EXPECT_LT(statements() - before, 60 * 6) << "in a minute";
}

}  // namespace
}  // namespace outrider::consumer
