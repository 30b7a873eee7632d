// What is removed when its time is over, what stays, and what finding it costs.
#include "consumer/retention.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "consumer/record_audit.h"
#include "platform/failpoint/failpoint.h"
#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using std::chrono::hours;

class RetentionTest : public DeliveryTest {
 protected:
  ~RetentionTest() override { failpoint::Disarm(); }

  Retention::Round Keep() {
    Retention retention(keep_, pool_, retention_probe_, log_.log());
    auto round = retention.RunOnce();
    if (!round) throw std::runtime_error(round.error().message);
    return *round;
  }
  // A finished record whose end was that many hours ago, with an attempt.
  std::int64_t Ended(const std::string& key, std::string_view status, int hours_ago) {
    const auto id = InsertKey(key);
    Execute(
        "UPDATE notification_records SET status = ?, due_at = NULL, attempt_no = 1, updated_at = NOW(6) - INTERVAL ? "
        "HOUR, committed_at = NULL WHERE id = ?",
        {status, std::int64_t{hours_ago}, id});
    Execute(
        "INSERT INTO notification_attempts (record_id, attempt_no, started_at, worker, verdict) VALUES (?, 1, NOW(6), "
        "'w', 'accepted')",
        {id});
    return id;
  }
  std::string BodyOf(std::int64_t id) { return Column(id, "request IS NOT NULL"); }
  std::int64_t Records() { return Count("SELECT COUNT(*) FROM notification_records"); }
  std::int64_t Attempts() { return Count("SELECT COUNT(*) FROM notification_attempts"); }
  std::int64_t Removed() { return Count("SELECT CAST(COALESCE(SUM(records), 0) AS SIGNED) FROM record_removals"); }

  RetentionOptions keep_{.sent = hours{7 * 24},
                         .skipped = hours{3 * 24},
                         .dead = hours{90 * 24},
                         .rejected = hours{40 * 24},
                         .dedupe_memory = hours{30 * 24}};
  RetentionProbe retention_probe_{registry_};
};

TEST_F(RetentionTest, BodiesGoAfterTheTimeOfTheirStatus) {
  const auto old_sent = Ended("a", "sent", 8 * 24);
  const auto sent = Ended("b", "sent", 6 * 24);
  const auto old_skipped = Ended("c", "skipped", 4 * 24);
  const auto skipped = Ended("d", "skipped", 2 * 24);
  const auto dead = Ended("e", "dead", 80 * 24);
  const auto open = InsertKey("f");
  const auto version = Column(old_sent, "version");
  EXPECT_EQ(Keep().bodies, 2u);
  for (const auto id : {old_sent, old_skipped}) EXPECT_EQ(BodyOf(id), "0");
  for (const auto id : {sent, skipped, dead, open}) EXPECT_EQ(BodyOf(id), "1");
  EXPECT_NE(Column(old_sent, "version"), version);
  EXPECT_EQ(Column(old_sent, "recipient"), "chat_id:oc_1");
  EXPECT_EQ(Records(), 6);
  EXPECT_EQ(Metric("retention_removed_total{what=\"body\"}"), 2);
  EXPECT_EQ(Keep().bodies, 0u);
}

TEST_F(RetentionTest, ARecordGoesWithItsAttemptsOnceNoCopyOfItsEventCanCome) {
  Ended("a", "sent", 30 * 24 + 2);
  const auto just = Ended("b", "sent", 30 * 24);  // an application's clock may be ahead by an hour
  const auto dead = Ended("c", "dead", 31 * 24);  // its body is kept for longer than the memory
  EXPECT_EQ(Keep().records, 1u);
  EXPECT_EQ(Records(), 2);
  EXPECT_EQ(Attempts(), 2);
  EXPECT_EQ(Removed(), 1);
  EXPECT_EQ(Column(just, "status"), "sent");
  EXPECT_EQ(BodyOf(dead), "1");
}

TEST_F(RetentionTest, RemovedRecordsAreNotLostToTheAudit) {
  Ended("a", "sent", 40 * 24);
  Ended("b", "dead", 100 * 24);
  InsertKey("c");
  Execute("UPDATE consumer_shards SET events_recorded = 3");
  EXPECT_EQ(Keep().records, 2u);
  const auto audit = AuditRecords(*db_, std::chrono::seconds{60});
  ASSERT_TRUE(audit);
  ASSERT_EQ(audit->shards.size(), 1u);
  EXPECT_EQ(audit->shards[0].recorded, 3u);
  EXPECT_EQ(audit->shards[0].records, 1u);
  EXPECT_EQ(audit->shards[0].removed, 2u);
}

