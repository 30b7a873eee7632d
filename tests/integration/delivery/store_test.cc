// What delivery's statements read: their cost doesn't grow with what is finished, delayed, parked or somebody else's.
#include "consumer/record_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "consumer/ordering_store.h"
#include "tests/integration/delivery/fixture.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class StoreTest : public DeliveryTest {
 protected:
  static constexpr int kOthers = 1000;  // rows of each kind that must not be read

  StoreTest() {
    Insert({.key = "pattern"});
    shard_ = static_cast<int>(Count("SELECT MAX(shard) FROM consumer_shards"));
    Copy("'sent'", "NULL", "'ops'", "NULL");
    Copy("'pending'", "NOW(6) + INTERVAL 1 HOUR", "'ops'", "NULL");
    Copy("'pending'", "NOW(6)", "'crowded'", "NULL");
    Copy("'pending'", "NULL", "'unknown'", "'channel_unknown'");
    Copy("'pending'", "NULL", "'ops'", "'ordering_key'", "UNHEX(SHA2('k', 256))");
    Copy("'sent'", "NULL", "'ops'", "NULL", "UNHEX(SHA2('k', 256))");
    Execute("DELETE FROM notification_records WHERE dedupe_key = 'pattern'");
    Execute("ANALYZE TABLE notification_records");
    for (int i = 0; i < 10; ++i) ids_.push_back(Insert({.key = fmt::format("mine{}", i)}));
  }

  // kOthers records like the pattern; the parameters are SQL.
  void Copy(const std::string& status, const std::string& due, const std::string& channel, const std::string& parked_by,
            const std::string& ordering = "NULL") {
    constexpr std::string_view kDigits =
        "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 "
        "UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    Execute(fmt::format(
        "INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, content_hash, status, "
        "shard, due_at, parked_by, priority, ordering_hash, recipient, request, source_topic, source_partition, "
        "source_offset, updated_at) SELECT UNHEX(SHA2(CONCAT(n.i, ' ', {0}), 256)), r.tenant, {1}, CONCAT('other', "
        "n.i), "
        "r.event_id, r.content_hash, {2}, r.shard, {3}, {4}, r.priority, {5}, r.recipient, r.request, "
        "r.source_topic, r.source_partition, n.i, NOW(6) FROM notification_records r JOIN "
        "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS i FROM {6} a, {6} b, {6} c, {6} e) AS n "
        "WHERE r.dedupe_key = 'pattern' AND n.i < {7}",
        ++copies_, channel, status, due, parked_by, ordering, kDigits, kOthers));
  }

  // Rows and index entries that the server touched for it.
  std::int64_t Cost(const std::function<void()>& work) {
    const auto read = [&] {
      std::int64_t sum = 0;
      for (const mysql::Row& row : Must(*db_, "SHOW SESSION STATUS LIKE 'Handler_read%'").rows) {
        sum += std::stoll(row.Text(1));
      }
      return sum;
    };
    work();  // the first time prepares
    const std::int64_t before = read();
    work();
    return read() - before;
  }

  int shard_ = 0;
  int copies_ = 0;
  std::vector<std::int64_t> ids_;
  RecordStore store_;
};

TEST_F(StoreTest, FindingWhatIsDueReadsWhatIsDue) {
  std::vector<RecordStore::DueQuery> queries;
  for (int priority = 0; priority < 3; ++priority) queries.push_back({shard_, "ops", priority, 20});
  EXPECT_LE(Cost([&] {
              const auto due = store_.FindDue(*db_, queries, std::chrono::seconds{5});
              ASSERT_TRUE(due.has_value());
              EXPECT_THAT(*due, SizeIs(10));
            }),
            80);
}

TEST_F(StoreTest, ALimitBoundsWhatIsReadOfACrowd) {
  const std::vector<RecordStore::DueQuery> queries = {{shard_, "crowded", 1, 5}};
  EXPECT_LE(Cost([&] { EXPECT_THAT(*store_.FindDue(*db_, queries, microseconds{0}), SizeIs(5)); }), 40);
}

TEST_F(StoreTest, MoreQueriesThanOneStatementHoldsAreAllAsked) {
  std::vector<RecordStore::DueQuery> queries(70, {shard_, "nobody", 1, 5});
  queries[69] = {shard_, "ops", 1, 3};
  const auto due = store_.FindDue(*db_, queries, microseconds{0});
  ASSERT_THAT(*due, SizeIs(3));
  EXPECT_EQ((*due)[0].query, 69u);
}

