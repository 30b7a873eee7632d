// Pauses: what a person has paused isn't taken up by anybody, costs no attempt, and goes on afterwards.
#include "consumer/pauses.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class PauseTest : public DeliveryTest {
 protected:
  void PauseIt(PauseKind kind, const std::string& name) {
    EXPECT_EQ(AddPause(pool_, kind, name, "mei@desk", "the vendor asked us"), true);
  }
  void Resume(PauseKind kind, const std::string& name) {
    EXPECT_EQ(EndPause(pool_, kind, name, "mei@desk", "all is well"), true);
  }
  std::int64_t Sent() { return Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'"); }
  bool TurnUntilSent(Delivery& delivery, std::int64_t count) {
    return testing::WaitUntil([&] {
      Turn(delivery);
      return Sent() == count;
    });
  }
};

TEST_F(PauseTest, APausedChannelIsLeftAloneByEveryProcess) {
  SetChannels({Bot("ops"), Bot("other")});
  InsertMany(10);
  const std::int64_t other = Insert({.key = "other", .channel = "other"});
  auto first = MakeDelivery();
  PauseIt(PauseKind::kChannel, "ops");
  EXPECT_EQ(Turn(*first).claimed, 1u);
  ASSERT_TRUE(WaitForStatus(other, "sent"));
  first->Revoked({{"t", 0}});
  Turn(*first);
  auto second = MakeDelivery(Options("host:2:b"), clock_);
  EXPECT_EQ(Turn(*second).claimed, 0u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE channel = 'ops' AND status = 'pending' AND version "
                  "= 1"),
            10)
      << "nothing was spent, and nothing written";
  Resume(PauseKind::kChannel, "ops");
  ASSERT_TRUE(TurnUntilSent(*second, 11));
}

TEST_F(PauseTest, APauseIsSeenAndAudited) {
  auto delivery = MakeDelivery();
  PauseIt(PauseKind::kChannel, "ops");
  PauseIt(PauseKind::kTenant, "t2");
  Turn(*delivery);
  EXPECT_FALSE(health_.parts()["channel ops"].delivers);
  EXPECT_THAT(health_.parts()["channel ops"].words,
              AllOf(HasSubstr("paused since"), HasSubstr("by mei@desk: the vendor asked us")));
  EXPECT_FALSE(health_.parts()["tenant t2"].delivers);
  EXPECT_EQ(Metric("paused{kind=\"channel\"}"), 1);
  EXPECT_EQ(Metric("paused{kind=\"tenant\"}"), 1);
  Resume(PauseKind::kChannel, "ops");
  Resume(PauseKind::kTenant, "t2");
  Turn(*delivery);
  EXPECT_TRUE(health_.parts()["channel ops"].delivers);
  EXPECT_TRUE(health_.parts()["tenant t2"].delivers);
  EXPECT_EQ(Metric("paused{kind=\"channel\"}"), 0);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM audit_log WHERE actor = 'mei@desk' AND action IN ('pause', 'resume')"), 4);
}

TEST_F(PauseTest, PausingAgainChangesNothingAndIsNotAudited) {
  PauseIt(PauseKind::kChannel, "ops");
  EXPECT_EQ(AddPause(pool_, PauseKind::kChannel, "ops", "li@desk", "me too"), false);
  EXPECT_EQ(EndPause(pool_, PauseKind::kTenant, "ops", "li@desk", "no such"), false);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM audit_log"), 1);
  EXPECT_EQ(ReadPauses(*db_)->at(0).actor, "mei@desk");
}

TEST_F(PauseTest, APausedTenantIsParkedOnceAndDelaysNobody) {
  SetChannels({Bot("ops", {.per_second = 5})});
  PauseIt(PauseKind::kTenant, "t2");
  for (int i = 0; i < 300; ++i) Insert({.key = fmt::format("t{}", i), .tenant = "t2"});
  const std::int64_t mine = InsertKey("mine");
  auto delivery = MakeDelivery();
  // Far fewer looks than five records each would take.
  for (int i = 0; i < 10; ++i) Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(mine, "sent"));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE parked_by = 'tenant_paused:t2' AND due_at IS NULL "
                  "AND attempts_spent = 0"),
            300);
  Turn(*delivery);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE tenant = 't2' AND version = 2"), 300)
      << "what is parked costs nothing more";
}

TEST_F(PauseTest, AResumedTenantGoesOnAndAnotherStaysParked) {
  PauseIt(PauseKind::kTenant, "t2");
  PauseIt(PauseKind::kTenant, "t3");
  for (int i = 0; i < 5; ++i) {
    Insert({.key = fmt::format("t{}", i), .tenant = "t2"});
    Insert({.key = fmt::format("t{}", i), .tenant = "t3"});
  }
  auto delivery = MakeDelivery();
  Turn(*delivery);
  Turn(*delivery);
  EXPECT_EQ(Sent(), 0);
  Resume(PauseKind::kTenant, "t2");
  ASSERT_TRUE(TurnUntilSent(*delivery, 5));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE parked_by = 'tenant_paused:t3'"), 5);
}

TEST_F(PauseTest, WhatExpiresWhilePausedEndsAndNothingElseDoes) {
  DeliveryOptions options = Options();
  options.max_age = std::chrono::hours{1};
  auto delivery = MakeDelivery(options, clock_);
  PauseIt(PauseKind::kChannel, "ops");
  PauseIt(PauseKind::kTenant, "t2");
  const std::int64_t expired = Insert({.key = "a", .expires = "NOW(6) - INTERVAL 1 SECOND"});
  const std::int64_t old = Insert({.key = "b", .due = "NOW(6) - INTERVAL 2 HOUR"});
  const std::int64_t parked = Insert({.key = "c", .parked_by = "tenant_paused:t2", .tenant = "t2"});
  Execute("UPDATE notification_records SET held_since = NULL, updated_at = NOW(6) - INTERVAL 2 HOUR WHERE id = ?",
          {parked});
  ASSERT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery);
    return Column(expired, "status") == "skipped";
  }));
  for (int i = 0; i < 3; ++i) Turn(*delivery);
  EXPECT_EQ(Story(expired), "skipped expired");
  EXPECT_EQ(Story(old), "pending");
  EXPECT_EQ(Story(parked), "pending parked:tenant_paused:t2");
}

TEST(ParkedByPauseTest, LongNamesStayApartAndFit) {
  const std::string long_name(60, 'n');
  EXPECT_EQ(ParkedByPause("t2"), "tenant_paused:t2");
  EXPECT_EQ(ParkedByPause(long_name).size(), 64u);
  EXPECT_NE(ParkedByPause(long_name + "1"), ParkedByPause(long_name + "2"));
}

}  // namespace
}  // namespace outrider::consumer