TEST_F(RetentionTest, ADeadRecordThatHoldsItsKeyStays) {
  const auto id = Ended("a", "dead", 200 * 24);
  Execute("INSERT INTO ordering_blocks (record_id, ordering_hash, channel) VALUES (?, REPEAT('x', 32), 'ops')", {id});
  EXPECT_EQ(Keep().bodies, 0u);
  EXPECT_EQ(BodyOf(id), "1");
  Execute("DELETE FROM ordering_blocks");
  EXPECT_EQ(Keep().records, 1u);
}

TEST_F(RetentionTest, ThoseThatStayDoNotStandBeforeTheOthers) {
  for (int i = 0; i < 7; ++i) {
    const auto id = Ended(fmt::format("held{}", i), "dead", 200 * 24);
    Execute("INSERT INTO ordering_blocks (record_id, ordering_hash, channel) VALUES (?, REPEAT('x', 32), 'ops')", {id});
  }
  // Of one transaction, as when a person discards many.
  Execute("UPDATE notification_records SET updated_at = '2026-01-01'");
  Ended("a", "dead", 100 * 24);
  Ended("b", "dead", 100 * 24);
  keep_.batch = 2;
  Retention retention(keep_, pool_, retention_probe_, log_.log());
  const auto pass = [&] {
    std::size_t removed = 0;
    int rounds = 0;
    for (bool more = true; more && rounds < 10; ++rounds) {
      const auto round = retention.RunOnce();
      if (!round) throw std::runtime_error(round.error().message);
      removed += round->bodies;
      more = round->more;
    }
    EXPECT_LE(rounds, 6);
    return removed;
  };
  EXPECT_EQ(pass(), 2u);
  EXPECT_EQ(pass(), 0u);
  Execute("DELETE FROM ordering_blocks");
  EXPECT_EQ(pass(), 7u);
}

TEST_F(RetentionTest, RejectedEventsGoAfterTheirTimeWithWhatIsKnownOfTheirReplays) {
  for (const auto& [offset, hours_ago] : {std::pair{1, 41 * 24}, {2, 39 * 24}}) {
    Execute(
        "INSERT INTO rejected_events (topic, partition_no, offset_no, event_hash, headers, reason, faults, created_at) "
        "VALUES ('t', 0, ?, REPEAT('x', 32), '[]', 'not_json', '[]', NOW(6) - INTERVAL ? HOUR)",
        {std::int64_t{offset}, std::int64_t{hours_ago}});
  }
  Execute("INSERT INTO rejected_replays SELECT id, 1, 'e' FROM rejected_events");
  EXPECT_EQ(Keep().rejected, 1u);
  EXPECT_EQ(Count("SELECT MAX(offset_no) FROM rejected_events"), 2);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rejected_replays"), 1);
  // What is read again is known until nothing so old can be read any more.
  keep_.rejected = hours{1};
  EXPECT_EQ(Keep().rejected, 1u);
  Execute(
      "INSERT INTO rejected_events (topic, partition_no, offset_no, event_hash, headers, reason, faults, created_at) "
      "VALUES ('t', 0, 3, REPEAT('x', 32), '[]', 'not_json', '[]', NOW(6) - INTERVAL 29 DAY)");
  EXPECT_EQ(Keep().rejected, 0u);
}

TEST_F(RetentionTest, ARecordStaysAsLongAsACopyOfAnEventFromTheFutureIsYoung) {
  const auto id = Ended("a", "sent", 40 * 24);
  Execute("UPDATE notification_records SET committed_at = NOW(6) - INTERVAL 29 DAY WHERE id = ?", {id});
  EXPECT_EQ(Keep().records, 0u);
  Execute("UPDATE notification_records SET committed_at = NOW(6) - INTERVAL 31 DAY WHERE id = ?", {id});
  EXPECT_EQ(Keep().records + Keep().records, 1u);
}

