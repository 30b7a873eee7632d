// Records in doubt: repeated under their key while it holds, then asked about, then left to the channel's policy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;

class DoubtTest : public DeliveryTest {
 protected:
  void UseMock(const std::string& mode, providers::OnUncertain on_uncertain = providers::OnUncertain::kHold,
               const std::string& reconcile = "truth") {
    auto channel = Mock("ops", mode);
    channel.settings.emplace("reconcile", Secret(reconcile));
    channel.on_uncertain = on_uncertain;
    SetChannels({channel});
  }
  // A first attempt, of which no answer came.
  std::int64_t InsertInDoubt(Delivery& delivery) {
    const std::int64_t id = InsertKey("a");
    Turn(delivery);
    EXPECT_TRUE(WaitForStatus(id, "failed"));
    EXPECT_EQ(Story(id), "failed timeout uncertain spent:1");
    return id;
  }
  void LetTheKeyExpire(std::int64_t id) {
    Execute("UPDATE notification_records SET send_key_first_used_at = NOW(6) - INTERVAL 56 MINUTE WHERE id = ?", {id});
  }
  std::int64_t DueInSeconds(std::int64_t id) {
    return Count("SELECT TIMESTAMPDIFF(SECOND, NOW(6), due_at) FROM notification_records WHERE id = ?", {id});
  }
};

TEST_F(DoubtTest, AKeyThatHoldsIsRepeatedSoonAndItsSuccessTakesTheDoubtAway) {
  UseMock("lose_answer");
  auto delivery = MakeDelivery();
  const std::int64_t id = InsertInDoubt(*delivery);
  EXPECT_LE(DueInSeconds(id), 12) << "not the channel's five minutes";
  const std::string key = Column(id, "send_key");
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:2");
  EXPECT_EQ(Column(id, "send_key"), key);
  EXPECT_EQ(Attempts(id), "1 no_answer timeout; 2 accepted");
  EXPECT_EQ(Metric("uncertain_total"), 1);
}

TEST_F(DoubtTest, TheRepetitionsEndFiveMinutesBeforeTheWindowDoes) {
  UseMock("lose_answer");
  auto delivery = MakeDelivery();
  const std::int64_t id = InsertInDoubt(*delivery);
  LetTheKeyExpire(id);
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Attempts(id), "1 no_answer timeout; 2 reconciled taken") << "asked, not sent";
}

TEST_F(DoubtTest, WhatTheVendorTookIsSentAndCertain) {
  UseMock("lose_answer");
  auto delivery = MakeDelivery();
  const std::int64_t id = InsertInDoubt(*delivery);
  LetTheKeyExpire(id);
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1") << "the question costs no attempt";
  EXPECT_NE(Column(id, "provider_message_id"), "NULL");
  EXPECT_TRUE(MetricBecomes("reconciled_total{result=\"taken\"}", 1));
}

TEST_F(DoubtTest, WhatTheVendorNeverTookIsSentUnderANewKey) {
  UseMock("lose_message");
  auto delivery = MakeDelivery();
  const std::int64_t id = InsertInDoubt(*delivery);
  const std::string key = Column(id, "send_key");
  LetTheKeyExpire(id);
  MakeDue(id);
  Turn(*delivery);
  ASSERT_TRUE(testing::WaitUntil([&] { return Story(id) == "failed not_taken spent:1"; })) << Story(id);
  EXPECT_EQ(Column(id, "send_key"), "NULL");
  // The new key's first message is lost as well, and its second arrives.
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_NE(Column(id, "send_key"), key);
  EXPECT_EQ(Story(id), "sent spent:3");
  EXPECT_EQ(Attempts(id), "1 no_answer timeout; 2 reconciled not_taken; 3 no_answer timeout; 4 accepted");
}

TEST_F(DoubtTest, WhatNobodyCanTellIsHeldForAPerson) {
  UseMock("lose_answer", providers::OnUncertain::kHold, "unknown");
  auto delivery = MakeDelivery();
  const std::int64_t id = InsertInDoubt(*delivery);
  LetTheKeyExpire(id);
  ASSERT_TRUE(TurnUntil(*delivery, id, "dead"));
  EXPECT_EQ(Story(id), "dead uncertain uncertain spent:1");
  EXPECT_EQ(Attempts(id), "1 no_answer timeout; 2 reconciled not_reconciled");
}

TEST_F(DoubtTest, WhatNobodyCanTellIsSentAgainUnderThePolicyRetryAndStaysInDoubt) {
  UseMock("lose_answer", providers::OnUncertain::kRetry, "unknown");
  auto delivery = MakeDelivery();
  const std::int64_t id = InsertInDoubt(*delivery);
  LetTheKeyExpire(id);
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent uncertain spent:2");
  EXPECT_EQ(Attempts(id), "1 no_answer timeout; 2 reconciled not_reconciled; 3 accepted");
}

TEST_F(DoubtTest, TheLastAttemptIsAskedAboutBeforeItIsGivenUp) {
  UseMock("lose_answer", providers::OnUncertain::kRetry);
  const std::int64_t id = Insert({.key = "a", .max_attempts = 1});
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1");
  EXPECT_EQ(Attempts(id), "1 no_answer timeout; 2 reconciled taken");
}

TEST_F(DoubtTest, WhoDiesWhileAskingAsksOnlyOnce) {
  UseMock("lose_answer", providers::OnUncertain::kRetry);
  const std::int64_t id = Insert({.key = "a", .max_attempts = 1, .status = "sending"});
  Execute(
      "UPDATE notification_records SET attempt_no = 2, attempts_spent = 2, uncertain = TRUE, send_key = 'k', "
      "send_key_first_used_at = NOW(6), lease_owner = 'dead#1', due_at = NOW(6) WHERE id = ?",
      {id});
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntil(*delivery, id, "dead"));
  EXPECT_EQ(Story(id), "dead attempts_exhausted uncertain spent:2");
}

TEST_F(DoubtTest, WithoutAKeyThePolicyDecidesAtOnce) {
  auto channel = Bot();
  channel.on_uncertain = providers::OnUncertain::kHold;
  SetChannels({channel});
  vendor_->AddFault({.kind = FaultKind::kAcceptThenReset});
  const std::int64_t id = InsertKey("a");
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntil(*delivery, id, "dead"));
  EXPECT_THAT(Story(id), ::testing::HasSubstr("dead uncertain uncertain"));
}

// Of suspects, which were in flight when two processes died, one at a time is sent.
TEST_F(DoubtTest, RecordsThatMayEndTheProcessAreSentOneAtATimeAndOthersBesideThem) {
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .times = 1, .ms = 30});
  const auto suspects = InsertMany(3, "ops", "suspect");
  Execute(
      "UPDATE notification_records SET status = 'failed', reason = 'lease_expired', uncertain = TRUE, attempt_no = "
      "2, attempts_spent = 2");
  auto delivery = MakeDelivery();
  EXPECT_EQ(Turn(*delivery).claimed, 1u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'failed' AND due_at > NOW(6)"), 2);
  EXPECT_EQ(Column(suspects[1], "reason"), "lease_expired") << "still suspected";
  const std::int64_t other = InsertKey("other");
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(other, "sent"));
  for (const std::int64_t id : suspects) ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
}

}  // namespace
}  // namespace outrider::consumer
