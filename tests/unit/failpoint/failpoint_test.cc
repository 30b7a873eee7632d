#include "platform/failpoint/failpoint.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

namespace outrider {
namespace {

class FailpointTest : public ::testing::Test {
 protected:
  ~FailpointTest() override { failpoint::Disarm(); }
};

TEST_F(FailpointTest, EveryPointIsListedOnceUnderANameOfItsOwn) {
  std::set<std::string_view> names;
  std::set<Failpoint> points;
  for (const FailpointInfo& info : kFailpoints) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_TRUE(points.insert(info.point).second) << info.name;
  }
}

TEST_F(FailpointTest, NothingHappensWithoutAPlan) {
  EXPECT_FALSE(PassFailpoint(Failpoint::kSettleBeforeCommit));
  EXPECT_FALSE(failpoint::internal::armed);
}

TEST_F(FailpointTest, AnErrorComesAtThePassThatIsPlannedAndOnlyThere) {
  ASSERT_TRUE(failpoint::Arm("settle.before_commit=error@2"));
  EXPECT_FALSE(PassFailpoint(Failpoint::kSettleBeforeCommit));
  EXPECT_FALSE(PassFailpoint(Failpoint::kClaimBeforeCommit));
  const auto error = PassFailpoint(Failpoint::kSettleBeforeCommit);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::kUnavailable);
  EXPECT_FALSE(PassFailpoint(Failpoint::kSettleBeforeCommit));
}

TEST_F(FailpointTest, APlanWithoutAPassHoldsAtEach) {
  ASSERT_TRUE(failpoint::Arm("claim.before_commit=error"));
  EXPECT_TRUE(PassFailpoint(Failpoint::kClaimBeforeCommit));
  EXPECT_TRUE(PassFailpoint(Failpoint::kClaimBeforeCommit));
}

TEST_F(FailpointTest, ASleepTakesItsTime) {
  ASSERT_TRUE(failpoint::Arm("relay.after_read=sleep:20ms@1"));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_FALSE(PassFailpoint(Failpoint::kRelayAfterRead));
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds{20});
}

using FailpointDeathTest = FailpointTest;

TEST_F(FailpointDeathTest, ACrashIsASignalThatNothingCatches) {
  ASSERT_TRUE(failpoint::Arm("relay.after_ack=crash@2"));
  EXPECT_FALSE(PassFailpoint(Failpoint::kRelayAfterAck));
  EXPECT_EXIT((void)PassFailpoint(Failpoint::kRelayAfterAck), ::testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FailpointTest, EveryFaultOfThePlansIsNamedAtOnceAndNothingIsArmed) {
  const auto armed = failpoint::Arm(
      "nowhere=crash; settle.before_commit; settle.before_commit=explode; claim.after_commit=error; "
      "relay.after_read=sleep:soon; relay.after_read=crash@0");
  ASSERT_FALSE(armed);
  for (const std::string_view part :
       {"nowhere", "has no action", "explode", "nothing can fail there", "has a duration", "has a pass"}) {
    EXPECT_NE(armed.error().message.find(part), std::string::npos) << part << ": " << armed.error().message;
  }
  EXPECT_FALSE(failpoint::internal::armed);
}

TEST_F(FailpointTest, TheEnvironmentArmsOnlyWithTheSwitch) {
  const std::vector<std::string> without = {"OUTRIDER_FAILPOINT=relay.after_read=error"};
  const auto refused = failpoint::Arm(without);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalid);
  EXPECT_FALSE(PassFailpoint(Failpoint::kRelayAfterRead));

  std::vector<std::string> with = without;
  with.emplace_back("OUTRIDER_ALLOW_FAILPOINTS=1");
  ASSERT_TRUE(failpoint::Arm(with));
  EXPECT_TRUE(PassFailpoint(Failpoint::kRelayAfterRead));
  EXPECT_TRUE(failpoint::Arm(std::vector<std::string>{"PATH=/bin"}));
}

}  // namespace
}  // namespace outrider
