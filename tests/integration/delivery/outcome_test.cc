// What each outcome makes of a record: the rows of the status table that start at `sending`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/integration/delivery/fixture.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class OutcomeTest : public DeliveryTest {
 protected:
  // Seconds from now until the record is due.
  std::int64_t DueIn(std::int64_t id) {
    return Count("SELECT TIMESTAMPDIFF(SECOND, NOW(6), due_at) FROM notification_records WHERE id = ?", {id});
  }
};

TEST_F(OutcomeTest, WhatTheVendorTakesIsSent) {
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  EXPECT_EQ(Turn(*delivery).claimed, 1u);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1");
  EXPECT_EQ(Attempts(id), "1 accepted");
  EXPECT_THAT(Delivered(), ElementsAre("order-1"));
  EXPECT_EQ(Column(id, "version"), "3");
  EXPECT_EQ(Column(id, "due_at"), "NULL");
  EXPECT_EQ(Column(id, "lease_owner"), "NULL");
  EXPECT_EQ(Column(id, "provider"), "feishu_bot");
  EXPECT_EQ(Column(id, "sent_at IS NOT NULL"), "1");
  EXPECT_TRUE(MetricBecomes("transitions_total{from=\"pending\",to=\"sending\"}", 1));
  EXPECT_TRUE(MetricBecomes("transitions_total{from=\"sending\",to=\"sent\"}", 1));
  EXPECT_TRUE(LogBecomes("record.settled channel=ops dedupe_key=order-1 status=sent"));
  EXPECT_THAT(log_.Text(), Not(HasSubstr("token-ops")));
}

TEST_F(OutcomeTest, AnAttemptEndsBeforeItsRecordIsSent) {
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_EQ(
      Count("SELECT COUNT(*) FROM notification_records AS r JOIN notification_attempts AS a ON a.record_id = r.id "
            "WHERE r.id = ? AND a.started_at + INTERVAL a.duration_us MICROSECOND <= r.sent_at",
            {id}),
      1);
}

TEST_F(OutcomeTest, TheMockKeepsItsMessageId) {
  SetChannels({Mock()});
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_THAT(Column(id, "provider_message_id"), HasSubstr("mock_feishu_"));
}

TEST_F(OutcomeTest, WhatIsRefusedForGoodIsDeadAtOnceWithTheVendorsCode) {
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 19024, .text = "Key Words Not Found"});
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "dead"));
  EXPECT_EQ(Story(id), "dead feishu_19024 spent:1");
  EXPECT_THAT(Column(id, "last_error"), HasSubstr("keywords"));
  Turn(*delivery);
  EXPECT_EQ(vendor_->requests().size(), 1u);
}

TEST_F(OutcomeTest, WhatFailsForNowWaitsForItsBackOffAndDiesWithItsLastAttempt) {
  SetChannels({Mock("ops", "temporary_fail")});
  const std::int64_t id = Insert({.key = "order-1", .max_attempts = 2});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_EQ(Story(id), "failed provider_timeout spent:1");
  EXPECT_GE(DueIn(id), 239);
  EXPECT_LE(DueIn(id), 360);
  EXPECT_EQ(Turn(*delivery).claimed, 0u) << "it isn't due";
  ASSERT_TRUE(TurnUntil(*delivery, id, "dead"));
  EXPECT_EQ(Story(id), "dead attempts_exhausted spent:2");
  EXPECT_EQ(Attempts(id), "1 not_now provider_timeout; 2 not_now provider_timeout");
  EXPECT_TRUE(MetricBecomes("dead_total{reason=\"attempts_exhausted\"}", 1));
}

TEST_F(OutcomeTest, WhoCantReceiveIsSkipped) {
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 11237, .text = "chat dissolved"});
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "skipped"));
  EXPECT_EQ(Story(id), "skipped feishu_11237 spent:1");
}

TEST_F(OutcomeTest, AConnectionThatIsRefusedLeavesNoDoubt) {
  vendor_->GoDown();
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_EQ(Story(id), "failed connect_failed spent:1");
}

TEST_F(OutcomeTest, ALostAnswerLeavesDoubtThatALaterSuccessDoesntTakeAway) {
  vendor_->AddFault({.kind = FaultKind::kAcceptThenReset});
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_THAT(Story(id), HasSubstr("uncertain"));
  EXPECT_TRUE(MetricBecomes("uncertain_total", 1));
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent uncertain spent:2") << "the bot has no key by which it knows a repetition";
  EXPECT_THAT(Delivered(), ElementsAre("order-1", "order-1"));
  EXPECT_TRUE(MetricBecomes("uncertain_total", 1));
}

TEST_F(OutcomeTest, WithThePolicyHoldALostAnswerIsForAPerson) {
  providers::ChannelSettings channel = Bot();
  channel.on_uncertain = providers::OnUncertain::kHold;
  SetChannels({channel});
  vendor_->AddFault({.kind = FaultKind::kAcceptThen504});
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_EQ(Turn(*delivery).ended, 1u);
  EXPECT_EQ(Story(id), "dead uncertain uncertain spent:1");
  EXPECT_THAT(Delivered(), ElementsAre("order-1"));
}

TEST_F(OutcomeTest, OfAPrivateRecordNothingIsLeftAtItsEnd) {
  const std::int64_t kept = InsertKey("order-1");
  const std::int64_t id = Insert({.key = "secret-1", .is_private = true});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  ASSERT_TRUE(WaitForStatus(kept, "sent"));
  EXPECT_EQ(Column(id, "request"), "NULL");
  EXPECT_EQ(Column(id, "recipient"), "");
  EXPECT_NE(Column(kept, "request"), "NULL");
  EXPECT_EQ(Column(kept, "recipient"), "chat_id:oc_1");
}

TEST_F(OutcomeTest, ARequestThatCantBeReadIsDeadWithoutASend) {
  const std::int64_t id = Insert({.key = "order-1", .request = "{not JSON"});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "dead"));
  EXPECT_EQ(Story(id), "dead request_unreadable spent:1");
  EXPECT_THAT(vendor_->requests(), IsEmpty());
}

TEST_F(OutcomeTest, TheAttemptIsDurableBeforeTheFirstByteLeaves) {
  const std::int64_t id = InsertKey("order-1");
  auto watcher = Connect(database_);
  std::promise<std::string> seen;
  const auto look = [&](const fake_im::Delivery&) {
    seen.set_value(Must(*watcher,
                        "SELECT CONCAT_WS(' ', status, attempt_no, attempts_spent, lease_owner, "
                        "due_at > NOW(6) + INTERVAL 50 SECOND) FROM notification_records WHERE id = ?",
                        {id})
                       .rows.at(0)
                       .Text(0));
  };
  auto started = fake_im::FakeImServer::Start({.bots = {{.token = "own"}}, .on_delivery = look});
  ASSERT_TRUE(started.has_value());
  providers::ChannelSettings channel = Bot();
  channel.settings.clear();
  channel.settings.emplace("webhook_url", Secret((*started)->WebhookUrl("own")));
  SetChannels({channel});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_EQ(seen.get_future().get(), "sending 1 1 host:1:a#1 1");
}

}  // namespace
}  // namespace outrider::consumer
