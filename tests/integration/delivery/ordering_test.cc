// Ordering keys: one at a time, in the order of arrival, and nothing waits for ever.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;
using ::testing::ElementsAre;

class OrderingTest : public DeliveryTest {
 protected:
  std::vector<std::int64_t> InsertKeyed(int count, const std::string& ordering_key) {
    std::vector<std::int64_t> ids;
    for (int i = 1; i <= count; ++i) {
      ids.push_back(Insert({.key = fmt::format("{}{}", ordering_key, i), .ordering_key = ordering_key}));
    }
    return ids;
  }
  bool TurnUntilSent(Delivery& delivery, std::int64_t count) {
    return testing::WaitUntil([&] {
      Turn(delivery);
      return Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'") == count;
    });
  }
};

TEST_F(OrderingTest, RecordsOfAKeyGoOneAfterAnotherInTheOrderOfArrival) {
  InsertKeyed(6, "a");
  InsertKeyed(6, "b");
  auto delivery = MakeDelivery();
  auto watcher = Connect(database_);
  std::atomic<bool> together = false;
  std::jthread watch([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto row = Must(*watcher,
                            "SELECT COUNT(*) - COUNT(DISTINCT ordering_hash) FROM notification_records WHERE status = "
                            "'sending'");
      if (row.rows.at(0).Int(0) > 0) together = true;
    }
  });
  ASSERT_TRUE(TurnUntilSent(*delivery, 12));
  watch.request_stop();
  watch.join();
  EXPECT_FALSE(together);
  std::vector<std::string> of_a;
  std::vector<std::string> of_b;
  for (const std::string& text : Delivered()) (text[0] == 'a' ? of_a : of_b).push_back(text);
  EXPECT_THAT(of_a, ElementsAre("a1", "a2", "a3", "a4", "a5", "a6"));
  EXPECT_THAT(of_b, ElementsAre("b1", "b2", "b3", "b4", "b5", "b6"));
}

TEST_F(OrderingTest, FollowersOfAHeadThatWaitsAreParkedAndHoldUpNobody) {
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 11246, .text = "internal error"});
  const auto ids = InsertKeyed(3, "a");
  auto delivery = MakeDelivery();
  EXPECT_EQ(Turn(*delivery).claimed, 1u);
  ASSERT_TRUE(WaitForStatus(ids[0], "failed"));
  EXPECT_EQ(Story(ids[1]), "pending parked:ordering_key");
  EXPECT_EQ(Story(ids[2]), "pending parked:ordering_key");
  const std::int64_t other = Insert({.key = "other"});
  EXPECT_EQ(Turn(*delivery).claimed, 1u);
  ASSERT_TRUE(WaitForStatus(other, "sent"));
  MakeDue(ids[0]);
  ASSERT_TRUE(TurnUntilSent(*delivery, 4));
  EXPECT_THAT(Delivered(), ElementsAre("other", "a1", "a2", "a3"));
}

TEST_F(OrderingTest, TheNextOneIsWokenInTheTransactionThatEndsTheHead) {
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .ms = 10});
  const auto ids = InsertKeyed(3, "a");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Story(ids[1]), "pending parked:ordering_key");
  ASSERT_TRUE(WaitForStatus(ids[0], "sent"));
  EXPECT_EQ(Story(ids[1]), "pending");
  EXPECT_EQ(Story(ids[2]), "pending parked:ordering_key");
}

TEST_F(OrderingTest, ADeadHeadLetsTheNextOneGo) {
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 19024, .text = "Key Words Not Found"});
  const auto ids = InsertKeyed(2, "a");
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntilSent(*delivery, 1));
  EXPECT_EQ(Column(ids[0], "status"), "dead");
  EXPECT_EQ(Column(ids[1], "status"), "sent");
}

TEST_F(OrderingTest, AnExpiredHeadLetsTheNextOneGo) {
  Insert({.key = "a1", .ordering_key = "a", .expires = "NOW(6) - INTERVAL 1 SECOND"});
  const std::int64_t next = Insert({.key = "a2", .ordering_key = "a"});
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntilSent(*delivery, 1));
  EXPECT_EQ(Column(next, "status"), "sent");
}

TEST_F(OrderingTest, AFollowerThatNobodyWokeIsFoundByTheSweep) {
  const std::int64_t id = Insert({.key = "a1", .ordering_key = "a", .parked_by = "ordering_key"});
  const std::int64_t behind = Insert({.key = "a2", .ordering_key = "a", .parked_by = "ordering_key"});
  auto delivery = MakeDelivery();
  Turn(*delivery);
  EXPECT_EQ(Column(behind, "parked_by"), "ordering_key");
  ASSERT_TRUE(TurnUntilSent(*delivery, 2));
  EXPECT_EQ(Column(id, "status"), "sent");
  EXPECT_THAT(Delivered(), ElementsAre("a1", "a2"));
}