TEST_F(StoreTest, ReadingClaimingAndWritingGoByThePrimaryKey) {
  EXPECT_LE(Cost([&] { EXPECT_THAT(*store_.ReadDue(*db_, ids_), SizeIs(10)); }), 80);
  EXPECT_LE(Cost([&] {
              std::vector<RecordStore::ClaimKey> keys;
              const auto records = store_.ReadWaiting(*db_, ids_);
              for (const Record& record : *records) keys.push_back({record.id, record.version, ""});
              EXPECT_EQ(*store_.Claim(*db_, keys, "token", std::chrono::seconds{60}), 10u);
              EXPECT_THAT(*store_.FindClaimed(*db_, keys, "token"), SizeIs(10));
              std::vector<Change> changes;
              for (Record record : *records) {
                record.status = DeliveryStatus::kSending;
                ++record.version;
                changes.push_back(MakeChange(record, DeliveryEvent::kHeld, kRecordReturned));
                changes.back().due_in = microseconds{0};
              }
              EXPECT_EQ(*store_.Write(*db_, changes), 10u);
              EXPECT_THAT(*store_.Compare(*db_, changes), ::testing::Each(RecordStore::Standing::kWritten));
            }),
            400);
}

TEST_F(StoreTest, ManySentAtOnceAreWrittenAsEachAloneIs) {
  std::vector<RecordStore::ClaimKey> keys;
  std::vector<Change> changes;
  const auto records = store_.ReadDue(*db_, ids_);
  for (Record record : *records) {
    keys.push_back({record.id, record.version, ""});
    record.status = DeliveryStatus::kSending;
    ++record.version;
    const bool last = record.id == ids_.back();
    Change& change = changes.emplace_back(
        MakeChange(record, last ? DeliveryEvent::kRefused : DeliveryEvent::kAccepted, kRecordSettled));
    change.held = Change::Held::kNo;
    change.writes_answer = true;
    change.provider = "feishu_bot";
    change.reason = last ? "invalid" : "";
    change.provider_log_id = fmt::format("log{}", record.id);
    change.provider_message_id = record.id == ids_[3] ? "message" : "";
    AttemptRow row;
    row.attempt_no = 1;
    row.started_ago = row.duration = std::chrono::seconds{1};
    row.worker = "worker";
    row.provider = "feishu_bot";
    row.verdict = last ? "refused" : "accepted";
    row.answer = record.id == ids_[4] ? "not UTF-8: \xff" : "fine";
    row.provider_log_id = change.provider_log_id;
    change.attempt = row;
  }
  ASSERT_EQ(*store_.Claim(*db_, keys, "token", std::chrono::seconds{60}), 10u);
  EXPECT_EQ(*store_.Write(*db_, changes), 10u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent' AND version = 3 AND due_at IS NULL "
                  "AND sent_at IS NOT NULL AND lease_owner IS NULL AND provider = 'feishu_bot' AND "
                  "provider_log_id = CONCAT('log', id)"),
            9);
  EXPECT_EQ(Column(ids_[3], "provider_message_id"), "message");
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE provider_message_id IS NOT NULL"), 1);
  EXPECT_EQ(Column(ids_.back(), "status"), "dead");
  EXPECT_EQ(
      Count("SELECT COUNT(*) FROM notification_attempts a JOIN notification_records r ON r.id = a.record_id WHERE "
            "a.provider_log_id = CONCAT('log', r.id) AND a.worker = 'worker' AND "
            "a.started_at = r.updated_at - INTERVAL 1 SECOND AND a.verdict = IF(r.status = 'sent', 'accepted', "
            "'refused')"),
      10);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_attempts WHERE answer = 'fine'"), 9);
  EXPECT_LE(Cost([&] { EXPECT_EQ(*store_.Write(*db_, changes), 0u) << "they have moved on"; }), 60);
  EXPECT_THAT(*store_.Compare(*db_, changes), ::testing::Each(RecordStore::Standing::kWritten));
}

