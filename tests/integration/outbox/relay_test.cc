// One relay over one source while all is well.
#include "outbox/relay.h"

#include <gmock/gmock.h>

#include <set>

#include "model/request.h"
#include "outbox/outbox_writer.h"
#include "tests/integration/outbox/fixture.h"

namespace outrider::outbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Fate = testing::MemorySink::Fate;

class RelayTest : public OutboxTest {
 protected:
  void InsertMany(int rows, const std::string& key = "order") {
    ASSERT_TRUE(app_->Begin().has_value());
    for (int i = 0; i < rows; ++i) Insert(key + "-" + std::to_string(i % 10));
    ASSERT_TRUE(app_->Commit().has_value());
  }
};

TEST_F(RelayTest, AnEmptyOutboxIsLedAndGivesNothing) {
  auto relay = MakeRelay();
  const auto round = Turn(*relay);
  EXPECT_TRUE(round.leading);
  EXPECT_EQ(round.read, 0u);
  EXPECT_EQ(PartWords(), "leads with epoch 1");
  EXPECT_EQ(Metric(R"(relay_leader{source="shop"})"), 1);
}

TEST_F(RelayTest, CommittedRowsArePublishedInOrderAndDeleted) {
  std::vector<std::uint64_t> seqs;
  for (int i = 0; i < 25; ++i) seqs.push_back(Insert("order-" + std::to_string(i % 3)));
  auto relay = MakeRelay();
  const auto round = Turn(*relay);
  EXPECT_EQ(round.published, 25u);
  EXPECT_EQ(round.deleted, 25u);
  EXPECT_EQ(sink_.seqs(), seqs);
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(RelayTest, ARowArrivesAsItWasWritten) {
  Must(*app_, "SET time_zone = '+08:00'");
  Must(*app_,
       "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, traceparent, tracestate, created_at) VALUES "
       "('11111111-2222-4333-8444-555555555555', 'billing', '订单-1', 'invoice.due', "
       "'{\"text\": \"你好 🎉\"}', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'a=b', "
       "'2026-11-24 13:11:41.436563')");
  auto relay = MakeRelay();
  Turn(*relay);
  ASSERT_THAT(sink_.log(), SizeIs(1));
  const OutboxRow row = sink_.log().front().row;
  EXPECT_EQ(row.id, "11111111-2222-4333-8444-555555555555");
  EXPECT_EQ(sink_.log().front().topic, "outbox.event.billing");
  EXPECT_EQ(row.aggregateid, "订单-1");
  EXPECT_EQ(row.type, "invoice.due");
  EXPECT_EQ(row.payload, "{\"text\": \"你好 🎉\"}");
  EXPECT_EQ(row.traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  EXPECT_EQ(row.tracestate, "a=b");
  EXPECT_EQ(FormatRfc3339(row.created_at), "2026-11-24T05:11:41.436563Z");
}

TEST_F(RelayTest, AbsentTraceHeadersStayAbsent) {
  Insert("order-1");
  auto relay = MakeRelay();
  Turn(*relay);
  EXPECT_EQ(sink_.log().at(0).row.traceparent, std::nullopt);
  EXPECT_EQ(sink_.log().at(0).row.tracestate, std::nullopt);
}

TEST_F(RelayTest, ARolledBackRowNeverAppears) {
  Insert("order-1");
  ASSERT_TRUE(app_->Begin().has_value());
  const std::uint64_t never = Insert("order-1");
  auto relay = MakeRelay();
  Turn(*relay);
  app_->Rollback();
  Insert("order-1");
  Turn(*relay);
  EXPECT_THAT(sink_.seqs(), ElementsAre(never - 1, never + 1));
}

TEST_F(RelayTest, ARowThatCommitsLateIsFoundBehindAThousandLaterOnes) {
  auto slow = Connect(database_);
  ASSERT_TRUE(slow->Begin().has_value());
  const std::uint64_t late = Must(*slow, "INSERT INTO outbox (aggregateid, payload) VALUES ('late', '{}')").insert_id;
  InsertMany(1000);
  auto relay = MakeRelay();
  while (Turn(*relay).read > 0) {
  }
  EXPECT_THAT(sink_.seqs(), SizeIs(1000));
  ASSERT_TRUE(slow->Commit().has_value());
  EXPECT_EQ(Turn(*relay).published, 1u);
  EXPECT_EQ(sink_.seqs().back(), late);
  EXPECT_LT(late, sink_.seqs().front());
  EXPECT_EQ(Waiting(), 0);
}

// A DELETE that scans the table instead of going by its keys would wait for the open transaction's row.
class RelayBatchSizeTest : public RelayTest, public ::testing::WithParamInterface<int> {};

TEST_P(RelayBatchSizeTest, DeletingDoesNotWaitForRowsThatAreNotCommitted) {
  InsertMany(GetParam());
  auto slow = Connect(database_);
  ASSERT_TRUE(slow->Begin().has_value());
  Must(*slow, "INSERT INTO outbox (aggregateid, payload) VALUES ('slow', '{}')");
  InsertMany(GetParam());
  Must(*app_, "ANALYZE TABLE outbox");
  auto options = Options();
  options.lease = std::chrono::seconds(3);  // and so at most a second for a lock
  options.batch_rows = 2000;
  auto relay = MakeRelay(options);
  EXPECT_EQ(Turn(*relay).deleted, static_cast<std::size_t>(2 * GetParam()));
  slow->Rollback();
}

INSTANTIATE_TEST_SUITE_P(Rows, RelayBatchSizeTest, ::testing::Values(1, 3, 50, 250, 1000));

TEST_F(RelayTest, GapsOfAnIncrementOfSevenLoseNothing) {
  Must(*app_, "SET auto_increment_increment = 7");
  InsertMany(100);
  auto options = Options();
  options.batch_rows = 9;
  auto relay = MakeRelay(options);
  Drain(*relay);
  const auto seqs = sink_.seqs();
  EXPECT_EQ(std::set<std::uint64_t>(seqs.begin(), seqs.end()).size(), 100u);
  EXPECT_EQ(seqs.at(1) - seqs.at(0), 7u);
}

TEST_F(RelayTest, TheLedgerCountsWhatWasDeletedByTopicAndPartition) {
  InsertMany(100);
  auto options = Options();
  options.batch_rows = 30;
  auto relay = MakeRelay(options);
  Drain(*relay);
  EXPECT_EQ(Ledger(), 100);
  for (std::int64_t partition = 0; partition < 3; ++partition) {
    std::int64_t rows = 0;
    std::int64_t highest = -1;
    for (const auto& record : sink_.log()) {
      if (record.partition != partition) continue;
      ++rows;
      highest = std::max(highest, record.offset);
    }
    auto ledger =
        Must(*app_,
             "SELECT CAST(SUM(row_count) AS SIGNED), MAX(highest_offset), MIN(epoch), MIN(source), MIN(topic) "
             "FROM outbox_ledger WHERE partition_no = ?",
             {partition});
    ASSERT_GT(rows, 0);
    EXPECT_EQ(ledger.rows.at(0).Int(0), rows);
    EXPECT_EQ(ledger.rows.at(0).Int(1), highest);
    EXPECT_EQ(ledger.rows.at(0).Int(2), 1);
    EXPECT_EQ(ledger.rows.at(0).Text(3), "shop");
    EXPECT_EQ(ledger.rows.at(0).Text(4), "outbox.event.notification");
  }
}

TEST_F(RelayTest, ABatchIsBoundedInBytesAndALargePayloadArrivesWhole) {
  const std::string large = "\"" + std::string(300'000, 'x') + "\"";
  const std::string medium = "\"" + std::string(20'000, 'y') + "\"";
  Insert("order-1");
  Insert("order-1", large);
  for (int i = 0; i < 6; ++i) Insert("order-1", medium);
  auto options = Options();
  options.batch_rows = 100;
  options.batch_bytes = 64 * 1024;
  auto relay = MakeRelay(options);
  std::vector<std::size_t> batches;
  while (Waiting() > 0) batches.push_back(Turn(*relay).read);
  EXPECT_THAT(batches, ElementsAre(1, 1, 3, 3));
  const auto log = sink_.log();
  ASSERT_THAT(log, SizeIs(8));
  EXPECT_EQ(log[1].row.payload, large);
  for (int i = 2; i < 8; ++i) EXPECT_EQ(log[i].row.payload, medium);
}

TEST_F(RelayTest, AFullSinkIsPolledAndTheBatchGoesOn) {
  testing::MemorySink narrow(3);
  InsertMany(20);
  Relay relay(Options(), narrow, clock_, probe_, health_, log_.log());
  EXPECT_EQ(Turn(relay).deleted, 20u);
  EXPECT_THAT(narrow.seqs(), SizeIs(20));
}

TEST_F(RelayTest, SourcesOfOneDatabaseKeepTheirRowsApart) {
  Migrate(*app_, "orders outbox");
  Must(*app_, "INSERT INTO `orders outbox` (aggregateid, payload) VALUES ('order-1', '{}')");
  Insert("shop-1");
  auto options = Options();
  options.source = "orders";
  options.table = "orders outbox";
  auto orders = MakeRelay(options);
  EXPECT_EQ(Turn(*orders).deleted, 1u);
  EXPECT_EQ(sink_.log().at(0).row.aggregateid, "order-1");
  EXPECT_EQ(Waiting(), 1);
  auto shop = MakeRelay();
  EXPECT_EQ(Turn(*shop).deleted, 1u);
}

TEST_F(RelayTest, TheBacklogIsProbedWithItsAge) {
  Must(*app_, "INSERT INTO outbox (aggregateid, payload, created_at) VALUES ('a', '{}', '2026-01-02 03:04:05')");
  Insert("b");
  auto relay = MakeRelay();
  Turn(*relay);
  EXPECT_EQ(Metric(R"(outbox_rows{source="shop"})"), 2);
  EXPECT_EQ(Metric(R"(outbox_oldest_timestamp_seconds{source="shop"})"),
            static_cast<double>(ParseSqlTime("2026-01-02 03:04:05")->time_since_epoch().count()) / 1e6);
  EXPECT_GT(Metric(R"(outbox_probe_timestamp_seconds{source="shop"})"), 1.7e9);
}

TEST_F(RelayTest, TheMetricsSayWhatTheDatabaseSays) {
  InsertMany(40);
  auto relay = MakeRelay();
  Drain(*relay);
  EXPECT_EQ(Metric(R"(relay_read_total{source="shop"})"), 40);
  EXPECT_EQ(Metric(R"(relay_published_total{source="shop",topic="outbox.event.notification"})"), 40);
  EXPECT_EQ(Metric(R"(relay_deleted_total{source="shop"})"), 40);
  EXPECT_EQ(Metric(R"(insert_to_publish_seconds_count{source="shop"})"), 40);
  EXPECT_EQ(Metric(R"(relay_takeovers_total{source="shop"})"), 1);
}

// ---- Poison ----

TEST_F(RelayTest, ARowTheSinkRefusesAtOnceIsMovedAsideAndTheRestFlows) {
  InsertMany(10);
  Must(*app_,
       "INSERT INTO outbox (id, aggregateid, payload) VALUES ('11111111-2222-4333-8444-555555555555', 'poison', "
       "'{\"a\": \"b\"}')");
  InsertMany(10);
  sink_.RefuseAtOnce([](const OutboxRow& row) { return row.aggregateid == "poison"; });
  auto relay = MakeRelay();
  const auto round = Turn(*relay);
  EXPECT_EQ(round.published, 20u);
  EXPECT_EQ(round.deleted, 21u);
  EXPECT_EQ(round.moved_to_dead, 1u);
  EXPECT_EQ(Waiting(), 0);
  EXPECT_EQ(Ledger(), 20);
  auto dead =
      Must(*app_, "SELECT source, event_id, aggregatetype, aggregateid, payload, reason, detail FROM outbox_dead");
  ASSERT_THAT(dead.rows, SizeIs(1));
  EXPECT_EQ(dead.rows[0].Text(0), "shop");
  EXPECT_EQ(dead.rows[0].Text(1), "11111111-2222-4333-8444-555555555555");
  EXPECT_EQ(dead.rows[0].Text(2), "notification");
  EXPECT_EQ(dead.rows[0].Text(3), "poison");
  EXPECT_EQ(dead.rows[0].Text(4), "{\"a\": \"b\"}");
  EXPECT_EQ(dead.rows[0].Text(5), "cannot_be_published");
  EXPECT_EQ(dead.rows[0].Text(6), "this row can't be sent");
  EXPECT_EQ(Metric(R"(relay_moved_to_dead_total{source="shop"})"), 1);
  EXPECT_EQ(log_.Count("relay.row_moved_to_dead"), 1u);
  EXPECT_THAT(log_.Text(), ::testing::Not(HasSubstr("\"b\"")));
}

TEST_F(RelayTest, ARowTheBrokerRefusesAloneIsMovedAside) {
  InsertMany(5);
  const std::uint64_t poison = Insert("poison");
  InsertMany(5);
  sink_.DecideWith([](const OutboxRow& row) { return row.aggregateid == "poison" ? Fate::kRefuse : Fate::kStore; });
  auto relay = MakeRelay();
  Drain(*relay);
  EXPECT_EQ(Number(*app_, "SELECT CAST(seq AS SIGNED) FROM outbox_dead"), static_cast<std::int64_t>(poison));
  EXPECT_EQ(Ledger(), 10);
  ExpectFirstOccurrencesInOrder(sink_.log());
}

TEST_F(RelayTest, RowsThatAreRefusedOnlyForTheirCompanyAreNotPoison) {
  InsertMany(12);
  sink_.DecideWith([this](const OutboxRow&) { return sink_.outstanding() > 0 ? Fate::kRefuse : Fate::kStore; });
  auto relay = MakeRelay();
  Drain(*relay);
  EXPECT_EQ(Number(*app_, "SELECT COUNT(*) FROM outbox_dead"), 0);
  const auto seqs = sink_.seqs();
  EXPECT_EQ(std::set<std::uint64_t>(seqs.begin(), seqs.end()).size(), 12u);
}

TEST_F(RelayTest, RowsThatATableOfOthersMakingAllowsStopNobody) {
  Must(*app_,
       "ALTER TABLE outbox MODIFY id CHAR(60) NULL, MODIFY aggregatetype VARCHAR(300) NULL, MODIFY aggregateid "
       "VARCHAR(300) NULL, MODIFY type VARCHAR(300) NULL, MODIFY payload JSON NULL, MODIFY traceparent VARCHAR(600) "
       "NULL, MODIFY created_at TIMESTAMP(6) NULL");
  Must(*app_,
       "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, traceparent, created_at) VALUES "
       "(REPEAT('i', 60), REPEAT('a', 300), 'poison', REPEAT('t', 300), '{}', REPEAT('p', 600), NULL), "
       "(NULL, NULL, 'poison', NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL, NULL)");
  InsertMany(3);
  sink_.RefuseAtOnce([](const OutboxRow& row) { return row.aggregateid == "poison"; });
  auto relay = MakeRelay();
  const auto round = Turn(*relay);
  EXPECT_EQ(round.published, 4u);
  EXPECT_EQ(round.moved_to_dead, 2u);
  EXPECT_EQ(Waiting(), 0);
}

// ---- Writer ----

TEST_F(RelayTest, AWrittenRequestTravelsAsItIs) {
  NotificationRequest request;
  request.channel = "ops-alerts";
  request.dedupe_key = "order-1";
  request.message = Message{.kind = Message::Kind::kText, .text = "你好 🎉 \"quoted\""};
  const auto id = WriteRequest(*app_, "outbox", request, "order-1");
  ASSERT_TRUE(id.has_value()) << id.error().message;
  auto relay = MakeRelay();
  Turn(*relay);
  ASSERT_THAT(sink_.log(), SizeIs(1));
  const OutboxRow row = sink_.log().front().row;
  EXPECT_EQ(row.id, *id);
  EXPECT_EQ(row.aggregateid, "order-1");
  EXPECT_EQ(ParseRequest(row.payload).request, request);
}

TEST_F(RelayTest, AWrittenRequestIsPartOfTheCallersTransaction) {
  NotificationRequest request;
  request.channel = "ops-alerts";
  request.dedupe_key = "order-1";
  request.message = Message{.text = "hello"};
  ASSERT_TRUE(app_->Begin().has_value());
  ASSERT_TRUE(WriteRequest(*app_, "outbox", request, "order-1").has_value());
  app_->Rollback();
  EXPECT_EQ(Waiting(), 0);
}

}  // namespace
}  // namespace outrider::outbox
