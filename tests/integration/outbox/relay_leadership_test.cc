// Two relays over one source.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "tests/integration/outbox/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::outbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Fate = testing::MemorySink::Fate;

class RelayLeadershipTest : public OutboxTest {
 protected:
  RelayOptions Brief(const std::string& owner) {
    auto options = Options(owner);
    options.lease = milliseconds(300);
    return options;
  }
  // Another relay leads from now on, as far as the database knows.
  void PassOver() {
    Must(*app_,
         "UPDATE outbox_leases SET owner = 'other', epoch = epoch + 1, expires_at = NOW(6) + INTERVAL 1 HOUR "
         "WHERE source = 'shop'");
  }
};

// A clock that stands still: what a paused process sees of time.
class StoppedClock final : public Clock {
 public:
  Timestamp Now() const override { return SystemClock().Now(); }
  std::chrono::steady_clock::time_point SteadyNow() const override { return at_; }

 private:
  const std::chrono::steady_clock::time_point at_ = std::chrono::steady_clock::now();
};

TEST_F(RelayLeadershipTest, OneLeadsAndTheOtherStandsBy) {
  auto first = MakeRelay(Options("a"));
  auto second = MakeRelay(Options("b"));
  Insert("order-1");
  EXPECT_TRUE(Turn(*first).leading);
  Insert("order-1");
  const auto round = Turn(*second);
  EXPECT_FALSE(round.leading);
  EXPECT_EQ(round.read, 0u);
  EXPECT_EQ(PartWords(), "stands by: a leads");
  EXPECT_EQ(Waiting(), 1);
}

TEST_F(RelayLeadershipTest, TheOtherTakesOverOnceTheLeaseHasExpired) {
  auto first = MakeRelay(Brief("a"));
  auto second = MakeRelay(Brief("b"));
  ASSERT_TRUE(Turn(*first).leading);
  ASSERT_FALSE(Turn(*second).leading);
  Insert("order-1");
  EXPECT_TRUE(testing::WaitUntil([&] { return Turn(*second).leading; }, seconds(10)));
  EXPECT_EQ(Waiting(), 0);
  EXPECT_EQ(Number(*app_, "SELECT CAST(epoch AS SIGNED) FROM outbox_leases"), 2);
  EXPECT_FALSE(Turn(*first).leading) << "it must notice by its own clock that its lease is over";
  EXPECT_EQ(Metric(R"(relay_leases_lost_total{source="shop"})"), 0);
}

TEST_F(RelayLeadershipTest, AnIdleLeaderRenewsAndStaysLeader) {
  auto first = MakeRelay(Brief("a"));
  auto second = MakeRelay(Brief("b"));
  ASSERT_TRUE(Turn(*first).leading);
  const auto until = std::chrono::steady_clock::now() + milliseconds(900);
  EXPECT_FALSE(testing::WaitUntil(
      [&] {
        EXPECT_TRUE(Turn(*first).leading);
        return Turn(*second).leading;
      },
      std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now())));
}

TEST_F(RelayLeadershipTest, ARelayThatEndsGivesTheLeaseBack) {
  auto first = MakeRelay(Options("a"));
  ASSERT_TRUE(Turn(*first).leading);
  first.reset();
  auto second = MakeRelay(Options("b"));
  EXPECT_TRUE(Turn(*second).leading);
  EXPECT_EQ(Number(*app_, "SELECT CAST(epoch AS SIGNED) FROM outbox_leases"), 2);
}

TEST_F(RelayLeadershipTest, ALeaderWhoseEpochWasPassedOverChangesNothing) {
  auto stale = MakeRelay();
  ASSERT_TRUE(Turn(*stale).leading);
  Insert("order-1");
  sink_.RefuseAtOnce([](const OutboxRow& row) { return row.aggregateid == "poison"; });
  Insert("poison");
  PassOver();
  const auto round = Turn(*stale);
  EXPECT_EQ(round.published, 1u) << "it can't know before it asks";
  EXPECT_FALSE(round.leading);
  EXPECT_EQ(round.deleted, 0u);
  EXPECT_EQ(Waiting(), 2);
  EXPECT_EQ(Ledger(), 0);
  EXPECT_EQ(Number(*app_, "SELECT COUNT(*) FROM outbox_dead"), 0);
  EXPECT_EQ(Metric(R"(relay_leases_lost_total{source="shop"})"), 1);
  EXPECT_EQ(Metric(R"(relay_leader{source="shop"})"), 0);
  EXPECT_FALSE(Turn(*stale).leading);
}

TEST_F(RelayLeadershipTest, APausedLeaderThatContinuesChangesNothing) {
  const StoppedClock stopped;
  auto paused = MakeRelay(Brief("a"), stopped);
  ASSERT_TRUE(Turn(*paused).leading);
  const std::uint64_t seq = Insert("order-1");
  auto heir = MakeRelay(Brief("b"));
  ASSERT_TRUE(testing::WaitUntil([&] { return Turn(*heir).leading; }, seconds(10)));
  ASSERT_EQ(Waiting(), 0);
  const std::uint64_t later = Insert("order-1");
  const auto round = Turn(*paused);
  EXPECT_EQ(round.deleted, 0u);
  EXPECT_FALSE(round.leading);
  EXPECT_EQ(Waiting(), 1);
  EXPECT_EQ(Ledger(), 1);
  EXPECT_EQ(Metric(R"(relay_leases_lost_total{source="shop"})"), 1);
  EXPECT_EQ(sink_.seqs(), (std::vector<std::uint64_t>{seq, later})) << "it may publish a copy, it must not delete";
}

