// Which rows come next, and what it costs to find them.
#include "outbox/outbox_reader.h"

#include <gmock/gmock.h>

#include <functional>
#include <numeric>
#include <utility>

#include "tests/integration/outbox/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::outbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class OutboxReaderTest : public OutboxTest {
 protected:
  // What one read gives; all of it is under way then.
  std::vector<std::uint64_t> Read(OutboxReader& reader, std::size_t max_rows = 1'000) {
    const auto batch = reader.Read(*app_, max_rows, 4 << 20, under_way_, rows_);
    if (!batch) throw std::runtime_error(batch.error().message);
    std::vector<std::uint64_t> seqs;
    for (std::size_t i = 0; i < batch->rows; ++i) {
      seqs.push_back(rows_[i].seq);
      under_way_.emplace(rows_[i].seq, rows_[i].created_at);
    }
    return seqs;
  }
  void Search(OutboxReader& reader) {
    const auto searched = reader.Search(*app_, under_way_);
    if (!searched) throw std::runtime_error(searched.error().message);
  }
  void Delete(std::uint64_t seq) {
    Must(*app_, "DELETE FROM outbox WHERE seq = ?", {seq});
    under_way_.erase(seq);
  }
  std::uint64_t InsertOn(mysql::MysqlConnection& connection) {
    return Must(connection, "INSERT INTO outbox (aggregateid, payload) VALUES ('a', '{}')").insert_id;
  }
  std::int64_t RowsTouched() {
    std::int64_t touched = 0;
    for (const auto& row : Must(*app_, "SHOW SESSION STATUS LIKE 'Handler_read%'").rows) {
      touched += std::stoll(row.Text(1));
    }
    return touched;
  }

  const OutboxStore store_{"shop", "outbox"};
  RowsUnderWay under_way_;
  std::vector<OutboxRow> rows_;
};

TEST_F(OutboxReaderTest, NoRowComesTwice) {
  OutboxReader reader(store_, clock_);
  const std::uint64_t first = Insert("a");
  EXPECT_THAT(Read(reader), ElementsAre(first));
  EXPECT_THAT(Read(reader), IsEmpty());
  const std::uint64_t second = Insert("a");
  EXPECT_THAT(Read(reader), ElementsAre(second));
}

TEST_F(OutboxReaderTest, ARowThatCommitsLateComesBeforeTheOneInsertedAfterItsCommit) {
  OutboxReader reader(store_, clock_);
  auto slow = Connect(database_);
  ASSERT_TRUE(slow->Begin().has_value());
  const std::uint64_t late = InsertOn(*slow);
  const std::uint64_t other = Insert("b");
  EXPECT_THAT(Read(reader), ElementsAre(other));
  ASSERT_TRUE(slow->Commit().has_value());
  const std::uint64_t after = Insert("a");
  EXPECT_THAT(Read(reader), ElementsAre(late, after));
}

// The reader looks at the clock between its read of the tail and that of the gaps.
class ClockBetweenReads final : public Clock {
 public:
  Timestamp Now() const override { return SystemClock().Now(); }
  std::chrono::steady_clock::time_point SteadyNow() const override {
    if (auto act = std::exchange(act_, nullptr)) act();
    return std::chrono::steady_clock::now();
  }
  mutable std::function<void()> act_;
};

// A row of the tail may have committed before the row of a gap was inserted, which commits between the two reads.
TEST_F(OutboxReaderTest, ARowThatCommitsBetweenTheTwoReadsComesAfterTheTailsRowBeforeIt) {
  ClockBetweenReads clock;
  OutboxReader reader(store_, clock);
  const std::uint64_t first = Insert("a");
  auto other = Connect(database_);
  ASSERT_TRUE(other->Begin().has_value());
  const std::uint64_t second = InsertOn(*other);
  const std::uint64_t third = Insert("b");
  clock.act_ = [&] { ASSERT_TRUE(other->Commit().has_value()); };
  EXPECT_THAT(Read(reader), ElementsAre(first, second, third));
}

TEST_F(OutboxReaderTest, MoreRowsThatCommitBetweenTheTwoReadsThanFitComeAfterTheTailsRowBeforeThem) {
  ClockBetweenReads clock;
  OutboxReader reader(store_, clock);
  std::vector<std::uint64_t> expected = {Insert("a")};
  auto other = Connect(database_);
  ASSERT_TRUE(other->Begin().has_value());
  for (int i = 0; i < 8; ++i) expected.push_back(InsertOn(*other));
  expected.push_back(Insert("b"));
  clock.act_ = [&] { ASSERT_TRUE(other->Commit().has_value()); };
  std::vector<std::uint64_t> seen;
  ASSERT_TRUE(testing::WaitUntil([&] {
    const auto more = Read(reader, 4);
    seen.insert(seen.end(), more.begin(), more.end());
    return seen.size() >= expected.size();
  }));
  EXPECT_EQ(seen, expected);
}

TEST_F(OutboxReaderTest, TheTailWaitsUntilAllOfTheGapsIsRead) {
  OutboxReader reader(store_, clock_);
  auto slow = Connect(database_);
  ASSERT_TRUE(slow->Begin().has_value());
  std::vector<std::uint64_t> expected;
  for (int i = 0; i < 10; ++i) expected.push_back(InsertOn(*slow));
  const std::uint64_t other = Insert("b");
  Read(reader);
  Delete(other);
  ASSERT_TRUE(slow->Commit().has_value());
  expected.push_back(Insert("a"));
  std::vector<std::uint64_t> seen;
  while (seen.size() < expected.size()) {
    const auto more = Read(reader, 4);
    ASSERT_FALSE(more.empty());
    seen.insert(seen.end(), more.begin(), more.end());
  }
  EXPECT_EQ(seen, expected);
}

