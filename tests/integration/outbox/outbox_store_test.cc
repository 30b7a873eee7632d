// Which rows a settlement deletes, and whom it waits for.
#include "outbox/outbox_store.h"

#include <gmock/gmock.h>

#include <numeric>

#include "tests/integration/outbox/fixture.h"

namespace outrider::outbox {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class OutboxStoreTest : public OutboxTest {
 protected:
  OutboxStoreTest() {
    epoch_ = lease_.Acquire(*app_).value().epoch;
    Must(*app_, "SET SESSION innodb_lock_wait_timeout = 1");
  }

  // So many rows, one after another.
  std::vector<std::uint64_t> InsertRows(std::size_t count) {
    std::vector<std::uint64_t> rows(count);
    for (std::uint64_t& seq : rows) seq = Insert("a");
    return rows;
  }
  // A row that its transaction still holds.
  void InsertUncommitted() {
    writers_.push_back(Connect(database_));
    ASSERT_TRUE(writers_.back()->Begin().has_value());
    Must(*writers_.back(), "INSERT INTO outbox (aggregateid, payload) VALUES ('b', '{}')");
  }
  Result<std::size_t> Delete(std::vector<std::uint64_t> seqs) {
    Settlement settlement;
    settlement.stored = std::move(seqs);
    return store_.Settle(*app_, lease_, epoch_, settlement);
  }
  std::vector<std::uint64_t> Left() {
    std::vector<std::uint64_t> left;
    for (const auto& row : Must(*app_, "SELECT seq FROM outbox ORDER BY seq").rows) left.push_back(row.Unsigned(0));
    return left;
  }
  std::int64_t RowsRead() {
    std::int64_t read = 0;
    for (const auto& row : Must(*app_, "SHOW SESSION STATUS LIKE 'Handler_read%'").rows)
      read += std::stoll(row.Text(1));
    return read;
  }

  const OutboxStore store_{"shop", "outbox"};
  const OutboxLease lease_{"shop", "a", seconds(60)};
  std::uint64_t epoch_ = 0;
  std::vector<std::unique_ptr<mysql::MysqlConnection>> writers_;
};

TEST_F(OutboxStoreTest, ASettlementDeletesTheRowsItNamesAndNoOther) {
  const std::vector<std::uint64_t> rows = InsertRows(40);
  std::vector<std::uint64_t> named(rows.begin() + 1, rows.begin() + 20);
  named.push_back(rows[22]);
  named.insert(named.end(), rows.begin() + 24, rows.begin() + 39);
  std::ranges::reverse(named);
  const auto deleted = Delete(named);
  ASSERT_TRUE(deleted.has_value()) << deleted.error().message;
  EXPECT_EQ(*deleted, named.size());
  EXPECT_THAT(Left(), ElementsAre(rows[0], rows[20], rows[21], rows[23], rows[39]));
}

TEST_F(OutboxStoreTest, ASettlementOfHundredsOfRunsDeletesEachOfThem) {
  const std::vector<std::uint64_t> rows = InsertRows(900);
  std::vector<std::uint64_t> named;
  std::vector<std::uint64_t> others;
  for (std::size_t i = 0; i < rows.size(); ++i) (i % 9 == 8 ? others : named).push_back(rows[i]);
  const auto deleted = Delete(named);
  ASSERT_TRUE(deleted.has_value()) << deleted.error().message;
  EXPECT_EQ(*deleted, named.size());
  EXPECT_EQ(Left(), others);
}

TEST_F(OutboxStoreTest, ARowThatIsntCommittedHoldsUpNoSettlementOfThoseBeforeIt) {
  const std::vector<std::uint64_t> rows = InsertRows(20);
  InsertUncommitted();
  const auto deleted = Delete(rows);
  EXPECT_TRUE(deleted.has_value()) << deleted.error().message;
  EXPECT_THAT(Left(), IsEmpty());
}

TEST_F(OutboxStoreTest, ARowThatIsntCommittedHoldsUpNoSettlementOfThoseAroundIt) {
  InsertUncommitted();
  std::vector<std::uint64_t> rows = InsertRows(20);
  InsertUncommitted();
  const std::vector<std::uint64_t> later = InsertRows(20);
  InsertUncommitted();
  rows.insert(rows.end(), later.begin(), later.end());
  const auto deleted = Delete(rows);
  EXPECT_TRUE(deleted.has_value()) << deleted.error().message;
  EXPECT_THAT(Left(), IsEmpty());
}

TEST_F(OutboxStoreTest, ASettlementReadsNoRowsButThoseItDeletes) {
  const std::vector<std::uint64_t> rows = InsertRows(60);
  const std::int64_t before = RowsRead();
  const auto deleted = Delete({rows.begin() + 20, rows.begin() + 40});
  ASSERT_TRUE(deleted.has_value()) << deleted.error().message;
  EXPECT_LE(RowsRead() - before, 30) << "the lease's row, and 20 of them";
}

}  // namespace
}  // namespace outrider::outbox
