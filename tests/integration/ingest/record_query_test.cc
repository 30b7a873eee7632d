#include "consumer/record_query.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "consumer/retention.h"
#include "tests/integration/ingest/fixture.h"

namespace outrider::consumer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RecordQueryTest : public IngestTest {
 protected:
  std::vector<RecordView> Find(std::string_view key) {
    auto found = FindByKey(*connection_, key);
    if (!found) throw std::runtime_error(found.error().message);
    return *found;
  }
  std::vector<std::string> List(const ListFilter& filter) {
    auto found = ListRecords(*connection_, filter);
    if (!found) throw std::runtime_error(found.error().message);
    std::vector<std::string> keys;
    for (const RecordView& view : *found) keys.push_back(view.dedupe_key);
    return keys;
  }
};

TEST_F(RecordQueryTest, ARecordIsShownWithItsAttemptsInOrder) {
  Store({WithHeader(EventOf(41, Request("order-1", R"(, "recipient": "user:1", "priority": "high")")), "createdAt",
                    "2199-11-24T05:11:41.436563Z"),
         EventOf(42, Request("order-2"))});
  Must(*connection_,
       "UPDATE notification_records SET status = 'dead', reason = 'feishu_19024', attempt_no = 2, uncertain = 1, "
       "last_error = 'no' WHERE dedupe_key = 'order-1'");
  const auto id = Count("SELECT id FROM notification_records WHERE dedupe_key = 'order-1'");
  for (const std::int64_t number : {2, 1}) {
    Must(
        *connection_,
        "INSERT INTO notification_attempts (record_id, attempt_no, started_at, duration_us, worker, provider, verdict, "
        "reason, http_status, provider_code, detail) VALUES (?, ?, NOW(6), 1500, 'w', 'mock', 'refused', 'r', 200, "
        "'19024', 'd')",
        {id, number});
  }
  const auto found = Find(" order-1 ");
  ASSERT_THAT(found, SizeIs(1));
  const RecordView& view = found[0];
  EXPECT_EQ(view.id, id);
  EXPECT_EQ(view.tenant, "default");
  EXPECT_EQ(view.channel, "ops-alerts");
  EXPECT_EQ(view.event_id, "event-0-41");
  EXPECT_EQ(view.recipient, "user:1");
  EXPECT_EQ(view.status, DeliveryStatus::kDead);
  EXPECT_EQ(view.reason, "feishu_19024");
  EXPECT_EQ(view.last_error, "no");
  EXPECT_TRUE(view.uncertain);
  EXPECT_EQ(view.priority, 0);
  EXPECT_EQ(view.attempt_no, 2);
  EXPECT_EQ(view.committed_at, ParseRfc3339("2199-11-24T05:11:41.436563Z"));
  EXPECT_EQ(view.topic, kTopic);
  EXPECT_EQ(view.offset, 41);
  EXPECT_EQ(view.aggregate_id, "aggregate-1");
  ASSERT_THAT(view.attempts, SizeIs(2));
  EXPECT_EQ(view.attempts[0].attempt_no, 1);
  EXPECT_EQ(view.attempts[1].verdict, "refused");
  EXPECT_EQ(view.attempts[1].duration_us, 1500);
}

TEST_F(RecordQueryTest, AKeyIsFoundInEveryTenantAndByteForByte) {
  Store({EventOf(0, Request("a")), EventOf(1, Request("a", R"(, "tenant": "acme")")), EventOf(2, Request("A"))});
  EXPECT_THAT(Find("a"), SizeIs(2));
  EXPECT_THAT(Find("A"), SizeIs(1));
  EXPECT_THAT(Find("b"), IsEmpty());
}

TEST_F(RecordQueryTest, APrivateRecordsRecipientIsNeverGivenOut) {
  sealer_.SetKeys({KeyNamed("k1")});
  Store({EventOf(0, Request("a", R"(, "private": true, "recipient": "phone:+861")"))});
  Must(*connection_, "UPDATE notification_records SET recipient = 'phone:+861'");
  EXPECT_TRUE(Find("a").at(0).is_private);
  EXPECT_THAT(Find("a").at(0).recipient, IsEmpty());
}

TEST_F(RecordQueryTest, ListsGoByPagesFromTheNewest) {
  for (int i = 0; i < 5; ++i) Store({EventOf(i, Request(fmt::format("k{}", i)))});
  EXPECT_THAT(List({.limit = 2}), ElementsAre("k4", "k3"));
  const auto k3 = Count("SELECT id FROM notification_records WHERE dedupe_key = 'k3'");
  EXPECT_THAT(List({.before_id = k3, .limit = 2}), ElementsAre("k2", "k1"));
  Must(*connection_, "UPDATE notification_records SET status = 'sent' WHERE dedupe_key IN ('k0', 'k2')");
  EXPECT_THAT(List({.status = DeliveryStatus::kSent}), ElementsAre("k2", "k0"));
  EXPECT_THAT(List({.status = DeliveryStatus::kSent, .before_id = k3, .limit = 1}), ElementsAre("k2"));
}

// ---- Which index serves each statement, asked of the server for what was really sent ----