TEST_F(OrderingTest, AFollowerWhoseHeadIsLockedIsLeftForTheNextLook) {
  const auto ids = InsertKeyed(2, "a");
  Execute("UPDATE notification_records SET status = 'sending', due_at = NOW(6) + INTERVAL 1 MINUTE WHERE id = ?",
          {ids[0]});
  auto delivery = MakeDelivery();
  auto settling = Connect(database_);
  ASSERT_TRUE(settling->Begin());
  Must(*settling, "UPDATE notification_records SET status = 'sent', due_at = NULL WHERE id = ?", {ids[0]});
  Turn(*delivery);
  EXPECT_EQ(Story(ids[1]), "pending") << "parked now it would have missed its waking";
  ASSERT_TRUE(settling->Commit());
  ASSERT_TRUE(TurnUntilSent(*delivery, 2));
}

TEST_F(OrderingTest, TheSecondProcessDoesntSendAFollowerWhileTheHeadIsInTheFirst) {
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .ms = 20});
  const auto ids = InsertKeyed(2, "a");
  auto first = MakeDelivery();
  Turn(*first);
  first->Revoked({{"t", 0}});
  Turn(*first);
  auto second = MakeDelivery(Options("host:2:b"), clock_);
  EXPECT_EQ(Turn(*second).claimed, 0u);
  ASSERT_TRUE(WaitForStatus(ids[0], "sent"));
  ASSERT_TRUE(TurnUntil(*second, ids[1], "sent"));
  EXPECT_THAT(Delivered(), ElementsAre("a1", "a2"));
}

// A dead record becomes pending again, as a person's replay or a reopening event makes it.
constexpr std::string_view kBringBack =
    "UPDATE notification_records SET status = 'pending', reason = NULL, version = version + 1, due_at = NOW(6), "
    "attempts_spent = 0 WHERE id = ?";

TEST_F(OrderingTest, ARecordThatIsBroughtBackWaitsForALaterOneInFlightElsewhere) {
  const auto ids = InsertKeyed(2, "a");
  Execute("UPDATE notification_records SET status = 'dead', reason = 'x', due_at = NULL WHERE id = ?", {ids[0]});
  vendor_->AddFault({.kind = FaultKind::kSlowBody, .ms = 50});
  auto first = MakeDelivery();
  EXPECT_EQ(Turn(*first).claimed, 1u);
  ASSERT_EQ(Column(ids[1], "status"), "sending");
  EXPECT_EQ(Count("SELECT COUNT(*) FROM ordering_flights WHERE record_id = ?", {ids[1]}), 1);
  first->Revoked({{"t", 0}});
  Turn(*first);
  auto second = MakeDelivery(Options("host:2:b"), clock_);
  Execute(kBringBack, {ids[0]});
  EXPECT_EQ(Turn(*second).claimed, 0u);
  EXPECT_EQ(Story(ids[0]), "pending parked:ordering_key");
  ASSERT_TRUE(WaitForStatus(ids[1], "sent"));
  EXPECT_EQ(Story(ids[0]), "pending") << "woken by the end of the one in flight";
  ASSERT_TRUE(TurnUntil(*second, ids[0], "sent"));
  EXPECT_THAT(Delivered(), ElementsAre("a2", "a1"));
}

TEST_F(OrderingTest, ItGoesOnTooWhenTheOneInFlightFailsForNow) {
  const auto ids = InsertKeyed(2, "a");
  Execute("UPDATE notification_records SET status = 'dead', reason = 'x', due_at = NULL WHERE id = ?", {ids[0]});
  vendor_->AddFault({.kind = FaultKind::kAcceptThenTimeout});
  DeliveryOptions options = Options();
  options.call_deadline = std::chrono::milliseconds{500};
  auto first = MakeDelivery(options, clock_);
  EXPECT_EQ(Turn(*first).claimed, 1u);
  Execute(kBringBack, {ids[0]});
  Turn(*first);
  ASSERT_EQ(Story(ids[0]), "pending parked:ordering_key");
  ASSERT_TRUE(WaitForStatus(ids[1], "failed"));
  EXPECT_EQ(Story(ids[0]), "pending");
  ASSERT_TRUE(TurnUntil(*first, ids[0], "sent"));
}

TEST_F(OrderingTest, ARecordThatIsBroughtBackGoesBeforeALaterOneThatWaits) {
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 11246, .text = "internal error"});
  const auto ids = InsertKeyed(2, "a");
  Execute("UPDATE notification_records SET status = 'dead', reason = 'x', due_at = NULL WHERE id = ?", {ids[0]});
  auto delivery = MakeDelivery();
  EXPECT_EQ(Turn(*delivery).claimed, 1u);
  ASSERT_TRUE(WaitForStatus(ids[1], "failed"));
  Execute(kBringBack, {ids[0]});
  MakeDue(ids[1]);
  ASSERT_TRUE(TurnUntilSent(*delivery, 2));
  EXPECT_THAT(Delivered(), ElementsAre("a1", "a2"));
}

TEST_F(OrderingTest, AFlightThatAnotherVersionLeftBehindHoldsNobody) {
  const auto ids = InsertKeyed(1, "a");
  Execute("INSERT INTO ordering_flights SELECT ordering_hash, 4711 FROM notification_records WHERE id = ?", {ids[0]});
  auto delivery = MakeDelivery();
  ASSERT_TRUE(TurnUntilSent(*delivery, 1));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM ordering_flights"), 0);
}

