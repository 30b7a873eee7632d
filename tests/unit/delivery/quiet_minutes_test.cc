#include "consumer/quiet_minutes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tests/support/clock/fake_clock.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Timestamp kTen = FakeClock::kDefaultStart + std::chrono::hours{10};

TEST(QuietMinutesTest, FullAndHalfHoursAreQuietAndTheRestIsnt) {
  FakeClock clock(kTen);
  for (const minutes half_hour : {minutes{0}, minutes{30}, minutes{60}}) {
    clock.Set(kTen + half_hour - kQuietBefore - milliseconds{1});
    EXPECT_FALSE(QuietDelay(clock.Now(), 1).has_value());
    clock.Advance(milliseconds{1});
    EXPECT_TRUE(QuietDelay(clock.Now(), 1).has_value());
    clock.Set(kTen + half_hour + kQuietAfter - milliseconds{1});
    EXPECT_TRUE(QuietDelay(clock.Now(), 1).has_value());
    clock.Advance(milliseconds{1});
    EXPECT_FALSE(QuietDelay(clock.Now(), 1).has_value());
  }
}

TEST(QuietMinutesTest, ARecordsTimeIsItsOwnWheneverInTheMinuteItIsLookedAt) {
  for (const std::int64_t id : {1, 2, 4711}) {
    const Timestamp due = kTen - seconds{10} + *QuietDelay(kTen - seconds{10}, id);
    EXPECT_EQ(kTen + seconds{20} + *QuietDelay(kTen + seconds{20}, id), due);
    EXPECT_GE(due, kTen + kQuietAfter);
    EXPECT_LT(due, kTen + kQuietAfter + kQuietSpread);
    EXPECT_FALSE(QuietDelay(due, id).has_value()) << "it isn't moved twice";
  }
}

TEST(QuietMinutesTest, ManyRecordsAreSpreadEvenly) {
  std::array<int, 18> each_ten_seconds{};
  for (std::int64_t id = 1'000'000; id < 1'001'800; ++id) {
    const microseconds after = *QuietDelay(kTen, id) - kQuietAfter;
    ++each_ten_seconds.at(static_cast<std::size_t>(after / seconds{10}));
  }
  EXPECT_GE(*std::ranges::min_element(each_ten_seconds), 80);
  EXPECT_LE(*std::ranges::max_element(each_ten_seconds), 120);
}

}  // namespace
}  // namespace outrider::consumer
