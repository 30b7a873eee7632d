// Channels: limits, holds, priorities, and what has no channel.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ChannelTest : public DeliveryTest {
 protected:
  // A limit of ours on a bot without one, whose clock runs by itself.
  providers::ChannelSettings Limited(providers::RateLimit rate) {
    providers::ChannelSettings channel = Bot();
    channel.rate = rate;
    return channel;
  }
  std::int64_t Sent(const std::string& channel = "ops") {
    return Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent' AND channel = ?",
                 {std::string_view(channel)});
  }
};

TEST_F(ChannelTest, NoMoreIsClaimedThanTheLimitPasses) {
  SetChannels({Limited({.per_second = 5, .per_minute = 100})});
  InsertMany(20);
  auto delivery = MakeDelivery();
  const Delivery::Round round = Turn(*delivery);
  EXPECT_EQ(round.claimed, 5u);
  EXPECT_EQ(round.postponed, 0u) << "no more was asked for";
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == 5; }));
  EXPECT_EQ(Turn(*delivery).claimed, 0u);
  clock_.Advance(milliseconds{1001});
  EXPECT_EQ(Turn(*delivery).claimed, 5u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE attempts_spent > 0"), 10);
}

TEST_F(ChannelTest, TheVendorNeverSeesMoreThanTheRate) {
  // The bot itself refuses what exceeds its five a second.
  SetChannels({Bot("ops", {.per_second = 5, .per_minute = 100})});
  sender_ = std::make_unique<providers::Sender>(*engine_, system_clock_, probe_, log_.log());
  SetChannels({Bot("ops", {.per_second = 5, .per_minute = 100})});
  InsertMany(16);
  auto delivery = MakeDelivery(Options(), system_clock_);
  std::jthread thread([&](std::stop_token stop) { delivery->Run(stop, seconds{5}); });
  ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == 16; }));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_attempts WHERE verdict <> 'accepted'"), 0);
  const auto deliveries = vendor_->deliveries();
  ASSERT_THAT(deliveries, SizeIs(16));
  for (std::size_t i = 5; i < deliveries.size(); ++i) {
    EXPECT_GT(deliveries[i].time - deliveries[i - 5].time, seconds{1});
  }
  thread.request_stop();
  thread.join();
}

TEST_F(ChannelTest, ABacklogOfALimitedChannelDelaysNobody) {
  SetChannels({Bot("slow", {.per_second = 1}), Bot("ops")});
  InsertMany(500, "slow", "s");
  InsertMany(5);
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_TRUE(testing::WaitUntil([&] { return Sent() == 5; }));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE channel = 'slow' AND attempt_no > 0"), 1);
}

TEST_F(ChannelTest, ASilentVendorNeverTakesTheLastPlaces) {
  SetChannels({Bot("silent"), Bot("ops")});
  vendor_->AddFault({.kind = FaultKind::kAcceptThenTimeout, .path = "/open-apis/bot/v2/hook/token-silent", .times = 0});
  InsertMany(300, "silent", "s");
  DeliveryOptions options = Options();
  options.max_in_flight = 16;
  options.call_deadline = seconds{2};
  auto delivery = MakeDelivery(options, clock_);
  for (int i = 0; i < 5; ++i) Turn(*delivery);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sending'"), 8);
  InsertMany(5);
  EXPECT_TRUE(testing::WaitUntil(
      [&] {
        Turn(*delivery);
        return Sent() == 5;
      },
      seconds{1}));
  engine_.reset();
}

TEST_F(ChannelTest, ADeadChannelIsHeldProbedByOneAndDrainsAfterHealing) {
  SetChannels({Bot("ops"), Bot("other")});
  vendor_->AddFault(
      {.kind = FaultKind::kCode, .path = "/open-apis/bot/v2/hook/token-ops", .times = 0, .n = 19001, .text = "token"});
  const auto ids = InsertMany(30);
  DeliveryOptions options = Options();
  options.max_in_flight = 20;
  auto delivery = MakeDelivery(options, clock_);
  EXPECT_EQ(Turn(*delivery).claimed, 10u);
  ASSERT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'failed'", 10));
  EXPECT_EQ(Story(ids[0]), "failed feishu_19001");
  EXPECT_EQ(Column(ids[0], "held_since IS NOT NULL"), "1");
  EXPECT_EQ(Turn(*delivery).claimed, 0u);
  EXPECT_EQ(health_.parts()["channel ops"].words, "held: feishu_19001");

  const std::size_t asked = vendor_->requests().size();
  clock_.Advance(seconds{7});
  EXPECT_EQ(Turn(*delivery).claimed, 1u) << "one probe";
  EXPECT_EQ(Turn(*delivery).claimed, 0u);
  ASSERT_TRUE(vendor_->WaitForRequests(asked + 1, seconds{10}));
  ASSERT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'sending'", 0));
  clock_.Advance(seconds{7});
  EXPECT_EQ(Turn(*delivery).claimed, 0u) << "the second hold is longer";

  const std::int64_t other = Insert({.key = "other", .channel = "other"});
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(other, "sent"));

  vendor_->ClearFaults();
  clock_.Advance(seconds{30});
  Execute("UPDATE notification_records SET due_at = NOW(6) WHERE status = 'failed'");
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery);
    return Sent() == 30;
  }));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE attempts_spent <> 1"), 0) << "nothing was spent";
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE held_since IS NOT NULL"), 0);
  EXPECT_TRUE(health_.parts()["channel ops"].delivers);
}