TEST_F(OrderingTest, NoFlightOutlivesItsRecord) {
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 19024, .text = "Key Words Not Found"});
  vendor_->AddFault({.kind = FaultKind::kCode, .n = 11246, .text = "internal error"});
  const auto ids = InsertKeyed(3, "a");
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(ids[0], "dead"));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM ordering_flights"), 0);
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(ids[1], "failed"));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM ordering_flights"), 0);
}

class BlockedKeyTest : public OrderingTest {
 protected:
  BlockedKeyTest() {
    auto channel = Bot();
    channel.ordering = providers::OnDeadHead::kBlock;
    SetChannels({channel});
  }
  // Its shard is free for another process then.
  void GiveUpShard(Delivery& delivery) {
    delivery.Revoked({{"t", 0}});
    Turn(delivery);
  }
  // The first of them is dead, and holds the others.
  std::vector<std::int64_t> InsertHeld(Delivery& delivery, int count) {
    vendor_->AddFault({.kind = FaultKind::kCode, .n = 19024, .text = "Key Words Not Found"});
    auto ids = InsertKeyed(count, "a");
    Turn(delivery);
    EXPECT_TRUE(WaitForStatus(ids[0], "dead"));
    return ids;
  }
};

TEST_F(BlockedKeyTest, ADeadHeadHoldsThoseBehindItAndNobodyElse) {
  auto delivery = MakeDelivery();
  const auto ids = InsertHeld(*delivery, 3);
  EXPECT_EQ(Story(ids[1]), "pending parked:blocked_ordering_key");
  EXPECT_EQ(Story(ids[2]), "pending parked:ordering_key");
  const std::int64_t other = Insert({.key = "b1", .ordering_key = "b"});
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(other, "sent"));
  EXPECT_EQ(Column(ids[1], "status"), "pending");
  EXPECT_THAT(Delivered(), ElementsAre("b1"));
}

TEST_F(BlockedKeyTest, WhatArrivesLaterIsHeldTooAndANewProcessHoldsItAsWell) {
  {
    auto delivery = MakeDelivery();
    InsertHeld(*delivery, 1);
    GiveUpShard(*delivery);
  }
  const std::int64_t late = Insert({.key = "a9", .ordering_key = "a"});
  auto delivery = MakeDelivery(Options("host:2:b"), clock_);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Turn(*delivery).claimed, 0u);
  EXPECT_EQ(Story(late), "pending parked:blocked_ordering_key");
}

TEST_F(BlockedKeyTest, TheNextOneIsHeldWhenTheFirstBehindADeadOneEnds) {
  auto delivery = MakeDelivery();
  const auto ids = InsertHeld(*delivery, 3);
  Execute("UPDATE notification_records SET expires_at = NOW(6) WHERE id = ?", {ids[1]});
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery);
    return Column(ids[1], "status") == "skipped";
  }));
  EXPECT_EQ(Story(ids[2]), "pending parked:blocked_ordering_key");
}

TEST_F(BlockedKeyTest, AnEarlierRecordThatIsBroughtBackIsNotHeld) {
  auto delivery = MakeDelivery();
  const auto ids = InsertHeld(*delivery, 2);
  Execute(kBringBack, {ids[0]});
  ASSERT_TRUE(TurnUntilSent(*delivery, 2));
  EXPECT_THAT(Delivered(), ElementsAre("a1", "a2"));
}

TEST_F(BlockedKeyTest, WhatADeadRecordNoLongerHoldsIsFoundByTheSweep) {
  auto delivery = MakeDelivery();
  const auto ids = InsertHeld(*delivery, 2);
  Execute(
      "UPDATE notification_records SET status = 'skipped', reason = 'discarded', version = version + 1 WHERE id = ?",
      {ids[0]});
  ASSERT_TRUE(TurnUntilSent(*delivery, 1));
  EXPECT_THAT(Delivered(), ElementsAre("a2"));
}

TEST_F(BlockedKeyTest, AChannelThatBlocksNoMoreLetsItsKeysGo) {
  auto delivery = MakeDelivery();
  InsertHeld(*delivery, 2);
  SetChannels({Bot()});
  ASSERT_TRUE(TurnUntilSent(*delivery, 1));
  GiveUpShard(*delivery);
  auto restarted = MakeDelivery(Options("host:2:b"), clock_);
  Turn(*restarted);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM ordering_blocks"), 0);
}

TEST_F(BlockedKeyTest, HowManyKeysAreHeldIsMeasured) {
  {
    auto delivery = MakeDelivery();
    InsertHeld(*delivery, 2);
    GiveUpShard(*delivery);
  }
  auto delivery = MakeDelivery(Options("host:2:b"), clock_);
  Turn(*delivery);
  EXPECT_EQ(Metric("ordering_blocked_records"), 1);
  EXPECT_GT(Metric("ordering_oldest_blocked_timestamp_seconds"), 0);
}

}  // namespace
}  // namespace outrider::consumer
