#include "outbox/outbox_lease.h"

#include "tests/integration/outbox/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::outbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class OutboxLeaseTest : public OutboxTest {
 protected:
  OutboxLease::Holder Acquire(const OutboxLease& lease) {
    auto holder = lease.Acquire(*app_);
    if (!holder) throw std::runtime_error(holder.error().message);
    return *holder;
  }
  void LetExpire() { Must(*app_, "UPDATE outbox_leases SET expires_at = NOW(6) - INTERVAL 1 SECOND"); }

  const OutboxLease ours_{"shop", "a", seconds(60)};
  const OutboxLease theirs_{"shop", "b", seconds(60)};
};

TEST_F(OutboxLeaseTest, TheFirstToComeLeadsWithEpochOne) {
  const auto holder = Acquire(ours_);
  EXPECT_TRUE(holder.mine);
  EXPECT_EQ(holder.epoch, 1u);
}

TEST_F(OutboxLeaseTest, AHeldLeaseIsNotTaken) {
  Acquire(ours_);
  const auto holder = Acquire(theirs_);
  EXPECT_FALSE(holder.mine);
  EXPECT_EQ(holder.owner, "a");
  EXPECT_EQ(holder.epoch, 1u);
  EXPECT_GT(holder.remaining, seconds(50));
  EXPECT_LE(holder.remaining, seconds(60));
}

TEST_F(OutboxLeaseTest, AnExpiredLeaseIsTakenWithTheNextEpoch) {
  Acquire(ours_);
  LetExpire();
  const auto holder = Acquire(theirs_);
  EXPECT_TRUE(holder.mine);
  EXPECT_EQ(holder.epoch, 2u);
}

TEST_F(OutboxLeaseTest, ALeaseExpiresByTheDatabasesClock) {
  const OutboxLease brief("shop", "a", milliseconds(50));
  Acquire(brief);
  EXPECT_TRUE(testing::WaitUntil([&] { return Acquire(theirs_).mine; }, seconds(10)));
}

TEST_F(OutboxLeaseTest, OnesOwnLeaseIsTakenAgainWithTheNextEpoch) {
  Acquire(ours_);
  const auto holder = Acquire(ours_);
  EXPECT_TRUE(holder.mine);
  EXPECT_EQ(holder.epoch, 2u);
}

TEST_F(OutboxLeaseTest, AnOldEpochRenewsNothing) {
  Acquire(ours_);
  LetExpire();
  Acquire(theirs_);
  const auto renewed = ours_.Renew(*app_, 1);
  ASSERT_FALSE(renewed.has_value());
  EXPECT_EQ(renewed.error().code, ErrorCode::kConflict);
  EXPECT_TRUE(theirs_.Renew(*app_, 2).has_value());
}

TEST_F(OutboxLeaseTest, AReleasedLeaseIsFreeAtOnce) {
  Acquire(ours_);
  ASSERT_TRUE(ours_.Release(*app_, 1).has_value());
  EXPECT_TRUE(Acquire(theirs_).mine);
}

TEST_F(OutboxLeaseTest, AnOldEpochReleasesNothing) {
  Acquire(ours_);
  LetExpire();
  Acquire(theirs_);
  ASSERT_TRUE(ours_.Release(*app_, 1).has_value());
  EXPECT_FALSE(Acquire(ours_).mine);
}

TEST_F(OutboxLeaseTest, SourcesOfOneDatabaseAreLedApart) {
  Acquire(ours_);
  EXPECT_TRUE(Acquire(OutboxLease("bank", "b", seconds(60))).mine);
}

TEST_F(OutboxLeaseTest, NobodyTakesOverInTheMiddleOfATransactionThatHasRenewed) {
  Acquire(ours_);
  LetExpire();
  ASSERT_TRUE(app_->Begin().has_value());
  ASSERT_TRUE(ours_.Renew(*app_, 1).has_value());
  auto other = Connect(database_);
  ASSERT_TRUE(other->ExecuteScript("SET SESSION innodb_lock_wait_timeout = 1").has_value());
  const auto taken = theirs_.Acquire(*other);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, ErrorCode::kUnavailable) << taken.error().message;
  ASSERT_TRUE(app_->Commit().has_value());
  EXPECT_FALSE(theirs_.Acquire(*other)->mine);
}

}  // namespace
}  // namespace outrider::outbox