class PlanTest : public RecordQueryTest {
 protected:
  // The statements of the session's log that begin so, with their values.
  std::vector<std::string> Logged(std::string_view begin) {
    std::vector<std::string> statements;
    const auto rows = Must(*connection_,
                           "SELECT DISTINCT CONVERT(argument USING utf8mb4) FROM mysql.general_log "
                           "WHERE command_type = 'Execute' AND argument LIKE CONCAT(?, '%')",
                           {begin});
    for (const mysql::Row& row : rows.rows) statements.push_back(row.Text(0));
    return statements;
  }

  std::vector<std::string> KeysOf(std::string_view begin) {
    const auto statements = Logged(begin);
    if (statements.empty()) throw std::runtime_error("not logged: " + std::string(begin));
    // MariaDB logs an UPDATE's parameters as question marks.
    std::string statement = statements.back();
    constexpr std::string_view kList = "JSON_TABLE(?";
    if (const auto at = statement.find(kList); at != std::string::npos) {
      statement.replace(at, kList.size(), "JSON_TABLE('[[1, 0, 1, 1, 0, 0, 0, 0, 0]]'");
    }
    return KeysUsed(*connection_, statement);
  }

  template <class Work>
  void Log(const Work& work) {
    Must(*connection_, "SET GLOBAL log_output = 'TABLE'");
    Must(*connection_, "TRUNCATE mysql.general_log");
    Must(*connection_, "SET GLOBAL general_log = 1");
    work();
    Must(*connection_, "SET GLOBAL general_log = 0");
  }
};

TEST_F(PlanTest, EveryStatementOfIngestAndOfTheQueriesUsesItsIndex) {
  std::vector<Event> events;
  for (int i = 0; i < 2000; ++i) {
    events.push_back(EventOf(i, i % 10 == 0 ? "garbage" : Request(fmt::format("k{}", i)), i % 8));
  }
  Store(events);
  Must(*connection_, "UPDATE notification_records SET status = 'sent' WHERE id % 100 <> 0");
  Must(*connection_, "ANALYZE TABLE notification_records, consumer_shards, rejected_events");
  Log([&] {
    Store({EventOf(0, Request("k1"), 0), EventOf(3000, Request("k2"), 1), EventOf(0, "garbage", 0)});
    Store({EventOf(0, "garbage", 0), EventOf(3001, Request("k2"), 1)});
    Find("k1");
    List({.limit = 5});
    List({.status = DeliveryStatus::kPending, .limit = 5});
  });
  EXPECT_THAT(KeysOf("SELECT r.dedupe_hash"), ElementsAre("", "records_by_dedupe_hash"));
  EXPECT_THAT(KeysOf("UPDATE JSON_TABLE"), ElementsAre("", "PRIMARY"));
  EXPECT_THAT(KeysOf("SELECT topic, partition_no, offset_no, LOWER"), ElementsAre("rejected_by_position"));
  EXPECT_THAT(KeysOf("SELECT a.record_id"), ElementsAre("", "PRIMARY"));
  for (const std::string& statement : Logged("SELECT id, tenant")) {
    const auto keys = KeysUsed(*connection_, statement);
    const bool by_key = statement.find("dedupe_key =") != std::string::npos;
    const bool by_status = statement.find("status =") != std::string::npos;
    EXPECT_THAT(keys, ElementsAre(by_key ? "records_by_key" : by_status ? "records_by_status" : "PRIMARY"));
  }
  EXPECT_THAT(Logged("SELECT id, tenant"), SizeIs(3));
}

TEST_F(PlanTest, EveryStatementOfRetentionUsesItsIndex) {
  std::vector<Event> events;
  for (int i = 0; i < 2000; ++i) {
    events.push_back(EventOf(i, i % 10 == 0 ? "garbage" : Request(fmt::format("k{}", i)), i % 8));
  }
  Store(events);
  Must(*connection_,
       "UPDATE notification_records SET status = 'sent', request = IF(id % 3 = 0, NULL, request), updated_at = NOW(6) "
       "- INTERVAL id HOUR WHERE id % 10 <> 0");
  Must(*connection_, "UPDATE rejected_events SET created_at = NOW(6) - INTERVAL 300 DAY WHERE id < 50");
  Must(*connection_,
       "INSERT INTO quota_counters (day, tenant, kind, name, used) SELECT CURRENT_DATE - INTERVAL id DAY, 'a', "
       "'channel', 'ops', 1 FROM notification_records WHERE id <= 100");
  Must(*connection_, "ANALYZE TABLE notification_records, rejected_events, quota_counters");
  MetricsRegistry registry;
  RetentionProbe probe(registry);
  Retention retention({}, pool_, probe, log_.log());
  Retention::Round round;
  Log([&] { round = retention.RunOnce().value(); });
  EXPECT_GT(round.bodies * round.records * round.rejected * round.counters, 0u);
  EXPECT_THAT(KeysOf("SELECT r.id, r.shard"), ElementsAre("records_by_keeping", "PRIMARY"));
  for (const char* begin : {"UPDATE JSON_TABLE", "DELETE a FROM", "DELETE r FROM", "DELETE p FROM", "DELETE e FROM"}) {
    EXPECT_THAT(KeysOf(begin), ElementsAre("", "PRIMARY")) << begin;
  }
  EXPECT_THAT(KeysOf("SELECT id, created_at"), ElementsAre("PRIMARY"));
}

}  // namespace
}  // namespace outrider::consumer
