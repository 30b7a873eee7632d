#include "providers/channel_limiter.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace outrider::providers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = ChannelLimiter::Time;

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

// A place whose message is answered at once.
milliseconds TakeAndUse(ChannelLimiter& limiter, Time now) {
  const milliseconds wait = limiter.TakePlace(now);
  if (wait.count() == 0) limiter.UsePlace(now);
  return wait;
}

TEST(ChannelLimiterTest, WithoutALimitEveryPlaceIsGiven) {
  ChannelLimiter limiter({});
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(TakeAndUse(limiter, At(milliseconds{0})), milliseconds{0});
}

TEST(ChannelLimiterTest, TheSixthPlaceOfASecondWaitsUntilTheFirstIsOld) {
  ChannelLimiter limiter({.per_second = 5, .per_minute = 100});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(TakeAndUse(limiter, At(milliseconds{100 * i})), milliseconds{0});
  const milliseconds wait = TakeAndUse(limiter, At(milliseconds{450}));
  EXPECT_EQ(wait, milliseconds{551});
  EXPECT_EQ(TakeAndUse(limiter, At(milliseconds{450} + wait)), milliseconds{0});
}

TEST(ChannelLimiterTest, TheHundredAndFirstPlaceOfAMinuteWaits) {
  ChannelLimiter limiter({.per_second = 0, .per_minute = 100});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(TakeAndUse(limiter, At(seconds{0})), milliseconds{0});
  EXPECT_EQ(TakeAndUse(limiter, At(seconds{20})), milliseconds{40'001});
}

TEST(ChannelLimiterTest, AskingInVainTakesNothing) {
  ChannelLimiter limiter({.per_second = 1});
  EXPECT_EQ(TakeAndUse(limiter, At(milliseconds{0})), milliseconds{0});
  for (int i = 1; i < 1000; ++i) EXPECT_GT(TakeAndUse(limiter, At(milliseconds{i})), milliseconds{0});
  EXPECT_EQ(TakeAndUse(limiter, At(milliseconds{1001})), milliseconds{0});
}

TEST(ChannelLimiterTest, AClosedLimiterGivesNothingUntilThen) {
  ChannelLimiter limiter({});
  limiter.CloseUntil(At(seconds{3}));
  limiter.CloseUntil(At(seconds{1}));
  EXPECT_EQ(TakeAndUse(limiter, At(seconds{0})), milliseconds{3000});
  EXPECT_EQ(TakeAndUse(limiter, At(seconds{3})), milliseconds{0});
}

TEST(ChannelLimiterTest, ANewLimitCountsWhatWasGivenBefore) {
  ChannelLimiter limiter({.per_second = 5, .per_minute = 100});
  for (int i = 0; i < 3; ++i) TakeAndUse(limiter, At(milliseconds{0}));
  limiter.SetLimit({.per_second = 3, .per_minute = 100});
  EXPECT_GT(TakeAndUse(limiter, At(milliseconds{10})), milliseconds{0});
}

TEST(ChannelLimiterTest, APlaceCountsUntilAWindowAfterItsAnswer) {
  ChannelLimiter limiter({.per_second = 2});
  EXPECT_EQ(limiter.TakePlace(At(milliseconds{0})), milliseconds{0});
  EXPECT_EQ(limiter.TakePlace(At(milliseconds{0})), milliseconds{0});
  EXPECT_EQ(limiter.TakePlace(At(seconds{5})), milliseconds{1001}) << "both messages are still on their way";
  limiter.UsePlace(At(seconds{6}));
  EXPECT_EQ(limiter.TakePlace(At(milliseconds{6500})), milliseconds{501});
  EXPECT_EQ(limiter.TakePlace(At(milliseconds{7001})), milliseconds{0});
  EXPECT_GT(limiter.TakePlace(At(milliseconds{7001})), milliseconds{0});
}

TEST(ChannelLimiterTest, APlaceGivenBackIsFreeAtOnce) {
  ChannelLimiter limiter({.per_second = 1});
  EXPECT_EQ(limiter.TakePlace(At(milliseconds{0})), milliseconds{0});
  limiter.GivePlaceBack();
  EXPECT_EQ(limiter.TakePlace(At(milliseconds{0})), milliseconds{0});
}

TEST(ChannelLimiterTest, LookingTellsWhatTakingWouldGiveAndTakesNothing) {
  ChannelLimiter limiter({.per_second = 5, .per_minute = 7});
  EXPECT_EQ(limiter.Look(At(seconds{0})).places, 5u);
  EXPECT_EQ(limiter.Look(At(seconds{0})).places, 5u);
  for (int i = 0; i < 4; ++i) TakeAndUse(limiter, At(seconds{0}));
  limiter.TakePlace(At(seconds{0}));
  EXPECT_EQ(limiter.Look(At(seconds{0})).places, 0u);
  EXPECT_EQ(limiter.Look(At(seconds{0})).wait, milliseconds{1001});
  EXPECT_EQ(limiter.Look(At(seconds{2})).places, 2u) << "five of the minute's seven are taken";
  limiter.CloseUntil(At(seconds{10}));
  EXPECT_EQ(limiter.Look(At(seconds{2})).places, 0u);
  EXPECT_EQ(limiter.Look(At(seconds{2})).wait, milliseconds{8000});
}

TEST(ChannelLimiterTest, ATimeBeforeTheLastOneCountsAsTheLastOne) {
  ChannelLimiter limiter({.per_second = 1});
  EXPECT_EQ(TakeAndUse(limiter, At(seconds{10})), milliseconds{0});
  EXPECT_EQ(TakeAndUse(limiter, At(seconds{1})), milliseconds{1001});
}

TEST(ChannelLimiterTest, NoWindowHoldsMoreThanTheLimitAndNoPlaceIsHeldBackForNothing) {
  const bool held = rc::check([] {
    const RateLimit limit{*rc::gen::inRange(0, 6), *rc::gen::inRange(0, 40)};
    const auto gaps = *rc::gen::container<std::vector<int>>(*rc::gen::inRange(1, 400), rc::gen::inRange(0, 700));
    ChannelLimiter limiter(limit);
    std::vector<Time> places;
    Time now = At(milliseconds{0});
    for (const int gap : gaps) {
      now += milliseconds{gap};
      const milliseconds wait = TakeAndUse(limiter, now);
      if (wait.count() == 0) {
        places.push_back(now);
      } else if (gap % 3 == 0) {
        // Who waits as long as it was told gets the place; a millisecond less is too early.
        now += wait - milliseconds{1};
        RC_ASSERT(TakeAndUse(limiter, now).count() == 1);
        now += milliseconds{1};
        RC_ASSERT(TakeAndUse(limiter, now).count() == 0);
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

TEST(ChannelLimiterTest, HoweverLongMessagesTravelTheVendorSeesNoMoreThanTheLimit) {
  const bool held = rc::check([] {
    const RateLimit limit{*rc::gen::inRange(1, 6), *rc::gen::inRange(0, 40)};
    ChannelLimiter limiter(limit);
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
        limiter.UsePlace(now);
        return true;
      });
      const std::size_t promised = limiter.Look(now).places;
      if (limiter.TakePlace(now).count() > 0) {
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

TEST(ChannelLimiterTest, ThreadsTogetherGetNoMoreThanTheLimit) {
  ChannelLimiter limiter({.per_second = 50});
  std::atomic<int> given{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        if (TakeAndUse(limiter, At(milliseconds{i % 7})).count() == 0) ++given;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(given, 50);
}

}  // namespace
}  // namespace outrider::providers
