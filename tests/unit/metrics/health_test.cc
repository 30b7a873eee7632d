#include "metrics/health.h"

#include <gtest/gtest.h>

namespace outrider {
namespace {

using std::chrono::milliseconds;

class SteppedClock final : public Clock {
 public:
  Timestamp Now() const override { return Timestamp{}; }
  std::chrono::steady_clock::time_point SteadyNow() const override { return now_; }
  void Pass(milliseconds time) { now_ += time; }

 private:
  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
};

class HealthTest : public ::testing::Test {
 protected:
  SteppedClock clock_;
  Health health_{clock_};
};

TEST_F(HealthTest, ALoopThatBeatsInTimeIsNotSilent) {
  health_.AddLoop("relay shop", milliseconds(100));
  clock_.Pass(milliseconds(90));
  health_.Beat("relay shop");
  clock_.Pass(milliseconds(90));
  EXPECT_TRUE(health_.SilentLoops().empty());
}

TEST_F(HealthTest, ALoopThatDoesNotKeepItsPromiseIsNamed) {
  health_.AddLoop("relay shop", milliseconds(100));
  health_.AddLoop("scanner", milliseconds(500));
  clock_.Pass(milliseconds(101));
  EXPECT_EQ(health_.SilentLoops(), std::vector<std::string>{"relay shop"});
}

TEST_F(HealthTest, ARemovedLoopOwesNothing) {
  health_.AddLoop("relay shop", milliseconds(100));
  health_.RemoveLoop("relay shop");
  health_.Beat("relay shop");
  clock_.Pass(milliseconds(1000));
  EXPECT_TRUE(health_.SilentLoops().empty());
}

TEST_F(HealthTest, NothingIsReadyBeforeItSaysSo) {
  EXPECT_FALSE(health_.ready());
  EXPECT_EQ(health_.why_not_ready(), "starting");
  health_.SetReady(true);
  EXPECT_TRUE(health_.ready());
  EXPECT_EQ(health_.why_not_ready(), "");
  health_.SetReady(false, "tables are missing");
  EXPECT_EQ(health_.why_not_ready(), "tables are missing");
}

TEST_F(HealthTest, APartThatDeliversNothingLeavesTheProcessReady) {
  health_.SetReady(true);
  health_.SetPart("relay shop", false, "waits: broker away for 12 s");
  EXPECT_TRUE(health_.ready());
  EXPECT_FALSE(health_.parts().at("relay shop").delivers);
  EXPECT_EQ(health_.parts().at("relay shop").words, "waits: broker away for 12 s");
}

}  // namespace
}  // namespace outrider
