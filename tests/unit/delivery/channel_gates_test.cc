#include "consumer/channel_gates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace outrider::consumer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Sign = ChannelGates::Sign;
using Time = ChannelGates::Time;

constexpr Time kNow = Time{} + std::chrono::hours{1};
constexpr double kNoJitter = 0.5;

void Start(ChannelGates& gates, std::string_view channel, int count) {
  for (int i = 0; i < count; ++i) gates.Started(channel, false);
}
milliseconds Answer(ChannelGates& gates, Sign sign, bool probe = false, Time now = kNow) {
  return gates.Answered("a", probe, sign, "why", std::nullopt, now, kNoJitter);
}

TEST(ChannelGatesTest, AChannelAloneHasAllPlaces) {
  ChannelGates gates(100);
  EXPECT_EQ(gates.Look("a", kNow).places, 100u);
  Start(gates, "a", 60);
  EXPECT_EQ(gates.Look("a", kNow).places, 40u);
}

TEST(ChannelGatesTest, AChannelHasHalfOfWhatTheOthersLeaveAndNeverNothing) {
  ChannelGates gates(100);
  gates.SetChannels(3);
  EXPECT_EQ(gates.Look("a", kNow).places, 50u);
  Start(gates, "a", 50);
  EXPECT_EQ(gates.Look("a", kNow).places, 0u);
  EXPECT_EQ(gates.Look("b", kNow).places, 25u);
  Start(gates, "b", 25);
  Start(gates, "c", 25);
  EXPECT_EQ(gates.Look("d", kNow).places, 4u);
}

TEST(ChannelGatesTest, AnAnswerThatBlamesTheChannelHoldsItUntilAProbeSucceeds) {
  ChannelGates gates(100);
  Start(gates, "a", 3);
  EXPECT_EQ(Answer(gates, Sign::kDown), ChannelGates::kFirstHold);
  EXPECT_EQ(gates.Look("a", kNow).places, 0u);
  EXPECT_EQ(gates.Look("a", kNow).opens_at, kNow + ChannelGates::kFirstHold);
  EXPECT_THAT(gates.Held(), ElementsAre(::testing::Pair("a", "why")));

  const Time later = kNow + ChannelGates::kFirstHold;
  EXPECT_EQ(gates.Look("a", later).places, 1u);
  EXPECT_TRUE(gates.Look("a", later).probe);
  gates.Started("a", true);
  EXPECT_EQ(gates.Look("a", later).places, 0u) << "one at a time";
  EXPECT_EQ(Answer(gates, Sign::kWorks, true, later), milliseconds{0});
  EXPECT_FALSE(gates.IsHeld("a"));
  EXPECT_THAT(gates.Held(), IsEmpty());
}

TEST(ChannelGatesTest, AWaveOfBadAnswersIsOneHoldAndEachFailedProbeDoublesIt) {
  ChannelGates gates(100);
  Start(gates, "a", 10);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Answer(gates, Sign::kDown), seconds{5});
  Time now = kNow;
  for (const int expected : {10, 20, 40, 80, 160, 300, 300}) {
    now = *gates.Look("a", now).opens_at;
    gates.Started("a", true);
    EXPECT_EQ(Answer(gates, Sign::kDown, true, now), seconds{expected});
  }
}

TEST(ChannelGatesTest, AProbeThatSaysNothingOfTheChannelKeepsItHeld) {
  ChannelGates gates(100);
  Start(gates, "a", 1);
  Answer(gates, Sign::kDown);
  const Time later = kNow + seconds{5};
  gates.Started("a", true);
  EXPECT_EQ(Answer(gates, Sign::kUnclear, true, later), seconds{10});
  EXPECT_TRUE(gates.IsHeld("a"));
}

TEST(ChannelGatesTest, AProbeThatCameToNothingMakesRoomForAnother) {
  ChannelGates gates(100);
  Start(gates, "a", 1);
  Answer(gates, Sign::kDown);
  const Time later = kNow + seconds{5};
  gates.Started("a", true);
  gates.Ended("a", true);
  EXPECT_EQ(gates.Look("a", later).places, 1u);
}

TEST(ChannelGatesTest, AFaultOfTheMomentHoldsNobody) {
  ChannelGates gates(100);
  Start(gates, "a", 1);
  EXPECT_EQ(Answer(gates, Sign::kUnclear), milliseconds{0});
  EXPECT_FALSE(gates.IsHeld("a"));
  EXPECT_EQ(gates.in_flight(), 0u);
}

TEST(ChannelGatesTest, AVendorsHintIsTheLeastHold) {
  ChannelGates gates(100);
  Start(gates, "a", 1);
  EXPECT_EQ(gates.Answered("a", false, Sign::kThrottled, "why", seconds{40}, kNow, kNoJitter), seconds{40});
  EXPECT_EQ(gates.Look("a", kNow).opens_at, kNow + seconds{40});
}

}  // namespace
}  // namespace outrider::consumer
