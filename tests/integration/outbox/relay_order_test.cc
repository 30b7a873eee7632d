// Order and conservation while the sink fails at random.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/integration/outbox/fixture.h"

namespace outrider::outbox {
namespace {

using Fate = testing::MemorySink::Fate;

class RelayOrderTest : public OutboxTest, public ::testing::WithParamInterface<unsigned> {};

TEST_F(RelayOrderTest, AfterAFailedReportTheRestIsGivenUpAndReadAgain) {
  for (int i = 0; i < 10; ++i) Insert("order-1");
  int asked = 0;
  sink_.DecideWith([&](const OutboxRow&) { return ++asked == 4 ? Fate::kLose : Fate::kStore; });
  auto relay = MakeRelay();
  const auto failed = relay->RunOnce({});
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(Waiting(), 7);
  EXPECT_EQ(sink_.outstanding(), 0u);
  EXPECT_EQ(PartWords(), "waits: broker away");
  Turn(*relay);
  EXPECT_EQ(Waiting(), 0);
  EXPECT_EQ(sink_.seqs().size(), 10u);
  EXPECT_EQ(PartWords(), "leads with epoch 1");
  EXPECT_EQ(Metric(R"(relay_publish_failures_total{class="unavailable",source="shop"})"), 1);
  EXPECT_EQ(Metric(R"(relay_publish_failures_total{class="abandoned",source="shop"})"), 6);
}

TEST_F(RelayOrderTest, AStoredRowWhoseReportWasLostIsPublishedAgain) {
  const std::uint64_t seq = Insert("order-1");
  int asked = 0;
  sink_.DecideWith([&](const OutboxRow&) { return ++asked == 1 ? Fate::kStoreUnheard : Fate::kStore; });
  auto relay = MakeRelay();
  EXPECT_FALSE(relay->RunOnce({}).has_value());
  EXPECT_EQ(Waiting(), 1);
  Turn(*relay);
  EXPECT_EQ(sink_.seqs(), (std::vector<std::uint64_t>{seq, seq}));
  EXPECT_EQ(Ledger(), 1);
}

// Random inserts, random failures: for every key the first occurrences are in the order of seq, nothing is lost, and
// the ledger counts each row once.
TEST_P(RelayOrderTest, FirstOccurrencesOfAKeyKeepTheirOrderOverFailures) {
  std::mt19937 random(GetParam());
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  sink_.DecideWith([&](const OutboxRow&) {
    if (one_in(8)) return Fate::kLose;
    return one_in(3) ? Fate::kStoreUnheard : Fate::kStore;
  });
  auto options = Options();
  options.batch_rows = 2 + random() % 12;
  auto relay = MakeRelay(options);
  std::set<std::uint64_t> inserted;
  for (int step = 0; step < 60; ++step) {
    for (unsigned rows = random() % 6; rows > 0; --rows) inserted.insert(Insert("key-" + std::to_string(random() % 4)));
    (void)relay->RunOnce({}, 1 + random() % 6);
  }
  Drain(*relay);
  const auto seqs = sink_.seqs();
  EXPECT_EQ(std::set<std::uint64_t>(seqs.begin(), seqs.end()), inserted);
  EXPECT_GT(seqs.size(), inserted.size()) << "no copy was made, so no failure was tried";
  ExpectFirstOccurrencesInOrder(sink_.log());
  EXPECT_EQ(Ledger(), static_cast<std::int64_t>(inserted.size()));
  EXPECT_EQ(Number(*app_, "SELECT COUNT(*) FROM outbox_dead"), 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RelayOrderTest, ::testing::Range(1u, 13u));

}  // namespace
}  // namespace outrider::outbox
