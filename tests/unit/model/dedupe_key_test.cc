#include "model/dedupe_key.h"

#include <string>
#include <tuple>

#include "model/text.h"
#include "tests/unit/model/property.h"

namespace outrider {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

std::string HexHash(std::string_view tenant, std::string_view channel, std::string_view key) {
  return ToHex(AsBytes(DedupeHash(tenant, channel, key)));
}

Timestamp At(std::int64_t unix_seconds) { return Timestamp{seconds{unix_seconds}}; }

// Computed apart from this code, with Python:
//   hashlib.sha256(b"".join(struct.pack(">Q", len(p)) + p for p in (tenant, channel, key))).hexdigest()
TEST(DedupeHashTest, IsSha256OverLengthPrefixedParts) {
  EXPECT_EQ(HexHash("default", "ops-alerts", "order-1"),
            "80a0b4d754d44eb0aa1775bd1a28ad02a5c8574278f7265f77f8f1f624fa44a8");
  EXPECT_EQ(HexHash("acme", "feishu", "7:important_urgent_task:987525"),
            "3f1c21aecc947b77d6c06012e20284a1eec21cf8224d25d04ebf551105038868");
  EXPECT_EQ(HexHash("", "", ""), "9d908ecfb6b256def8b49a7c504e6c889c4b0e41fe6ce3e01863dd7b61a20aa0");
}

// What MySQL's and MariaDB's collations would merge.
TEST(DedupeHashTest, KeysThatACollationMergesStayApart) {
  EXPECT_EQ(HexHash("default", "ops-alerts", "Order-1"),
            "1176dd9981645698e204f068ebeeb5a42d3d7ead51d0a8700506c3bf3a977ff3");
  EXPECT_EQ(HexHash("default", "ops-alerts", "e"), "2f1b6c9253f8c8d83f059597e4de3305c0dc3703aa4dbbda3e5fcd22732ade58");
  EXPECT_EQ(HexHash("default", "ops-alerts", "é"), "4b606e4fd019eb1fc843a20e0f8ebbfd3f52f011637091e54c439ebbf047210e");
  EXPECT_EQ(HexHash("default", "ops-alerts", "🎉"), "aefa5e6b19b9847dcd5832a414090a1bd4e3a4d27dd01c5fce0aa68e04c51c92");
  EXPECT_EQ(HexHash("default", "ops-alerts", "🔥"), "045b332cee2b3e45fa1959970b9c529ecdcac7863744286c938bbe4c7b3e74ae");
}

TEST(DedupeHashTest, APartsBorderIsPartOfTheHash) {
  EXPECT_EQ(HexHash("a", "bc", "d"), "5f57d28dfd0ca19a2024a5c7e99508c5c479adac47d802042b37a4cf78a7a205");
  EXPECT_EQ(HexHash("ab", "c", "d"), "4070bba141c4f302eb7095518b8bfd1e8e6b7bd4f6dae5c6d7d28d27d8602994");
}

TEST(DedupeHashTest, TheKeyIsTrimmedTheOtherPartsAreNot) {
  EXPECT_EQ(DedupeHash("t", "c", "\u3000 order-1\u00a0\n"), DedupeHash("t", "c", "order-1"));
  EXPECT_NE(DedupeHash("t", "c", "order 1"), DedupeHash("t", "c", "order1"));
  EXPECT_NE(DedupeHash("t ", "c", "order-1"), DedupeHash("t", "c", "order-1"));
  EXPECT_NE(DedupeHash("t", " c", "order-1"), DedupeHash("t", "c", "order-1"));
}

TEST(OrderingHashTest, TakesTheKeyAsItIs) {
  EXPECT_EQ(OrderingHash("t", "c", "k"), OrderingHash("t", "c", "k"));
  EXPECT_EQ(OrderingHash("t", "c", "k"), DedupeHash("t", "c", "k"));
  EXPECT_NE(OrderingHash("t", "c", "k "), OrderingHash("t", "c", "k"));
  EXPECT_NE(OrderingHash("t", "ck", ""), OrderingHash("t", "c", "k"));
  EXPECT_NE(OrderingHash("tc", "", "k"), OrderingHash("t", "c", "k"));
}

TEST(DedupeHashTest, DifferentTriplesHaveDifferentHashes) {
  ExpectProperty([] {
    const auto a = std::tuple(*GenText(), *GenText(), *GenText());
    const auto b = std::tuple(*GenText(), *GenText(), *GenText());
    const auto trimmed = [](const auto& triple) {
      return std::tuple(std::get<0>(triple), std::get<1>(triple), std::string(TrimSpace(std::get<2>(triple))));
    };
    RC_ASSERT((std::apply(DedupeHash, a) == std::apply(DedupeHash, b)) == (trimmed(a) == trimmed(b)));
  });
}

// SmartFlow's own values: 2026-04-30T18:53:11+08:00, half an hour.
TEST(DedupeKeyBuilderTest, TheGoldenValuesHold) {
  const Timestamp at = At(1'777'546'391);
  EXPECT_EQ(ParseRfc3339("2026-04-30T18:53:11+08:00"), at);
  EXPECT_EQ(TumblingWindowKey(7, "important_urgent_task", at, minutes{30}), "7:important_urgent_task:987525");
  EXPECT_EQ(TruncatedTimeKey(7, "important_urgent_task", at, minutes{30}, minutes{8 * 60}),
            "7:important_urgent_task:2026-04-30T18:30:00+08:00");
}

// Keys of the same instant are the same, wherever it was written.
TEST(DedupeKeyBuilderTest, ATruncatedTimeIsInUtcUnlessAskedOtherwise) {
  const auto in_china = *ParseRfc3339("2026-04-30T18:53:11+08:00");
  const auto in_utc = *ParseRfc3339("2026-04-30T10:53:11Z");
  EXPECT_EQ(TruncatedTimeKey(7, "t", in_china, minutes{30}), "7:t:2026-04-30T10:30:00Z");
  EXPECT_EQ(TruncatedTimeKey(7, "t", in_utc, minutes{30}), "7:t:2026-04-30T10:30:00Z");
}

TEST(DedupeKeyBuilderTest, AnOffsetMayBeWestOrHalfAnHour) {
  const Timestamp at = At(1'777'546'391);
  EXPECT_EQ(TruncatedTimeKey(7, "t", at, minutes{30}, minutes{-210}), "7:t:2026-04-30T07:00:00-03:30");
  EXPECT_EQ(TruncatedTimeKey(7, "t", at, minutes{30}, minutes{330}), "7:t:2026-04-30T16:00:00+05:30");
}

// Go's Truncate counts from year 1, a Monday; 1970 began on a Thursday. 2026-04-27 is a Monday.
TEST(DedupeKeyBuilderTest, AWeekBeginsOnMondayForBAndOnThursdayForA) {
  const Timestamp at = At(1'777'546'391);
  constexpr seconds kWeek = std::chrono::days{7};
  EXPECT_EQ(TruncatedTimeKey(7, "t", at, kWeek), "7:t:2026-04-27T00:00:00Z");
  EXPECT_EQ(TumblingWindowKey(7, "t", at, kWeek), "7:t:2939");  // 2939 * 604800 s = 2026-04-30T00:00:00Z, a Thursday
}

TEST(DedupeKeyBuilderTest, AWindowTumblesAndDoesNotSlide) {
  const Timestamp start = At(1'777'545'000);  // 10:30:00
  EXPECT_EQ(TumblingWindowKey(7, "t", start, minutes{30}),
            TumblingWindowKey(7, "t", start + minutes{30} - std::chrono::microseconds{1}, minutes{30}));
  EXPECT_NE(TumblingWindowKey(7, "t", start, minutes{30}), TumblingWindowKey(7, "t", start + minutes{30}, minutes{30}));
  EXPECT_NE(TumblingWindowKey(7, "t", start, minutes{30}),
            TumblingWindowKey(7, "t", start - std::chrono::microseconds{1}, minutes{30}));
}

TEST(DedupeKeyBuilderTest, TheTypeIsTrimmed) {
  const Timestamp at = At(1'777'546'391);
  EXPECT_EQ(TumblingWindowKey(7, " t\u3000", at, minutes{30}), "7:t:987525");
  EXPECT_EQ(TruncatedTimeKey(7, " t\u3000", at, minutes{30}), "7:t:2026-04-30T10:30:00Z");
}

TEST(DedupeKeyBuilderTest, WithoutUserTypeTimeOrWindowThereIsNoKey) {
  const Timestamp at = At(1'777'546'391);
  for (const auto& build : {+[](long long user, std::string_view type, Timestamp time, seconds window) {
                              return TumblingWindowKey(user, type, time, window);
                            },
                            +[](long long user, std::string_view type, Timestamp time, seconds window) {
                              return TruncatedTimeKey(user, type, time, window);
                            }}) {
    EXPECT_NE(build(7, "t", at, seconds{1}), "");
    EXPECT_EQ(build(0, "t", at, minutes{30}), "");
    EXPECT_EQ(build(-7, "t", at, minutes{30}), "");
    EXPECT_EQ(build(7, "", at, minutes{30}), "");
    EXPECT_EQ(build(7, " \u3000\t", at, minutes{30}), "");
    EXPECT_EQ(build(7, "t", Timestamp{}, minutes{30}), "");
    EXPECT_EQ(build(7, "t", at, seconds{0}), "");
    EXPECT_EQ(build(7, "t", at, seconds{-1}), "");
  }
}

TEST(DedupeKeyBuilderTest, ATimeBefore1970BelongsToTheWindowThatBeganBeforeIt) {
  EXPECT_EQ(TumblingWindowKey(7, "t", At(-1), minutes{30}), "7:t:-1");
  EXPECT_EQ(TruncatedTimeKey(7, "t", At(-1), minutes{30}), "7:t:1969-12-31T23:30:00Z");
}

TEST(DedupeKeyBuilderTest, InstantsShareAKeyExactlyWhenTheyShareAWindow) {
  ExpectProperty([] {
    const std::int64_t window = *rc::gen::inRange(1, 100'000);
    const std::int64_t first = *rc::gen::inRange<std::int64_t>(1, 4'000'000'000);
    const std::int64_t second = first + *rc::gen::inRange(0, 200'000);
    RC_ASSERT((TumblingWindowKey(7, "t", At(first), seconds{window}) ==
               TumblingWindowKey(7, "t", At(second), seconds{window})) == (first / window == second / window));
    // 62135596800 s lie between year 1 and 1970.
    constexpr std::int64_t kYearOne = 62'135'596'800;
    RC_ASSERT((TruncatedTimeKey(7, "t", At(first), seconds{window}) ==
               TruncatedTimeKey(7, "t", At(second), seconds{window})) ==
              ((first + kYearOne) / window == (second + kYearOne) / window));
  });
}

}  // namespace
}  // namespace outrider