// A claim whose commit may not have happened is given back by its token: the version it would have made may be
// another's.
TEST_F(StoreTest, WhatIsMeantForOneClaimLeavesAnothersAlone) {
  const auto records = store_.ReadWaiting(*db_, ids_);
  std::vector<RecordStore::ClaimKey> keys;
  std::vector<Change> changes;
  for (Record record : *records) {
    keys.push_back({record.id, record.version, ""});
    record.status = DeliveryStatus::kSending;
    ++record.version;
    changes.push_back(MakeChange(record, DeliveryEvent::kHeld, kRecordReturned));
    changes.back().due_in = microseconds{0};
    changes.back().claim = "mine";
  }
  ASSERT_EQ(*store_.Claim(*db_, keys, "theirs", std::chrono::seconds{60}), 10u);
  EXPECT_EQ(*store_.Write(*db_, changes), 0u);
  EXPECT_THAT(*store_.Compare(*db_, changes), ::testing::Each(::testing::Ne(RecordStore::Standing::kAsRead)));
  for (Change& change : changes) change.claim = "theirs";
  EXPECT_THAT(*store_.Compare(*db_, changes), ::testing::Each(RecordStore::Standing::kAsRead));
  EXPECT_EQ(*store_.Write(*db_, changes), 10u);
}

TEST_F(StoreTest, TheHeadOfAnOrderingKeyIsFoundWithoutItsFollowersAndItsPast) {
  const std::vector<std::string> keys = {std::string(AsBytes(Sha256("k"))), std::string(AsBytes(Sha256("none")))};
  EXPECT_LE(Cost([&] {
              const auto heads = OrderingStore().FindHeads(*db_, keys);
              ASSERT_TRUE(heads.has_value());
              EXPECT_GT((*heads)[0], 0);
              EXPECT_EQ((*heads)[1], 0);
            }),
            20);
}

TEST_F(StoreTest, ExpiredLeasesAndParkedRecordsAreFoundByTheirIndexes) {
  EXPECT_LE(Cost([&] { EXPECT_THAT(*store_.FindExpiredLeases(*db_, 100), SizeIs(0)); }), 10);
  EXPECT_LE(Cost([&] { EXPECT_THAT(*store_.FindParkedForChannel(*db_, "unknown", 20), SizeIs(20)); }), 60);
  EXPECT_LE(Cost([&] { EXPECT_EQ(*store_.NextChannel(*db_, shard_, "crowded"), "ops"); }), 20);
  EXPECT_LE(Cost([&] {
              const auto page = store_.FindParked(*db_, {}, 20);
              ASSERT_THAT(*page, SizeIs(20));
              const Record& last = page->back();
              const auto next = store_.FindParked(*db_, {last.parked_by, last.channel, last.id}, 20);
              ASSERT_THAT(*next, SizeIs(20));
              EXPECT_GT((*next)[0].id, last.id);
            }),
            120);
}

TEST_F(StoreTest, WalkingTheParkedMeetsEachOnce) {
  std::size_t met = 0;
  RecordStore::ParkedPlace place;
  while (true) {
    const auto page = store_.FindParked(*db_, place, 300);
    ASSERT_TRUE(page.has_value());
    if (page->empty()) break;
    met += page->size();
    place = {page->back().parked_by, page->back().channel, page->back().id};
  }
  EXPECT_EQ(met, 2u * kOthers);
}

TEST_F(StoreTest, TextsOfAnyKindComeBackAsTheyWent) {
  Record record = store_.ReadDue(*db_, std::vector{ids_[0]})->at(0);
  record.status = DeliveryStatus::kSending;
  Execute("UPDATE notification_records SET status = 'sending' WHERE id = ?", {ids_[0]});
  Change change = MakeChange(record, DeliveryEvent::kRefused, kRecordSettled);
  change.writes_answer = true;
  change.reason = "a\"b\\c";
  change.last_error = "🔥 'quoted' \\u0041 \n\t\x01 [null] " + std::string(3000, 'x');
  AttemptRow row;
  row.attempt_no = 1;
  row.verdict = "refused";
  row.detail =
      "d\xff"
      "d";
  row.answer = std::string(5000, 'y');
  change.attempt = row;
  ASSERT_EQ(*store_.Write(*db_, std::vector{change}), 1u);
  EXPECT_EQ(Column(ids_[0], "reason"), "a\"b\\c");
  EXPECT_EQ(Column(ids_[0], "last_error"), change.last_error.substr(0, 2003)) << "2000 characters, one of four bytes";
  EXPECT_EQ(Count("SELECT CHAR_LENGTH(answer) FROM notification_attempts"), 4000);
  EXPECT_EQ(Must(*db_, "SELECT detail FROM notification_attempts").rows.at(0).Text(0), "d\uFFFDd");
}

}  // namespace
}  // namespace outrider::consumer
