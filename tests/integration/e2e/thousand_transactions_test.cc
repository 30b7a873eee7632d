// A thousand transactions by eight writers, a third of them rolled back, some with repeated keys: first undisturbed,
// then with relay and consumer killed five times each in the middle.
#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "tests/integration/e2e/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::e2e {
namespace {

constexpr int kWriters = 8;
constexpr int kTransactions = 125;  // of each writer

class ThousandTransactionsTest : public E2eTest {
 protected:
  ThousandTransactionsTest() {
    vendor_->SetBot({.token = "group", .per_second = 0, .per_minute = 0});
    SetChannels(BotChannel("ops", "group"));
  }

  // Every fifth key was used before by the same writer; a transaction that is rolled back has a key of its own.
  void Write() {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([this, writer] {
        auto connection = Connect(shop_database_);
        for (int i = 0; i < kTransactions; ++i) {
          const int number = i % 5 == 4 ? i - 4 : i;
          const std::string key = fmt::format("order-{}-{}", writer, number);
          const bool commit = i % 3 != 1;
          ASSERT_TRUE(connection->Begin());
          Insert(*connection, commit ? key : key + "-rolled-back", key);
          if (!commit) {
            connection->Rollback();
            continue;
          }
          const auto committed = connection->Commit();
          ASSERT_TRUE(committed) << committed.error().message;
          const std::lock_guard lock(mutex_);
          committed_.insert(key);
          ++written_;
        }
      });
    }
  }

  std::mutex mutex_;
  std::set<std::string> committed_;
  std::atomic<int> written_ = 0;
};

TEST_F(ThousandTransactionsTest, ArriveOnceEach) {
  Migrate();
  const auto relay = Start("relay");
  const auto consumer = Start("consumer");
  Write();
  ASSERT_TRUE(Drained(static_cast<std::int64_t>(committed_.size()))) << consumer->Stderr();
  EXPECT_LT(committed_.size(), static_cast<std::size_t>(written_));
  EXPECT_EQ(Records("status = 'sent'"), static_cast<std::int64_t>(committed_.size()));
  EXPECT_EQ(Records("uncertain"), 0);

  std::map<std::string, int> expected;
  for (const std::string& key : committed_) expected[key] = 1;
  EXPECT_EQ(Taken(), expected);

  EXPECT_EQ(relay->Terminate().code, 0);
  EXPECT_EQ(consumer->Terminate().code, 0);
}

TEST_F(ThousandTransactionsTest, ArriveThoughRelayAndConsumerAreKilledFiveTimesEach) {
  Migrate();
  auto relay = Start("relay");
  auto consumer = Start("consumer");
  std::jthread writing([this] { Write(); });
  for (int kill = 1; kill <= 5; ++kill) {
    // In the middle: something went through since the last kill, and more is to come.
    const std::size_t before = vendor_->deliveries().size();
    ASSERT_TRUE(testing::WaitUntil([&] { return vendor_->deliveries().size() >= before + 15; })) << consumer->Stderr();
    relay->Kill();
    relay = Start("relay");
    consumer->Kill();
    consumer = Start("consumer");
  }
  writing.join();
  ASSERT_TRUE(Drained(static_cast<std::int64_t>(committed_.size()), std::chrono::seconds{120})) << consumer->Stderr();
  EXPECT_EQ(Records("status <> 'sent'"), 0);

  const std::map<std::string, int> taken = Taken();
  std::size_t doubled = 0;
  for (const std::string& key : committed_) {
    const auto found = taken.find(key);
    ASSERT_NE(found, taken.end()) << key << " was lost";
    if (found->second == 1) continue;
    ++doubled;
    EXPECT_EQ(Number(*records_, "SELECT COUNT(*) FROM notification_records WHERE dedupe_key = ? AND uncertain",
                     {std::string_view(key)}),
              1)
        << key << " arrived " << found->second << " times and isn't marked uncertain";
  }
  EXPECT_EQ(taken.size(), committed_.size()) << "something that was rolled back arrived";
  RecordProperty("doubled", static_cast<int>(doubled));
}

}  // namespace
}  // namespace outrider::e2e