TEST_F(ChannelTest, AThrottledChannelSpendsNoAttemptAndComesBackAfterTheVendorsHint) {
  vendor_->AddFault({.kind = FaultKind::kRate, .times = 0, .limit = 0, .reset = 20});
  const std::int64_t id = Insert({.key = "order-1", .max_attempts = 1});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_EQ(Story(id), "failed feishu_99991400");
  MakeDue(id);
  clock_.Advance(seconds{15});
  EXPECT_EQ(Turn(*delivery).claimed, 0u);
  vendor_->ClearFaults();
  clock_.Advance(seconds{10});
  MakeDue(id);
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(id), "sent spent:1");
}

TEST_F(ChannelTest, TheVendorsCodeForItsLimitSpendsNoAttemptEither) {
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 11232, .text = "frequency limited"});
  const std::int64_t id = Insert({.key = "order-1", .max_attempts = 1});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "failed"));
  EXPECT_EQ(Story(id), "failed feishu_11232");
  clock_.Advance(seconds{2});
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
}

TEST_F(ChannelTest, WhatIsHeldForTooLongIsDead) {
  vendor_->AddFault({.kind = FaultKind::kCode, .times = 0, .n = 19001, .text = "token"});
  const std::int64_t tried = Insert({.key = "tried"});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(tried, "failed"));
  Execute("UPDATE notification_records SET held_since = NOW(6) - INTERVAL 73 HOUR, due_at = NOW(6) WHERE id = ?",
          {tried});
  const std::int64_t waited = Insert({.key = "waited", .due = "NOW(6) - INTERVAL 73 HOUR"});
  const std::int64_t young = Insert({.key = "young"});
  Turn(*delivery);
  EXPECT_EQ(Story(tried), "dead held_too_long");
  EXPECT_EQ(Story(waited), "dead held_too_long");
  EXPECT_EQ(Story(young), "pending");
}

TEST_F(ChannelTest, ASwitchedOffChannelsRecordsAreSkipped) {
  providers::ChannelSettings channel = Bot();
  channel.enabled = false;
  SetChannels({channel});
  const std::int64_t id = Insert({.key = "order-1"});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "skipped"));
  EXPECT_EQ(Column(id, "reason"), "channel_disabled");
  EXPECT_THAT(vendor_->requests(), IsEmpty());
}

TEST_F(ChannelTest, ParkedRecordsAreReleasedWhenTheirChannelIsConfigured) {
  const std::int64_t id = Insert({.key = "new-1", .channel = "new", .parked_by = "channel_unknown"});
  const std::int64_t expired = Insert(
      {.key = "new-2", .channel = "new", .expires = "NOW(6) - INTERVAL 1 SECOND", .parked_by = "channel_unknown"});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Story(id), "pending parked:channel_unknown");
  EXPECT_EQ(Story(expired), "skipped expired");
  SetChannels({Bot("ops"), Bot("new")});
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery);
    return Column(id, "status") == "sent";
  }));
  EXPECT_EQ(Column(id, "held_since"), "NULL");
  EXPECT_THAT(Delivered("new"), SizeIs(1));
}

TEST_F(ChannelTest, ReleasedRecordsStillWaitForTheirTime) {
  const std::int64_t id = Insert({.key = "new-1",
                                  .channel = "new",
                                  .fields = R"(,"scheduled_at":"2099-01-01T00:00:00Z")",
                                  .parked_by = "channel_unknown"});
  SetChannels({Bot("ops"), Bot("new")});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  Turn(*delivery);
  EXPECT_THAT(Column(id, "due_at"), HasSubstr("2099-01-01 00:00:00"));
  EXPECT_EQ(Story(id), "pending");
}

TEST_F(ChannelTest, ATimeAtTheEndOfAllTimesHoldsNobodyUp) {
  const std::int64_t late = Insert({.key = "late", .fields = R"(,"scheduled_at":"9999-12-31T23:59:59.999999Z")"});
  const std::int64_t id = InsertKey("order-1");
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntil(*delivery, id, "sent"));
  EXPECT_EQ(Story(late), "pending");
  EXPECT_EQ(
      Count("SELECT COUNT(*) FROM notification_records WHERE id = ? AND due_at > NOW(6) + INTERVAL 1 YEAR", {late}), 1);
}

