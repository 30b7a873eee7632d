// Claims, leases and late writers: who may send a record, and who may say what became of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "platform/failpoint/failpoint.h"
#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LeaseTest : public DeliveryTest {
 protected:
  ~LeaseTest() override { failpoint::Disarm(); }

  // A record that somebody else claimed and whose lease has run out.
  std::int64_t Abandoned(NewRecord record, int attempts_spent = 1) {
    const std::int64_t id = Insert(record);
    Execute(
        "UPDATE notification_records SET status = 'sending', version = 2, attempt_no = 1, attempts_spent = ?, "
        "lease_owner = 'host:9:z#1', due_at = NOW(6) - INTERVAL 1 SECOND WHERE id = ?",
        {std::int64_t{attempts_spent}, id});
    return id;
  }
};

TEST_F(LeaseTest, AnExpiredLeaseIsRecoveredAsFailedAndInDoubt) {
  const std::int64_t id = Abandoned({.key = "order-1"});
  auto delivery = MakeDelivery();
  EXPECT_EQ(Turn(*delivery).recovered, 1u);
  EXPECT_EQ(Story(id), "failed lease_expired uncertain spent:1");
  EXPECT_EQ(Attempts(id), "1 lease_expired lease_expired");
  EXPECT_EQ(Column(id, "lease_owner"), "NULL");
  EXPECT_EQ(Metric("leases_expired_total"), 1);
  EXPECT_EQ(Metric("uncertain_total"), 1);
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent uncertain spent:2");
}

TEST_F(LeaseTest, AnExpiredLeaseOfTheLastAttemptIsDead) {
  const std::int64_t id = Abandoned({.key = "order-1", .max_attempts = 3}, 3);
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Story(id), "dead attempts_exhausted uncertain spent:3");
}

TEST_F(LeaseTest, AnExpiredLeaseIsRecoveredInAnyShardAndWhateverTheChannelsState) {
  const std::int64_t elsewhere = Abandoned({.key = "order-1", .topic = "somebody-else's", .partition = 7});
  const std::int64_t unknown = Abandoned({.key = "order-2", .channel = "nobody-knows"});
  auto delivery = MakeDelivery();
  EXPECT_EQ(Turn(*delivery).recovered, 2u);
  EXPECT_EQ(Column(elsewhere, "status"), "failed");
  EXPECT_EQ(Column(unknown, "status"), "failed");
}

TEST_F(LeaseTest, ALeaseThatRunsIsLeftAlone) {
  const std::int64_t id = Abandoned({.key = "order-1"});
  Execute("UPDATE notification_records SET due_at = NOW(6) + INTERVAL 30 SECOND WHERE id = ?", {id});
  auto delivery = MakeDelivery();
  EXPECT_EQ(Turn(*delivery).recovered, 0u);
  EXPECT_EQ(Column(id, "status"), "sending");
}

TEST_F(LeaseTest, ALateSettlementChangesNothingAndIsCounted) {
  const std::int64_t id = Insert({.key = "order-1"});
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .ms = 30});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(vendor_->WaitForDeliveries(1, seconds{10}));
  // Somebody found the lease expired while the answer was on its way.
  Execute(
      "UPDATE notification_records SET status = 'failed', version = version + 1, uncertain = 1, lease_owner = NULL, "
      "due_at = NOW(6) + INTERVAL 1 HOUR WHERE id = ?",
      {id});
  EXPECT_TRUE(MetricBecomes("settle_conflicts_total", 1));
  EXPECT_EQ(Story(id), "failed uncertain spent:1");
  EXPECT_EQ(Column(id, "version"), "3");
  EXPECT_EQ(Attempts(id), "");
  EXPECT_THAT(log_.Text(), HasSubstr("record.too_late"));
}

TEST_F(LeaseTest, OneLateSettlementDoesntKeepItsCompanyFromBeingWritten) {
  const auto ids = InsertMany(10);
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .times = 0, .ms = 10});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'sending'", 10));
  Execute("UPDATE notification_records SET version = version + 1 WHERE id = ?", {ids[3]});
  ASSERT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'", 9));
  EXPECT_EQ(Column(ids[3], "status"), "sending");
  EXPECT_TRUE(MetricBecomes("settle_conflicts_total", 1));
}

TEST_F(LeaseTest, AProcessThatWasPausedDoesntSendAfterItsLease) {
  ASSERT_TRUE(failpoint::Arm("send.before_bytes=sleep:300ms"));
  const std::int64_t id = Insert({.key = "order-1"});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  clock_.Advance(seconds{61});
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_EQ(Story(id), "failed") << "nothing left: no doubt, no attempt";
  EXPECT_THAT(vendor_->deliveries(), IsEmpty());
  failpoint::Disarm();
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1");
}

TEST_F(LeaseTest, RacedByTwoScannersEachRecordIsSentOnce) {
  const auto ids = InsertMany(200);
  DeliveryOptions options = Options("host:1:a");
  options.sweep = std::chrono::hours{1};
  options.max_in_flight = 16;
  auto first = MakeDelivery(options, clock_);
  Turn(*first);
  // The first goes on believing in its shard lease; the second is given the shard.
  Execute("UPDATE consumer_shards SET owner = '', lease_until = NOW(6)");
  options.owner = "host:2:b";
  auto second = MakeDelivery(options, clock_);
  const auto work = [&](Delivery& delivery) {
    for (int i = 0; i < 40; ++i) Turn(delivery);
  };
  std::jthread one([&] { work(*first); });
  work(*second);
  one.join();
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*first);
    Turn(*second);
    return Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'") == 200;
  }));
  const std::vector<std::string> texts = Delivered();
  EXPECT_THAT(texts, SizeIs(200));
  EXPECT_THAT(std::set<std::string>(texts.begin(), texts.end()), SizeIs(200));
  EXPECT_EQ(Count("SELECT COUNT(DISTINCT worker) FROM notification_attempts"), 2);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_attempts"), 200);
}

