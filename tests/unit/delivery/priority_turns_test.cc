#include "consumer/priority_turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace outrider::consumer {
namespace {

using ::testing::ElementsAre;
using Counts = PriorityTurns::Counts;

TEST(PriorityTurnsTest, HighGoesFirst) {
  PriorityTurns turns;
  EXPECT_THAT(turns.Share({3, 5, 5}, 4), ElementsAre(3, 1, 0));
}

TEST(PriorityTurnsTest, WhoWasPassedOverEightTimesHasItsTurn) {
  PriorityTurns turns;
  EXPECT_THAT(turns.Share({100, 0, 100}, 9), ElementsAre(8, 0, 1));
  EXPECT_THAT(turns.Share({100, 100, 100}, 80), ElementsAre(64, 8, 8));
}

TEST(PriorityTurnsTest, TurnsAreRememberedFromOneLookToTheNext) {
  PriorityTurns turns;
  std::size_t low = 0;
  for (int i = 0; i < 27; ++i) low += turns.Share({1, 0, 1}, 1)[2];
  EXPECT_EQ(low, 3u);
}

TEST(PriorityTurnsTest, NoPlaceIsWastedAndNobodyGetsMoreThanWaits) {
  const bool held = rc::check([] {
    PriorityTurns turns;
    for (int round = 0; round < 20; ++round) {
      const Counts waiting = {*rc::gen::inRange<std::size_t>(0, 10), *rc::gen::inRange<std::size_t>(0, 10),
                              *rc::gen::inRange<std::size_t>(0, 10)};
      const std::size_t places = *rc::gen::inRange<std::size_t>(0, 40);
      const Counts taken = turns.Share(waiting, places);
      for (std::size_t i = 0; i < 3; ++i) RC_ASSERT(taken[i] <= waiting[i]);
      RC_ASSERT(taken[0] + taken[1] + taken[2] == std::min(places, waiting[0] + waiting[1] + waiting[2]));
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace outrider::consumer
