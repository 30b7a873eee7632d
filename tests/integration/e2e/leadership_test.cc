// Two relays on one outbox, and transactions that commit late.
#include <fmt/format.h>

#include "tests/integration/e2e/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::e2e {
namespace {

class LeadershipTest : public E2eTest {
 protected:
  // Of several sources the two relays would share the leads.
  LeadershipTest() : E2eTest(Databases::kOne) {
    vendor_->SetBot({.token = "group", .per_second = 0, .per_minute = 0});
    SetChannels(BotChannel("ops", "group"));
  }

  static bool Says(testing::ChildProcess& process, std::string_view event) {
    return testing::WaitUntil([&] { return process.Stderr().find(event) != std::string::npos; });
  }
  std::int64_t Epoch() { return Number(*shop_, "SELECT epoch FROM outbox_leases WHERE source = 'shop'"); }
};

TEST_F(LeadershipTest, ATransactionThatCommitsBehindAThousandLaterRowsIsDelivered) {
  Migrate();
  const auto relay = Start("relay");
  const auto consumer = Start("consumer");
  auto late = Connect(shop_database_);
  ASSERT_TRUE(late->Begin());
  Insert(*late, "late", "late");
  for (int block = 0; block < 10; ++block) {
    ASSERT_TRUE(shop_->Begin());
    for (int i = 0; i < 100; ++i) {
      const std::string key = fmt::format("early-{}-{}", block, i);
      Insert(key, key);
    }
    ASSERT_TRUE(shop_->Commit());
  }
  ASSERT_TRUE(testing::WaitUntil([&] { return vendor_->deliveries().size() == 1000; })) << consumer->Stderr();
  EXPECT_EQ(Taken().count("late"), 0U);
  ASSERT_TRUE(late->Commit());
  ASSERT_TRUE(Drained(1001)) << consumer->Stderr();
  EXPECT_EQ(Taken()["late"], 1);
}

TEST_F(LeadershipTest, TheSecondRelayTakesOverWithinTheLeaseWhenTheFirstIsKilled) {
  Migrate();
  auto first = Start("relay");
  ASSERT_TRUE(Says(*first, "relay.leads")) << first->Stderr();
  const auto second = Start("relay");
  ASSERT_TRUE(Says(*second, "relay.stands_by")) << second->Stderr();
  const auto consumer = Start("consumer");
  Insert("before", "before");
  ASSERT_TRUE(Drained(1)) << consumer->Stderr();

  const std::int64_t epoch = Epoch();
  first->Kill();
  const auto killed_at = std::chrono::steady_clock::now();
  Insert("after", "after");
  ASSERT_TRUE(Says(*second, "relay.leads")) << second->Stderr();
  // The lease (4 s), the pause between two looks at it, and what a busy machine adds.
  EXPECT_LT(std::chrono::steady_clock::now() - killed_at, std::chrono::seconds{8});
  ASSERT_TRUE(Drained(2)) << consumer->Stderr();
  EXPECT_EQ(Epoch(), epoch + 1);
  EXPECT_EQ(Taken(), (std::map<std::string, int>{{"before", 1}, {"after", 1}}));
}

TEST_F(LeadershipTest, ARelayThatWasPausedChangesNothingWhenItGoesOn) {
  Migrate();
  const auto first = Start("relay");
  ASSERT_TRUE(Says(*first, "relay.leads")) << first->Stderr();
  const auto second = Start("relay");
  ASSERT_TRUE(Says(*second, "relay.stands_by")) << second->Stderr();
  const auto consumer = Start("consumer");

  first->Pause();
  ASSERT_TRUE(Says(*second, "relay.leads")) << second->Stderr();
  const std::int64_t epoch = Epoch();
  for (int i = 0; i < 100; ++i) {
    const std::string key = fmt::format("key-{}", i);
    Insert(key, key);
  }
  first->Continue();
  ASSERT_TRUE(Says(*first, "relay.stands_by")) << first->Stderr();
  ASSERT_TRUE(Drained(100)) << consumer->Stderr();
  EXPECT_EQ(Epoch(), epoch) << "the old leader took the lease back";
  EXPECT_EQ(Number(*shop_, "SELECT CAST(COALESCE(SUM(row_count), 0) AS SIGNED) FROM outbox_ledger"), 100);
  EXPECT_EQ(
      Number(*shop_, "SELECT CAST(COALESCE(SUM(row_count), 0) AS SIGNED) FROM outbox_ledger WHERE epoch = ?", {epoch}),
      100)
      << "the old leader settled rows";
  EXPECT_EQ(Taken().size(), 100U);
  EXPECT_EQ(vendor_->deliveries().size(), 100U);
}

}  // namespace
}  // namespace outrider::e2e