TEST_F(LeaseTest, AClaimThatSomebodyElseMadeIsCountedAndNotSent) {
  const auto ids = InsertMany(3);
  auto delivery = MakeDelivery();
  auto other = Connect(database_);
  // The other's transaction claims one and commits while our claim waits for the row.
  ASSERT_TRUE(other->Begin());
  Must(*other,
       "UPDATE notification_records SET status = 'sending', version = 2, lease_owner = 'other', "
       "due_at = NOW(6) + INTERVAL 1 MINUTE WHERE id = ?",
       {ids[1]});
  std::jthread committer([&] {
    auto watcher = Connect(database_);
    EXPECT_TRUE(testing::WaitUntil([&] { return testing::RowLockWaits(*watcher) > 0; }));
    EXPECT_TRUE(other->Commit());
  });
  EXPECT_EQ(Turn(*delivery).claimed, 2u);
  ASSERT_TRUE(WaitForStatus(ids[0], "sent"));
  ASSERT_TRUE(WaitForStatus(ids[2], "sent"));
  EXPECT_EQ(Column(ids[1], "lease_owner"), "other");
  EXPECT_EQ(Metric("claim_conflicts_total"), 1);
  EXPECT_THAT(Delivered(), SizeIs(2));
}

class ShardTest : public DeliveryTest {
 protected:
  std::string Owner(const std::string& topic = "t") {
    return Must(*db_, "SELECT owner FROM consumer_shards WHERE topic = ?", {std::string_view(topic)})
        .rows.at(0)
        .Text(0);
  }
};

TEST_F(ShardTest, AnAssignedShardIsTakenAndItsRowIsMadeWhereItIsMissing) {
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Owner(), "host:1:a");
  EXPECT_EQ(Count("SELECT epoch FROM consumer_shards"), 1);
  EXPECT_EQ(Count("SELECT lease_until > NOW(6) + INTERVAL 5 SECOND FROM consumer_shards"), 1);
}

TEST_F(ShardTest, AShardWhoseLeaseRunsIsntTakenByAnother) {
  auto first = MakeDelivery();
  Turn(*first);
  auto second = MakeDelivery(Options("host:2:b"), clock_);
  const std::int64_t id = Insert({.key = "order-1"});
  EXPECT_EQ(Turn(*second).claimed, 0u);
  EXPECT_EQ(Owner(), "host:1:a");
  EXPECT_EQ(Column(id, "status"), "pending");
}

TEST_F(ShardTest, ARevokedShardIsGivenBackAtOnce) {
  auto first = MakeDelivery();
  Turn(*first);
  auto second = MakeDelivery(Options("host:2:b"), clock_);
  first->Revoked({{"t", 0}});
  Turn(*first);
  EXPECT_EQ(Owner(), "");
  Turn(*second);
  EXPECT_EQ(Owner(), "host:2:b");
}

TEST_F(ShardTest, WhoLostItsShardFindsOutAndScansItNoMore) {
  auto first = MakeDelivery();
  Turn(*first);
  Execute("UPDATE consumer_shards SET owner = 'thief', epoch = epoch + 1");
  const std::int64_t id = Insert({.key = "order-1"});
  EXPECT_EQ(Turn(*first).claimed, 0u);
  EXPECT_EQ(Column(id, "status"), "pending");
  EXPECT_THAT(log_.Text(), HasSubstr("shard.lost"));
}

TEST_F(ShardTest, AShardThatNobodyRenewsIsAdoptedUntilItsLeaseEndsAgain) {
  const std::int64_t id = Insert({.key = "order-1", .topic = "orphan"});
  Execute("UPDATE consumer_shards SET owner = 'gone', lease_until = NOW(6) - INTERVAL 5 SECOND WHERE topic = 'orphan'");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Owner("orphan"), "gone") << "its owner has a lease's time to come back";
  Execute("UPDATE consumer_shards SET lease_until = NOW(6) - INTERVAL 11 SECOND WHERE topic = 'orphan'");
  Turn(*delivery);
  EXPECT_EQ(Owner("orphan"), "host:1:a");
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  const std::string until =
      Must(*db_, "SELECT CAST(lease_until AS CHAR) FROM consumer_shards WHERE topic = 'orphan'").rows.at(0).Text(0);
  clock_.Advance(seconds{6});
  Turn(*delivery);
  EXPECT_EQ(
      Must(*db_, "SELECT CAST(lease_until AS CHAR) FROM consumer_shards WHERE topic = 'orphan'").rows.at(0).Text(0),
      until)
      << "what is adopted isn't renewed";
}

TEST_F(ShardTest, ALockedShardRowIsntWaitedFor) {
  auto delivery = MakeDelivery();
  Turn(*delivery);
  auto ingest = Connect(database_);
  ASSERT_TRUE(ingest->Begin());
  Must(*ingest, "UPDATE consumer_shards SET next_offset = 1");
  clock_.Advance(seconds{5});
  const std::int64_t id = Insert({.key = "order-1"});
  Execute("SET SESSION innodb_lock_wait_timeout = 1");
  EXPECT_EQ(Turn(*delivery).claimed, 1u);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  ingest->Rollback();
}

}  // namespace
}  // namespace outrider::consumer
