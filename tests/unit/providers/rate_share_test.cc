#include "providers/rate_share.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

namespace outrider::providers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = RateShare::Time;

Time At(milliseconds since_start) { return Time{} + std::chrono::hours{1} + since_start; }

// The most places that any window of that length holds, its ends included.
std::size_t MostInAnyWindow(const std::vector<Time>& places, Time::duration window) {
  std::size_t most = 0;
  for (std::size_t first = 0; first < places.size(); ++first) {
    std::size_t last = first;
    while (last < places.size() && places[last] - places[first] <= window) ++last;
    most = std::max(most, last - first);
  }
  return most;
}

// Zero when a place was taken, else how long to wait.
milliseconds Take(RateShare& share, Time now) {
  const RateShare::Outlook outlook = share.Look(now);
  if (outlook.places > 0) share.Take(now);
  return outlook.wait;
}

// A place whose message is answered at once.
milliseconds TakeAndUse(RateShare& share, Time now) {
  const milliseconds wait = Take(share, now);
  if (wait.count() == 0) share.Use(now);
  return wait;
}

TEST(RateShareTest, WithoutALimitEveryPlaceIsGiven) {
  RateShare share({}, false);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(TakeAndUse(share, At(milliseconds{0})), milliseconds{0});
}

TEST(RateShareTest, TheSixthPlaceOfASecondWaitsUntilTheFirstIsOld) {
  RateShare share({.per_second = 5, .per_minute = 100}, false);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(TakeAndUse(share, At(milliseconds{100 * i})), milliseconds{0});
  const milliseconds wait = TakeAndUse(share, At(milliseconds{450}));
  EXPECT_EQ(wait, milliseconds{551});
  EXPECT_EQ(TakeAndUse(share, At(milliseconds{450} + wait)), milliseconds{0});
}