TEST_F(RetentionTest, CountersOfDaysLongGoneGo) {
  Execute(
      "INSERT INTO quota_counters (day, tenant, kind, name, used) VALUES (CURRENT_DATE - INTERVAL 36 DAY, 'a', "
      "'channel', 'ops', 1), (CURRENT_DATE - INTERVAL 34 DAY, 'a', 'channel', 'ops', 1)");
  EXPECT_EQ(Keep().counters, 1u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM quota_counters WHERE day > CURRENT_DATE - INTERVAL 35 DAY"), 1);
}

TEST_F(RetentionTest, ItGoesByBatchesAndSaysWhenThereIsMore) {
  for (int i = 0; i < 5; ++i) Ended(fmt::format("k{}", i), "sent", 8 * 24);
  keep_.batch = 2;
  EXPECT_TRUE(Keep().more);
  EXPECT_TRUE(Keep().more);
  EXPECT_FALSE(Keep().more);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE request IS NULL"), 5);
}

TEST_F(RetentionTest, ABatchThatFailsBeforeItsCommitIsNotDoneAndNotCounted) {
  Ended("a", "sent", 40 * 24);
  ASSERT_TRUE(failpoint::Arm("retention.before_commit=error@2"));  // the first is the body's
  Retention retention(keep_, pool_, retention_probe_, log_.log());
  EXPECT_FALSE(retention.RunOnce());
  EXPECT_EQ(Records(), 1);
  EXPECT_EQ(Attempts(), 1);
  EXPECT_EQ(Removed(), 0);
  failpoint::Disarm();
  EXPECT_EQ(Keep().records, 1u);
  EXPECT_EQ(Removed(), 1);
}

TEST_F(RetentionTest, SeveralProcessesRemoveEachRecordOnceWhileOthersAreDelivered) {
  const auto old = Ended("pattern", "sent", 40 * 24);
  for (int i = 0; i < 400; ++i) Ended(fmt::format("old{}", i), i % 2 == 0 ? "sent" : "skipped", 40 * 24);
  EXPECT_GT(old, 0);
  const auto ids = InsertMany(200);
  keep_.batch = 7;
  std::atomic<std::size_t> removed = 0;
  std::atomic<int> failures = 0;
  std::vector<std::jthread> processes;
  for (int i = 0; i < 3; ++i) {
    processes.emplace_back([&] {
      Retention retention(keep_, pool_, retention_probe_, log_.log());
      for (bool more = true; more;) {
        const auto round = retention.RunOnce();
        if (!round) ++failures;
        removed += round ? round->records : 0;
        more = !round || round->more;
      }
    });
  }
  auto delivery = MakeDelivery();
  EXPECT_TRUE(testing::WaitUntil([&] {
    Turn(*delivery);
    return Delivered().size() == ids.size();
  }));
  processes.clear();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(Keep().records + removed, 401u);
  EXPECT_EQ(Removed(), 401);
  EXPECT_TRUE(WaitForCount("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'", 200));
  EXPECT_EQ(Records(), 200);
  EXPECT_EQ(Attempts(), 200);
}

TEST_F(RetentionTest, WhatIsKeptCostsNothing) {
  for (int i = 0; i < 3; ++i) Ended(fmt::format("old{}", i), "sent", 8 * 24);
  const auto pattern = Ended("pattern", "sent", 24);
  const auto copy = [&](int from, int hours_ago, std::string_view request) {
    for (int i = from; i < from + 500; ++i) {
      Execute(
          fmt::format("INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, "
                      "content_hash, status, shard, priority, request, source_topic, source_partition, "
                      "source_offset, updated_at) SELECT UNHEX(SHA2('{0}', 256)), tenant, channel, 'c{0}', event_id, "
                      "content_hash, status, shard, priority, {2}, 't', 0, 1, NOW(6) - INTERVAL {1} HOUR FROM "
                      "notification_records WHERE id = {3}",
                      i, hours_ago, request, pattern));
    }
  };
  ASSERT_TRUE(db_->Begin());
  copy(0, 24, "'{}'");
  copy(500, 20 * 24, "NULL");
  ASSERT_TRUE(db_->Commit());
  mysql::MysqlPool one(database_, 1);
  Retention retention(keep_, one, retention_probe_, log_.log());
  ASSERT_TRUE(retention.RunOnce());  // prepares
  for (int i = 0; i < 3; ++i) Ended(fmt::format("young{}", i), "sent", 8 * 24);
  const auto reads = [&] {
    auto connection = one.Acquire();
    std::int64_t sum = 0;
    for (const mysql::Row& row : Must(**connection, "SHOW SESSION STATUS LIKE 'Handler_read%'").rows) {
      sum += std::stoll(row.Text(1));
    }
    return sum;
  };
  const auto before = reads();
  EXPECT_EQ(retention.RunOnce()->bodies, 3u);
  EXPECT_LE(reads() - before, 60);
  // Nor does what is still to go, beyond a batch.
  keep_.sent = hours{1};
  keep_.batch = 5;
  Retention next(keep_, one, retention_probe_, log_.log());
  const auto before_next = reads();
  EXPECT_EQ(next.RunOnce()->bodies, 5u);
  EXPECT_LE(reads() - before_next, 100);
}

}  // namespace
}  // namespace outrider::consumer