TEST_F(RelayLeadershipTest, ATakeOverInTheMiddleOfABatchLeavesItToTheNewLeader) {
  auto relay = MakeRelay();
  ASSERT_TRUE(Turn(*relay).leading);
  for (int i = 0; i < 5; ++i) Insert("order-1");
  int asked = 0;
  sink_.DecideWith([&](const OutboxRow&) {
    if (++asked == 3) PassOver();
    return Fate::kStore;
  });
  EXPECT_EQ(Turn(*relay).deleted, 0u);
  EXPECT_EQ(Waiting(), 5);
  EXPECT_EQ(Ledger(), 0);
}

TEST_F(RelayLeadershipTest, ALeaderThatWaitsForTheSinkRenewsItsLease) {
  sink_.Pause("broker transport failure");
  auto waiting = MakeRelay(Brief("a"));
  auto second = MakeRelay(Brief("b"));
  ASSERT_TRUE(Turn(*waiting).leading);
  Insert("order-1");
  std::jthread thread([&](const std::stop_token& stop) { (void)waiting->RunOnce(stop); });
  ASSERT_TRUE(testing::WaitUntil([&] { return sink_.outstanding() == 1; }));
  EXPECT_FALSE(testing::WaitUntil([&] { return Turn(*second).leading; }, milliseconds(900)));
  sink_.Resume();
  thread.join();
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(RelayLeadershipTest, ALeaderThatWaitsForTheSinkNoticesThatItWasPassedOver) {
  sink_.Pause("broker transport failure");
  auto waiting = MakeRelay(Brief("a"));
  ASSERT_TRUE(Turn(*waiting).leading);
  Insert("order-1");
  std::optional<Relay::Round> round;
  std::jthread thread([&](const std::stop_token& stop) {
    auto done = waiting->RunOnce(stop);
    if (done) round = *done;
  });
  ASSERT_TRUE(testing::WaitUntil([&] { return sink_.outstanding() == 1; }));
  PassOver();
  thread.join();
  ASSERT_TRUE(round.has_value());
  EXPECT_FALSE(round->leading);
  EXPECT_EQ(sink_.outstanding(), 0u) << "what waits is given up";
  EXPECT_EQ(Waiting(), 1);
  EXPECT_EQ(Metric(R"(relay_leases_lost_total{source="shop"})"), 1);
}

TEST_F(RelayLeadershipTest, SourcesAreSharedEvenlyWithAReplicaThatComesLater) {
  const std::vector<std::string> sources = {"s1", "s2", "s3", "s4"};
  const auto replica = [&](const std::string& owner) {
    std::vector<std::unique_ptr<Relay>> relays;
    const auto share = std::make_shared<SourceShare>();
    for (const std::string& source : sources) {
      auto options = Brief(owner);
      options.source = source;
      options.share = share;
      relays.push_back(MakeRelay(options));
    }
    return relays;
  };
  const auto leads = [&](const std::vector<std::unique_ptr<Relay>>& relays) {
    return std::count_if(relays.begin(), relays.end(), [&](const auto& relay) { return Turn(*relay).leading; });
  };
  const auto first = replica("a");
  ASSERT_EQ(leads(first), 4);
  const auto second = replica("b");
  const auto even = [&] {
    const auto firsts = leads(first);
    return leads(second) == 2 && firsts == 2;
  };
  EXPECT_TRUE(testing::WaitUntil(even, seconds(20)));
  const auto until = std::chrono::steady_clock::now() + milliseconds(900);
  EXPECT_FALSE(testing::WaitUntil([&] { return !even(); },
                                  std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now())));
}

TEST_F(RelayLeadershipTest, ALoneReplicaKeepsEverySource) {
  auto options = Brief("a");
  auto shop = MakeRelay(options);
  options.source = "orders";
  auto orders = MakeRelay(options);
  const auto until = std::chrono::steady_clock::now() + milliseconds(600);
  EXPECT_FALSE(testing::WaitUntil([&] { return !Turn(*shop).leading || !Turn(*orders).leading; },
                                  std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now())));
}

// A relay that is paused inside its transaction would otherwise keep the lease's row locked for hours.
TEST_F(RelayLeadershipTest, TheServerHangsUpOnARelayThatIsSilentForALease) {
  auto relay = MakeRelay(Brief("a"));
  ASSERT_TRUE(Turn(*relay).leading);
  EXPECT_TRUE(testing::WaitUntil(
      [&] { return Number(*app_, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()") == 1; },
      seconds(10)));
  EXPECT_TRUE(Turn(*relay).leading) << "and it comes back by itself";
}

}  // namespace
}  // namespace outrider::outbox