TEST(RateShareTest, TheHundredAndFirstPlaceOfAMinuteWaits) {
  RateShare share({.per_second = 0, .per_minute = 100}, false);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(TakeAndUse(share, At(seconds{0})), milliseconds{0});
  EXPECT_EQ(TakeAndUse(share, At(seconds{20})), milliseconds{40'001});
}

TEST(RateShareTest, AskingInVainTakesNothing) {
  RateShare share({.per_second = 1}, false);
  EXPECT_EQ(TakeAndUse(share, At(milliseconds{0})), milliseconds{0});
  for (int i = 1; i < 1000; ++i) EXPECT_GT(TakeAndUse(share, At(milliseconds{i})), milliseconds{0});
  EXPECT_EQ(TakeAndUse(share, At(milliseconds{1001})), milliseconds{0});
}

TEST(RateShareTest, AClosedLimiterGivesNothingUntilThen) {
  RateShare share({}, false);
  share.CloseUntil(At(seconds{3}), At(seconds{0}));
  share.CloseUntil(At(seconds{1}), At(seconds{0}));
  EXPECT_EQ(TakeAndUse(share, At(seconds{0})), milliseconds{3000});
  EXPECT_EQ(TakeAndUse(share, At(seconds{3})), milliseconds{0});
}

TEST(RateShareTest, ANewLimitCountsWhatWasGivenBefore) {
  RateShare share({.per_second = 5, .per_minute = 100}, false);
  for (int i = 0; i < 3; ++i) TakeAndUse(share, At(milliseconds{0}));
  share.SetLimit({.per_second = 3, .per_minute = 100});
  EXPECT_GT(TakeAndUse(share, At(milliseconds{10})), milliseconds{0});
}

TEST(RateShareTest, APlaceCountsUntilAWindowAfterItsAnswer) {
  RateShare share({.per_second = 2}, false);
  EXPECT_EQ(Take(share, At(milliseconds{0})), milliseconds{0});
  EXPECT_EQ(Take(share, At(milliseconds{0})), milliseconds{0});
  EXPECT_EQ(Take(share, At(seconds{5})), milliseconds{1001}) << "both messages are still on their way";
  share.Use(At(seconds{6}));
  EXPECT_EQ(Take(share, At(milliseconds{6500})), milliseconds{501});
  EXPECT_EQ(Take(share, At(milliseconds{7001})), milliseconds{0});
  EXPECT_GT(Take(share, At(milliseconds{7001})), milliseconds{0});
}

TEST(RateShareTest, APlaceGivenBackIsFreeAtOnce) {
  RateShare share({.per_second = 1}, false);
  EXPECT_EQ(Take(share, At(milliseconds{0})), milliseconds{0});
  share.GiveBack();
  EXPECT_EQ(Take(share, At(milliseconds{0})), milliseconds{0});
}

TEST(RateShareTest, LookingTellsWhatTakingWouldGiveAndTakesNothing) {
  RateShare share({.per_second = 5, .per_minute = 7}, false);
  EXPECT_EQ(share.Look(At(seconds{0})).places, 5u);
  EXPECT_EQ(share.Look(At(seconds{0})).places, 5u);
  for (int i = 0; i < 4; ++i) TakeAndUse(share, At(seconds{0}));
  Take(share, At(seconds{0}));
  EXPECT_EQ(share.Look(At(seconds{0})).places, 0u);
  EXPECT_EQ(share.Look(At(seconds{0})).wait, milliseconds{1001});
  EXPECT_EQ(share.Look(At(seconds{2})).places, 2u) << "five of the minute's seven are taken";
  share.CloseUntil(At(seconds{10}), At(seconds{2}));
  EXPECT_EQ(share.Look(At(seconds{2})).places, 0u);
  EXPECT_EQ(share.Look(At(seconds{2})).wait, milliseconds{8000});
}

TEST(RateShareTest, ATimeBeforeTheLastOneCountsAsTheLastOne) {
  RateShare share({.per_second = 1}, false);
  EXPECT_EQ(TakeAndUse(share, At(seconds{10})), milliseconds{0});
  EXPECT_EQ(TakeAndUse(share, At(seconds{1})), milliseconds{1001});
}

TEST(RateShareTest, NoWindowHoldsMoreThanTheLimitAndNoPlaceIsHeldBackForNothing) {
  const bool held = rc::check([] {
    const RateLimit limit{*rc::gen::inRange(0, 6), *rc::gen::inRange(0, 40)};
    const auto gaps = *rc::gen::container<std::vector<int>>(*rc::gen::inRange(1, 400), rc::gen::inRange(0, 700));
    RateShare share(limit, false);
    std::vector<Time> places;
    Time now = At(milliseconds{0});
    for (const int gap : gaps) {
      now += milliseconds{gap};
      const milliseconds wait = TakeAndUse(share, now);
      if (wait.count() == 0) {
        places.push_back(now);
      } else if (gap % 3 == 0) {
        // Who waits as long as it was told gets the place; a millisecond less is too early.
        now += wait - milliseconds{1};
        RC_ASSERT(TakeAndUse(share, now).count() == 1);
        now += milliseconds{1};
        RC_ASSERT(TakeAndUse(share, now).count() == 0);
        places.push_back(now);
      }
    }
    if (limit.per_second > 0) {
      RC_ASSERT(MostInAnyWindow(places, seconds{1}) <= static_cast<std::size_t>(limit.per_second));
    }
    if (limit.per_minute > 0) {
      RC_ASSERT(MostInAnyWindow(places, seconds{60}) <= static_cast<std::size_t>(limit.per_minute));
    }
  });
  EXPECT_TRUE(held);
}

TEST(RateShareTest, HoweverLongMessagesTravelTheVendorSeesNoMoreThanTheLimit) {
  const bool held = rc::check([] {
    const RateLimit limit{*rc::gen::inRange(1, 6), *rc::gen::inRange(0, 40)};
    RateShare share(limit, false);
    struct OnItsWay {
      Time seen;  // by the vendor
      Time answered;
    };
    std::vector<OnItsWay> travelling;
    std::vector<Time> seen;
    Time now = At(milliseconds{0});
    const auto steps = *rc::gen::container<std::vector<int>>(*rc::gen::inRange(1, 300), rc::gen::inRange(0, 400));
    for (const int step : steps) {
      now += milliseconds{step};
      std::erase_if(travelling, [&](const OnItsWay& message) {
        if (message.answered > now) return false;
        share.Use(now);
        return true;
      });
      const std::size_t promised = share.Look(now).places;
      if (Take(share, now).count() > 0) {
        RC_ASSERT(promised == 0u);
        continue;
      }
      RC_ASSERT(promised > 0u);
      const Time reached = now + milliseconds{*rc::gen::inRange(0, 900)};
      seen.push_back(reached);
      travelling.push_back({reached, reached + milliseconds{*rc::gen::inRange(0, 300)}});
    }
    std::sort(seen.begin(), seen.end());
    RC_ASSERT(MostInAnyWindow(seen, seconds{1}) <= static_cast<std::size_t>(limit.per_second));
    if (limit.per_minute > 0) {
      RC_ASSERT(MostInAnyWindow(seen, seconds{60}) <= static_cast<std::size_t>(limit.per_minute));
    }
  });
  EXPECT_TRUE(held);
}

TEST(RateShareTest, AClosureIsNeverLongerThanTheLongest) {
  RateShare share({}, false);
  share.CloseUntil(At(std::chrono::hours{48}), At(seconds{0}));
  EXPECT_EQ(share.Look(At(seconds{0})).wait, milliseconds(RateShare::kLongestClosure));
}

TEST(RateShareTest, SlotsFollowEachOtherAlongTheRate) {
  RateShare share({.per_second = 5, .per_minute = 100}, false);
  share.Book(10, At(seconds{0}));
  EXPECT_EQ(share.BookedFrom(), At(seconds{0}));
  share.Book(1, At(seconds{1}));
  EXPECT_EQ(share.BookedFrom(), At(seconds{6})) << "behind the ten";
}

}  // namespace
}  // namespace outrider::providers
