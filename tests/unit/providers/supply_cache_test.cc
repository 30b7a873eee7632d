#include "providers/supply_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/clock/fake_clock.h"

namespace outrider::providers {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SupplyCacheTest : public ::testing::Test {
 protected:
  SupplyCache::Waiter Note() {
    return [this](const SupplyReading& reading) {
      const auto* supply = std::get_if<Supply>(&reading);
      came_.push_back(supply != nullptr ? supply->value.Reveal() : std::get<SendOutcome>(reading).reason);
    };
  }
  SupplyCache::Look Get(const std::string& key = "token") { return cache_.Get(key, Note()); }
  void Bring(const std::string& value, seconds life = seconds{100}, seconds fresh = seconds{60}) {
    cache_.Settle("token", Supply{.value = Secret(value), .life = life, .fresh = fresh});
  }
  void Fail(const std::string& reason, const std::string& key = "token") {
    SendOutcome outcome;
    outcome.reason = reason;
    cache_.Settle(key, outcome);
  }
  static std::string Shown(const SupplyCache::Look& look) {
    return (look.value ? look.value->Reveal() : std::string("waits")) + (look.fetch ? ", fetches" : "");
  }

  FakeClock clock_;
  SupplyCache cache_{clock_, 3};
  std::vector<std::string> came_;
};

TEST_F(SupplyCacheTest, OfAllThatAskAtTheSameTimeOneFetches) {
  EXPECT_EQ(Shown(Get()), "waits, fetches");
  EXPECT_EQ(Shown(Get()), "waits");
  EXPECT_EQ(Shown(Get()), "waits");
  Bring("a");
  EXPECT_THAT(came_, ElementsAre("a", "a", "a"));
  EXPECT_EQ(Shown(Get()), "a");
}

TEST_F(SupplyCacheTest, WhatCouldntBeFetchedIsToldToAllWhoWaitAndIsFetchedByTheNext) {
  Get();
  Get();
  Fail("timeout");
  EXPECT_THAT(came_, ElementsAre("timeout", "timeout"));
  EXPECT_EQ(cache_.size(), 0u);
  EXPECT_EQ(Shown(Get()), "waits, fetches");
}

TEST_F(SupplyCacheTest, ItIsRenewedBeforeItEndsByOneWhileAllGoOnWithIt) {
  Get();
  Bring("old");
  clock_.Advance(seconds{59});
  EXPECT_EQ(Shown(Get()), "old");
  clock_.Advance(seconds{1});
  EXPECT_EQ(Shown(Get()), "old, fetches");
  EXPECT_EQ(Shown(Get()), "old");
  Bring("new");
  EXPECT_EQ(Shown(Get()), "new");
  EXPECT_THAT(came_, ElementsAre("old")) << "nobody waited";
}

TEST_F(SupplyCacheTest, AFailedRenewalLeavesTheOldOneInUseAndIsTriedAgainLater) {
  Get();
  Bring("old");
  clock_.Advance(seconds{60});
  EXPECT_EQ(Shown(Get()), "old, fetches");
  Fail("connect_failed");
  EXPECT_EQ(Shown(Get()), "old");
  clock_.Advance(SupplyCache::kRenewAgain);
  EXPECT_EQ(Shown(Get()), "old, fetches");
  clock_.Advance(seconds{10});
  EXPECT_EQ(Shown(Get()), "waits") << "it has ended, and is being fetched";
  Bring("new");
  EXPECT_EQ(Shown(Get()), "new");
}

TEST_F(SupplyCacheTest, AfterItsEndItIsGone) {
  Get();
  Bring("old");
  clock_.Advance(seconds{100});
  EXPECT_EQ(Shown(Get()), "waits, fetches");
}

TEST_F(SupplyCacheTest, AWallClockSetBackDoesntLengthenItsLife) {
  Get();
  Bring("old");
  clock_.Advance(seconds{99});
  clock_.Set(FakeClock::kDefaultStart);
  clock_.Advance(seconds{1});
  EXPECT_EQ(Shown(Get()), "waits, fetches");
}

TEST_F(SupplyCacheTest, WhoIsLateWithAnOldOneDoesntDropTheNewOne) {
  Get();
  Bring("old");
  cache_.Drop("token", Secret("old"));
  EXPECT_EQ(Shown(Get()), "waits, fetches");
  cache_.Drop("token", Secret("old"));
  EXPECT_EQ(Shown(Get()), "waits") << "the fetch goes on";
  Bring("new");
  cache_.Drop("token", Secret("old"));
  EXPECT_EQ(Shown(Get()), "new");
}

TEST_F(SupplyCacheTest, WhatIsDroppedWhileItIsRenewedIsntGivenToAnybody) {
  Get();
  Bring("old");
  clock_.Advance(seconds{60});
  EXPECT_EQ(Shown(Get()), "old, fetches");
  cache_.Drop("token", Secret("old"));
  came_.clear();
  EXPECT_EQ(Shown(Get()), "waits");
  Fail("timeout");
  EXPECT_THAT(came_, ElementsAre("timeout"));
  EXPECT_EQ(Shown(Get()), "waits, fetches");
}

TEST_F(SupplyCacheTest, KeysDontKnowOfEachOther) {
  Get("a");
  EXPECT_EQ(Shown(Get("b")), "waits, fetches");
  Fail("timeout", "a");
  EXPECT_THAT(came_, ElementsAre("timeout"));
}

TEST_F(SupplyCacheTest, OfWhatNobodyWaitsForWhatEndsFirstMakesRoom) {
  for (const auto& [key, life] : {std::pair{"a", 30}, std::pair{"b", 10}, std::pair{"c", 20}}) {
    cache_.Get(key, Note());
    cache_.Settle(key, Supply{.value = Secret(key), .life = seconds{life}, .fresh = seconds{life}});
  }
  EXPECT_EQ(Shown(Get("d")), "waits, fetches");
  EXPECT_EQ(cache_.size(), 3u);
  EXPECT_EQ(Shown(Get("a")), "a");
  EXPECT_EQ(Shown(Get("c")), "c");
  EXPECT_EQ(Shown(Get("b")), "waits, fetches");
}

TEST_F(SupplyCacheTest, AWaiterMayAskAgain) {
  cache_.Get("token", [&](const SupplyReading&) { came_.push_back(Shown(Get())); });
  Bring("a");
  EXPECT_THAT(came_, ElementsAre("a"));
}

TEST_F(SupplyCacheTest, WhatNobodyAskedForIsntKept) {
  Bring("a");
  EXPECT_EQ(cache_.size(), 0u);
  EXPECT_THAT(came_, IsEmpty());
}

}  // namespace
}  // namespace outrider::providers
