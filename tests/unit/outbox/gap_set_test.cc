#include "outbox/gap_set.h"

#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <set>

namespace outrider::outbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Numbers = std::vector<std::uint64_t>;

const GapSet::Time kEarly{};
const GapSet::Time kLater = kEarly + std::chrono::seconds(1);

GapSet::Gap Gap(std::uint64_t first, std::uint64_t last, GapSet::Time since = kEarly) { return {first, last, since}; }

TEST(GapSetTest, WhatLiesBetweenTheRowsIsAGap) {
  GapSet gaps;
  gaps.Saw(10, true, Numbers{11, 12, 15, 20}, kEarly);
  EXPECT_THAT(gaps.gaps(), ElementsAre(Gap(13, 14), Gap(16, 19)));
}

TEST(GapSetTest, SoIsWhatLiesBetweenThePlaceAndTheFirstRow) {
  GapSet gaps;
  gaps.Saw(10, true, Numbers{13}, kEarly);
  EXPECT_THAT(gaps.gaps(), ElementsAre(Gap(11, 12)));
}

TEST(GapSetTest, ARowThatAppearsShortensOrSplitsItsGap) {
  GapSet gaps;
  gaps.Saw(0, false, Numbers{10}, kEarly);
  for (const std::uint64_t seq : {1u, 9u, 5u, 42u}) gaps.Remove(seq);
  EXPECT_THAT(gaps.gaps(), ElementsAre(Gap(2, 4), Gap(6, 8)));
  for (const std::uint64_t seq : {2u, 3u, 4u}) gaps.Remove(seq);
  EXPECT_THAT(gaps.gaps(), ElementsAre(Gap(6, 8)));
}

TEST(GapSetTest, ANumberIsAddedOnceAndBesideItsNeighbour) {
  GapSet gaps;
  gaps.Saw(0, false, Numbers{4, 9}, kEarly);
  gaps.Add(2, kLater);
  gaps.Add(4, kLater);
  gaps.Add(20, kLater);
  EXPECT_THAT(gaps.gaps(), ElementsAre(Gap(1, 4), Gap(5, 8), Gap(20, 20, kLater)));
}

TEST(GapSetTest, WhatTheReaderGoesBackOverIsNoGap) {
  GapSet gaps;
  gaps.Saw(0, false, Numbers{5, 10}, kEarly);
  gaps.CutAbove(7);
  EXPECT_THAT(gaps.gaps(), ElementsAre(Gap(1, 4), Gap(6, 7)));
  gaps.CutAbove(5);
  EXPECT_THAT(gaps.gaps(), ElementsAre(Gap(1, 4)));
}

TEST(GapSetTest, NumbersThatAnIncrementLeavesOutAreNoGapsOnceItIsKnown) {
  GapSet gaps;
  Numbers seqs;
  for (std::uint64_t i = 1; i <= 100; ++i) seqs.push_back(7 * i);
  gaps.Saw(0, false, seqs, kEarly);
  const std::size_t before = gaps.gaps().size();
  EXPECT_LE(before, 66u);
  Numbers more;
  for (std::uint64_t i = 101; i <= 5'000; ++i) more.push_back(7 * i);
  gaps.Saw(700, true, more, kLater);
  EXPECT_THAT(gaps.gaps(), SizeIs(before));
  // A row that hasn't committed is seen all the same.
  gaps.Saw(35'000, true, Numbers{35'014}, kLater);
  EXPECT_EQ(gaps.gaps().back(), Gap(35'001, 35'013, kLater));
}

TEST(GapSetTest, ARowBetweenTheIncrementsEndsTheRule) {
  GapSet gaps;
  Numbers seqs;
  for (std::uint64_t i = 1; i <= 100; ++i) seqs.push_back(3 * i);
  gaps.Saw(0, false, seqs, kEarly);
  const std::size_t before = gaps.gaps().size();
  gaps.Saw(300, true, Numbers{301, 304}, kLater);
  EXPECT_THAT(gaps.gaps(), SizeIs(before + 1));
}

TEST(GapSetTest, ManyGapsGrowTogetherAndLoseNoNumber) {
  rc::check([] {
    GapSet gaps;
    std::set<std::uint64_t> unseen;
    std::uint64_t place = 0;
    const int batches = *rc::gen::inRange(1, 8);
    for (int i = 0; i < batches; ++i) {
      Numbers seqs;
      const auto distances = *rc::gen::container<std::vector<int>>(300, rc::gen::inRange(1, 12));
      std::uint64_t last = place;
      for (const int distance : distances) {
        for (std::uint64_t seq = last + 1; seq < last + distance; ++seq) unseen.insert(seq);
        last += distance;
        seqs.push_back(last);
      }
      gaps.Saw(place, i > 0, seqs, kEarly);
      place = last;
    }
    RC_ASSERT(gaps.gaps().size() <= GapSet::kMaxGaps);
    for (const std::uint64_t seq : unseen) RC_ASSERT(gaps.Contains(seq));
    for (const std::uint64_t seq : unseen) gaps.Remove(seq);
    for (std::size_t i = 1; i < gaps.gaps().size(); ++i) RC_ASSERT(gaps.gaps()[i - 1].last < gaps.gaps()[i].first);
  });
}

TEST(GapSetTest, AForgottenGapIsGone) {
  GapSet gaps;
  gaps.Saw(0, false, Numbers{5}, kEarly);
  gaps.Forget(Gap(1, 4));
  EXPECT_THAT(gaps.gaps(), IsEmpty());
}

}  // namespace
}  // namespace outrider::outbox