TEST_F(ChannelTest, ARecordThatIsntSentGivesNobodysPlaceBack) {
  SetChannels({Limited({.per_second = 2})});
  vendor_->AddFault({.kind = fake_im::FaultKind::kSlowBody, .ms = 20});
  InsertKey("slow");
  auto delivery = MakeDelivery();
  EXPECT_EQ(Turn(*delivery).claimed, 1u);
  const std::int64_t unreadable = Insert({.key = "unreadable", .request = "{}"});
  EXPECT_EQ(Turn(*delivery).claimed, 1u);
  EXPECT_TRUE(WaitForStatus(unreadable, "dead"));
  InsertMany(3);
  EXPECT_EQ(Turn(*delivery).claimed, 1u) << "the slow one has the other place of this second";
}

TEST_F(ChannelTest, WhatIsParkedForTooLongIsDead) {
  const std::int64_t id = Insert({.key = "new-1", .channel = "new", .parked_by = "channel_unknown"});
  Execute("UPDATE notification_records SET held_since = NOW(6) - INTERVAL 73 HOUR");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Story(id), "dead held_too_long");
}

TEST_F(ChannelTest, RecordsOfAChannelThatIsTakenOutOfTheConfigurationAreParked) {
  const std::int64_t id = Insert({.key = "old-1", .channel = "old"});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Story(id), "pending parked:channel_unknown");
}

TEST_F(ChannelTest, ATemplateThatNobodyRendersIsParkedUnlessThereIsAFallback) {
  const std::int64_t parked =
      Insert({.key = "a", .request = R"({"channel":"ops","dedupe_key":"a","template":"welcome"})"});
  const std::int64_t fallback = Insert(
      {.key = "b", .request = R"({"channel":"ops","dedupe_key":"b","template":"welcome","fallback_text":"hello"})"});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Story(parked), "pending parked:template_unknown");
  ASSERT_TRUE(WaitForStatus(fallback, "sent"));
  EXPECT_THAT(Delivered(), Contains("hello"));
}

TEST_F(ChannelTest, AnExpiredRecordIsSkippedBeforeItIsSent) {
  const std::int64_t id = Insert({.key = "order-1", .expires = "NOW(6) - INTERVAL 1 SECOND"});
  auto delivery = MakeDelivery();
  EXPECT_EQ(Turn(*delivery).ended, 1u);
  EXPECT_EQ(Story(id), "skipped expired");
  EXPECT_THAT(vendor_->requests(), IsEmpty());
}

TEST_F(ChannelTest, WhatIsDueLaterIsLeftAloneAndLookedForInTime) {
  const std::int64_t id = Insert({.key = "order-1", .due = "NOW(6) + INTERVAL 1500000 MICROSECOND"});
  sender_ = std::make_unique<providers::Sender>(*engine_, system_clock_, probe_, log_.log());
  SetChannels({Bot()});
  DeliveryOptions options = Options();
  options.sweep = std::chrono::hours{1};
  options.scan_idle = seconds{1};
  auto delivery = MakeDelivery(options, system_clock_);
  std::jthread thread([&](std::stop_token stop) { delivery->Run(stop, seconds{5}); });
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_EQ(Column(id, "TIMESTAMPDIFF(MICROSECOND, created_at, sent_at) BETWEEN 1500000 AND 1900000"), "1")
      << Column(id, "TIMESTAMPDIFF(MICROSECOND, created_at, sent_at)");
  thread.request_stop();
  thread.join();
}

TEST_F(ChannelTest, HighGoesBeforeNormalBeforeLowAndLowIsNotStarved) {
  SetChannels({Limited({.per_second = 1})});
  for (int i = 0; i < 40; ++i) Insert({.key = fmt::format("low{}", i), .priority = 2});
  for (int i = 0; i < 40; ++i) Insert({.key = fmt::format("normal{}", i), .priority = 1});
  for (int i = 0; i < 40; ++i) Insert({.key = fmt::format("high{}", i), .priority = 0});
  auto delivery = MakeDelivery();
  for (std::int64_t i = 1; i <= 30; ++i) {
    Turn(*delivery);
    ASSERT_TRUE(testing::WaitUntil([&] { return Sent() == i; }));
    clock_.Advance(milliseconds{1001});
  }
  const auto count = [&](std::string_view what) {
    return Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent' AND priority = ?",
                 {std::int64_t{what == "high"     ? 0
                               : what == "normal" ? 1
                                                  : 2}});
  };
  const std::vector<std::string> texts = Delivered();
  EXPECT_THAT(std::vector<std::string>(texts.begin(), texts.begin() + 8), Each(HasSubstr("high")));
  EXPECT_GE(count("high"), 24);
  EXPECT_GE(count("normal"), 2);
  EXPECT_GE(count("low"), 2);
}

}  // namespace
}  // namespace outrider::consumer
