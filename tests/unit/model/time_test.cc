#include "model/time.h"

#include <limits>

#include "tests/support/clock/fake_clock.h"
#include "tests/unit/model/property.h"

namespace outrider {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Timestamp Micros(std::int64_t since_epoch) { return Timestamp{microseconds{since_epoch}}; }

constexpr std::int64_t kLastMicros = 253'402'300'799'999'999;  // 9999-12-31T23:59:59.999999Z

TEST(Rfc3339Test, ATimeIsWrittenInUtcWithMicrosecondsWhenThereAreAny) {
  EXPECT_EQ(FormatRfc3339(Micros(1'795'497'101'436'563)), "2026-11-24T05:11:41.436563Z");
  EXPECT_EQ(FormatRfc3339(Micros(1'795'497'101'000'000)), "2026-11-24T05:11:41Z");
  EXPECT_EQ(FormatRfc3339(Micros(1'795'497'101'000'001)), "2026-11-24T05:11:41.000001Z");
  EXPECT_EQ(FormatRfc3339(Timestamp{}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatRfc3339(Micros(kLastMicros)), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(FormatRfc3339(Micros(-1)), "1969-12-31T23:59:59.999999Z");
}

TEST(Rfc3339Test, EveryOffsetIsReadAndTurnedIntoUtc) {
  const auto expected = Micros(1'777'546'391'000'000);
  for (const char* text :
       {"2026-04-30T10:53:11Z", "2026-04-30T18:53:11+08:00", "2026-04-30t10:53:11z", "2026-04-30T07:23:11-03:30",
        "2026-05-01T10:52:11+23:59", "2026-04-30T10:53:11-00:00", "2026-04-30T10:53:11.000000000Z"}) {
    EXPECT_EQ(ParseRfc3339(text), expected) << text;
  }
}

TEST(Rfc3339Test, AFractionHasOneToNineDigitsAndIsCutToMicroseconds) {
  const auto second = Micros(1'777'546'391'000'000);
  EXPECT_EQ(ParseRfc3339("2026-04-30T10:53:11.5Z"), second + microseconds{500'000});
  EXPECT_EQ(ParseRfc3339("2026-04-30T10:53:11.000001Z"), second + microseconds{1});
  EXPECT_EQ(ParseRfc3339("2026-04-30T10:53:11.123456789Z"), second + microseconds{123'456});
  EXPECT_EQ(ParseRfc3339("2026-04-30T10:53:11.999999999+00:00"), second + microseconds{999'999});
  EXPECT_EQ(ParseRfc3339("2026-04-30T10:53:11.Z"), std::nullopt);
  EXPECT_EQ(ParseRfc3339("2026-04-30T10:53:11.1234567890Z"), std::nullopt);
}

TEST(Rfc3339Test, NothingElseIsATime) {
  for (const char* text : {"",
                           "2026-04-30",
                           "2026-04-30T10:53:11",
                           "2026-04-30 10:53:11Z",
                           "2026-04-30T10:53Z",
                           "20260430T105311Z",
                           "2026-04-30T10:53:11+0800",
                           "2026-04-30T10:53:11+8:00",
                           "2026-04-30T10:53:11+24:00",
                           "2026-04-30T10:53:11+08:60",
                           "2026-04-30T24:00:00Z",
                           "2026-04-30T10:60:00Z",
                           "2026-06-30T23:59:60Z",
                           "2026-02-29T00:00:00Z",
                           "2026-04-31T00:00:00Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-01T00:00:00Z",
                           "2026-01-00T00:00:00Z",
                           " 2026-04-30T10:53:11Z",
                           "2026-04-30T10:53:11Z ",
                           "2026-04-30T10:53:11ZZ",
                           "+2026-04-30T10:53:11Z",
                           "2026-04-30T10:53:11,5Z",
                           "2026-04-30T1０:53:11Z",
                           "now",
                           "1777546391"}) {
    EXPECT_EQ(ParseRfc3339(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseRfc3339(std::string_view("2026-04-30T10:53:11Z\0", 21)), std::nullopt);
}

TEST(Rfc3339Test, LeapDaysExistWhereTheCalendarHasThem) {
  EXPECT_TRUE(ParseRfc3339("2024-02-29T00:00:00Z"));
  EXPECT_TRUE(ParseRfc3339("2000-02-29T00:00:00Z"));
  EXPECT_FALSE(ParseRfc3339("2100-02-29T00:00:00Z"));
}

TEST(Rfc3339Test, TheYearsAre1970To9999InUtcAndAsWritten) {
  EXPECT_EQ(ParseRfc3339("1970-01-01T00:00:00Z"), Timestamp{});
  EXPECT_FALSE(ParseRfc3339("1969-12-31T23:59:59.999999Z"));
  EXPECT_FALSE(ParseRfc3339("1969-12-31T23:59:59-01:00"));
  EXPECT_FALSE(ParseRfc3339("1970-01-01T00:00:00+00:01"));
  EXPECT_EQ(ParseRfc3339("9999-12-31T23:59:59.999999Z"), Micros(kLastMicros));
  EXPECT_FALSE(ParseRfc3339("9999-12-31T23:59:59-00:01"));
  EXPECT_FALSE(ParseRfc3339("0000-01-01T00:00:00Z"));
}

TEST(Rfc3339Test, WhatIsWrittenIsReadBack) {
  ExpectProperty([] {
    const Timestamp time = Micros(*rc::gen::inRange<std::int64_t>(0, kLastMicros + 1));
    RC_ASSERT(ParseRfc3339(FormatRfc3339(time)) == time);
    RC_ASSERT(ParseSqlTime(FormatSqlTime(time)) == time);
  });
}

TEST(Rfc3339Test, AnyBytesAreReadOrRefused) {
  ExpectProperty([] {
    std::string text = FormatRfc3339(Micros(*rc::gen::inRange<std::int64_t>(0, kLastMicros + 1)));
    text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
    const auto time = ParseRfc3339(text);
    if (time) RC_ASSERT(ParseRfc3339(FormatRfc3339(*time)) == time);
  });
}

TEST(SqlTimeTest, ATimeIsWrittenWithSixDigitsAlways) {
  EXPECT_EQ(FormatSqlTime(Micros(1'795'497'101'436'563)), "2026-11-24 05:11:41.436563");
  EXPECT_EQ(FormatSqlTime(Timestamp{}), "1970-01-01 00:00:00.000000");
}

TEST(SqlTimeTest, ColumnsOfAnyPrecisionAreRead) {
  const auto second = Micros(1'795'497'101'000'000);
  EXPECT_EQ(ParseSqlTime("2026-11-24 05:11:41"), second);
  EXPECT_EQ(ParseSqlTime("2026-11-24 05:11:41.4"), second + microseconds{400'000});
  EXPECT_EQ(ParseSqlTime("2026-11-24 05:11:41.436563"), second + microseconds{436'563});
  EXPECT_EQ(ParseSqlTime("2000-01-01 00:00:00"), Micros(946'684'800'000'000));
}

TEST(SqlTimeTest, ZeroDatesAndOtherTextsAreNoTime) {
  for (const char* text : {"0000-00-00 00:00:00", "2026-00-01 00:00:00", "2026-11-24", "2026-11-24T05:11:41",
                           "2026-11-24 05:11:41.", "2026-11-24 05:11:41.1234567", "2026-11-24 05:11:41Z", ""}) {
    EXPECT_EQ(ParseSqlTime(text), std::nullopt) << text;
  }
}

TEST(DurationTest, UnitsStandOnceTheLongestFirst) {
  EXPECT_EQ(ParseDuration("0s"), milliseconds{0});
  EXPECT_EQ(ParseDuration("250ms"), milliseconds{250});
  EXPECT_EQ(ParseDuration("5m"), minutes{5});
  EXPECT_EQ(ParseDuration("72h"), hours{72});
  EXPECT_EQ(ParseDuration("1h30m"), minutes{90});
  EXPECT_EQ(ParseDuration("1d2h3m4s5ms"), hours{26} + minutes{3} + seconds{4} + milliseconds{5});
  EXPECT_EQ(ParseDuration("90m"), minutes{90});
  EXPECT_EQ(ParseDuration("1m1ms"), minutes{1} + milliseconds{1});
  EXPECT_EQ(ParseDuration("007s"), seconds{7});
}

TEST(DurationTest, NothingElseIsADuration) {
  for (const char* text :
       {"",     "5",     "m",    "5 m",   " 5m",  "5m ",    "-5m", "+5m", "1.5h", "5M",
        "5min", "30m1h", "5m5m", "1ms1s", "5m30", "1h,30m", "1w",  "5µs", "５m",  "99999999999999999999d"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
}

TEST(DurationTest, AHundredYearsAreTheLongest) {
  EXPECT_EQ(ParseDuration("36500d"), days{36'500});
  EXPECT_EQ(ParseDuration("36500d1ms"), std::nullopt);
  EXPECT_EQ(ParseDuration("36501d"), std::nullopt);
  EXPECT_EQ(ParseDuration("876000h"), days{36'500});
  EXPECT_EQ(ParseDuration("3153600000000ms"), days{36'500});
  EXPECT_EQ(ParseDuration("3153600000001ms"), std::nullopt);
}

TEST(DurationTest, TheShortestTextIsWritten) {
  EXPECT_EQ(FormatDuration(milliseconds{0}), "0s");
  EXPECT_EQ(FormatDuration(hours{72}), "3d");
  EXPECT_EQ(FormatDuration(minutes{90}), "1h30m");
  EXPECT_EQ(FormatDuration(milliseconds{1'001}), "1s1ms");
  EXPECT_EQ(FormatDuration(-minutes{5}), "-5m");
  EXPECT_EQ(FormatDuration(milliseconds::min()), "-106751991167d7h12m55s808ms");
}

TEST(DurationTest, WhatIsWrittenIsReadBack) {
  ExpectProperty([] {
    const milliseconds duration{*rc::gen::inRange<std::int64_t>(0, milliseconds{days{36'500}}.count() + 1)};
    RC_ASSERT(ParseDuration(FormatDuration(duration)) == duration);
  });
}

TEST(SystemClockTest, TellsThisCenturysTimeAndNeverGoesBack) {
  const SystemClock clock;
  const auto steady = clock.SteadyNow();
  EXPECT_GT(clock.Now(), *ParseRfc3339("2025-01-01T00:00:00Z"));
  EXPECT_LT(clock.Now(), *ParseRfc3339("2125-01-01T00:00:00Z"));
  EXPECT_GE(clock.SteadyNow(), steady);
}

TEST(FakeClockTest, MovesOnlyWhenMoved) {
  FakeClock clock;
  EXPECT_EQ(clock.Now(), FakeClock::kDefaultStart);
  const auto steady = clock.SteadyNow();
  EXPECT_GT(steady.time_since_epoch(), seconds{0});
  clock.Advance(minutes{5});
  EXPECT_EQ(clock.Now(), FakeClock::kDefaultStart + minutes{5});
  EXPECT_EQ(clock.SteadyNow(), steady + minutes{5});
}

TEST(FakeClockTest, SettingItBackLeavesSteadyTimeWhereItIs) {
  FakeClock clock(Micros(1'000'000));
  const auto steady = clock.SteadyNow();
  clock.Set(Micros(0));
  EXPECT_EQ(clock.Now(), Micros(0));
  EXPECT_EQ(clock.SteadyNow(), steady);
  clock.Set(Micros(500'000));
  EXPECT_EQ(clock.SteadyNow(), steady + milliseconds{500});
}

}  // namespace
}  // namespace outrider