TEST_F(OutboxReaderTest, WhatWasNotStoredComesAgainAndWhatIsUnderWayDoesNot) {
  OutboxReader reader(store_, clock_);
  std::vector<std::uint64_t> seqs;
  for (int i = 0; i < 5; ++i) seqs.push_back(Insert("a"));
  EXPECT_EQ(Read(reader), seqs);
  for (const std::size_t lost : {1u, 2u, 4u}) under_way_.erase(seqs[lost]);
  reader.GoBackTo(seqs[1]);
  EXPECT_THAT(Read(reader), ElementsAre(seqs[1], seqs[2], seqs[4]));
  EXPECT_THAT(Read(reader), IsEmpty());
}

TEST_F(OutboxReaderTest, TheScanFindsANumberThatNobodyRemembers) {
  const TestClock fast(200);
  OutboxReader reader(store_, fast);
  Must(*app_, "INSERT INTO outbox (seq, aggregateid, payload) VALUES (500000, 'a', '{}')");
  Read(reader);
  Delete(500'000);
  Must(*app_, "INSERT INTO outbox (seq, aggregateid, payload) VALUES (5, 'a', '{}')");
  std::vector<std::uint64_t> seen;
  EXPECT_TRUE(testing::WaitUntil([&] {
    Search(reader);
    seen = Read(reader);
    return !seen.empty();
  }));
  EXPECT_THAT(seen, ElementsAre(5));
}

TEST_F(OutboxReaderTest, AGapOutlivesALongTransactionAndEndsWithARollback) {
  const TestClock fast(1'000);
  OutboxReader reader(store_, fast);
  auto slow = Connect(database_);
  ASSERT_TRUE(slow->Begin().has_value());
  const std::uint64_t late = InsertOn(*slow);
  Insert("between");
  ASSERT_TRUE(app_->Begin().has_value());
  const std::uint64_t never = Insert("never");
  app_->Rollback();
  const std::uint64_t other = Insert("b");
  Read(reader);
  Delete(other);
  EXPECT_TRUE(testing::WaitUntil([&] {
    Search(reader);
    return !reader.gaps().Contains(never);
  }));
  EXPECT_TRUE(reader.gaps().Contains(late));
  ASSERT_TRUE(slow->Commit().has_value());
  EXPECT_THAT(Read(reader), ElementsAre(late));
}

TEST_F(OutboxReaderTest, FarBelowTheFirstRowANewLeaderReadsAgainOnlyWhatSomebodyHolds) {
  for (const std::uint64_t seq : {5'000, 7'000}) {
    Must(*app_, "INSERT INTO outbox (seq, aggregateid, payload) VALUES (?, 'a', '{}')", {seq});
  }
  OutboxReader free(store_, clock_);
  Read(free);
  EXPECT_FALSE(free.gaps().Contains(4'000));
  EXPECT_TRUE(free.gaps().Contains(4'600));
  EXPECT_TRUE(free.gaps().Contains(6'000));

  auto slow = Connect(database_);
  ASSERT_TRUE(slow->Begin().has_value());
  Must(*slow, "INSERT INTO outbox (seq, aggregateid, payload) VALUES (4000, 'a', '{}')");
  under_way_.clear();
  OutboxReader held(store_, clock_);
  Read(held);
  EXPECT_TRUE(held.gaps().Contains(4'000));
  ASSERT_TRUE(slow->Commit().has_value());
  const std::uint64_t after = Insert("a");
  EXPECT_THAT(Read(held), ElementsAre(4'000, after));
}

TEST_F(OutboxReaderTest, ReadingBehindThePlaceAndInGapsTouchesNoOtherRow) {
  ASSERT_TRUE(app_->Begin().has_value());
  for (int i = 0; i < 3'000; ++i) Insert("a");
  ASSERT_TRUE(app_->Commit().has_value());
  Must(*app_, "ANALYZE TABLE outbox");
  std::vector<OutboxStore::Range> ranges;
  for (std::uint64_t first = 100; ranges.size() < 100; first += 20) ranges.push_back({first, first + 1});
  ASSERT_TRUE(store_.ReadRanges(*app_, ranges, 1'000, 1 << 20, rows_).has_value());
  ASSERT_TRUE(store_.ReadAfter(*app_, 2'900, 10, 1 << 20, rows_).has_value());
  const std::int64_t before = RowsTouched();
  const auto found = store_.ReadRanges(*app_, ranges, 1'000, 1 << 20, rows_);
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ(found->rows, 200u);
  ASSERT_TRUE(store_.ReadAfter(*app_, 2'900, 10, 1 << 20, rows_).has_value());
  EXPECT_LT(RowsTouched() - before, 1'000);
}

TEST_F(OutboxReaderTest, ARangeIsEmptyOnlyWhenNoTransactionHasARowThere) {
  auto slow = Connect(database_);
  ASSERT_TRUE(slow->Begin().has_value());
  const std::uint64_t seq = InsertOn(*slow);
  EXPECT_FALSE(store_.IsEmpty(*app_, {seq, seq}).value());
  EXPECT_TRUE(store_.IsEmpty(*app_, {seq + 1, seq + 100}).value());
  slow->Rollback();
  EXPECT_TRUE(store_.IsEmpty(*app_, {seq, seq}).value());
  Insert("a");
  EXPECT_FALSE(store_.IsEmpty(*app_, {seq, seq + 1}).value());
}

}  // namespace
}  // namespace outrider::outbox
