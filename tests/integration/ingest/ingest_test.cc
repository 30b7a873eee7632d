// What a batch becomes: records, copies, conflicts, rejected events, and the shards' progress.
#include "consumer/ingest.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <tuple>

#include "consumer/retention.h"
#include "model/dedupe_key.h"
#include "tests/integration/ingest/fixture.h"

namespace outrider::consumer {
namespace {

using std::chrono::hours;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Hex(const Digest& digest) { return ToHex(AsBytes(digest)); }

TEST_F(IngestTest, AnEventBecomesAPendingRecordWithEverythingItSays) {
  Event event = EventOf(41, Request("order-1", R"(, "recipient": "chat_id:oc_1", "tenant": "acme", "priority": "low",
      "ordering_key": "o", "max_attempts": 7, "metadata": {"order_id": "1"}, "expires_at": "2199-01-01T00:00:00Z")"));
  event = WithHeader(std::move(event), "createdAt", "2026-11-24T05:11:41.436563Z");
  event = WithHeader(std::move(event), "traceparent", "00-aa-bb-01");
  options_.dedupe_memory = hours{24 * 36500};
  ingest_ = MakeIngest(pool_);
  const auto counts = Store({event});
  EXPECT_EQ(counts.recorded, 1u);

  const auto row = Must(*connection_,
                        "SELECT LOWER(HEX(dedupe_hash)), tenant, channel, dedupe_key, event_id, status, version, "
                        "priority, LOWER(HEX(ordering_hash)), max_attempts, expires_at, recipient, request, metadata, "
                        "traceparent, source_topic, source_partition, source_offset, source_key, committed_at, "
                        "due_at <= NOW(6), parked_by, attempt_no, attempts_spent, uncertain, private "
                        "FROM notification_records")
                       .rows.at(0);
  EXPECT_EQ(row.Text(0), Hex(DedupeHash("acme", "ops-alerts", "order-1")));
  EXPECT_EQ(row.Text(1), "acme");
  EXPECT_EQ(row.Text(2), "ops-alerts");
  EXPECT_EQ(row.Text(3), "order-1");
  EXPECT_EQ(row.Text(4), "event-0-41");
  EXPECT_EQ(row.Text(5), "pending");
  EXPECT_EQ(row.Int(6), 1);
  EXPECT_EQ(row.Int(7), 2);
  EXPECT_EQ(row.Text(8), Hex(OrderingHash("acme", "ops-alerts", "o")));
  EXPECT_EQ(row.Int(9), 7);
  EXPECT_EQ(row.Time(10), ParseRfc3339("2199-01-01T00:00:00Z"));
  EXPECT_EQ(row.Text(11), "chat_id:oc_1");
  EXPECT_EQ(ParseRequest(row.Text(12)).request, ParseRequest(*event.value).request);
  EXPECT_EQ(nlohmann::json::parse(row.Text(13)), nlohmann::json({{"order_id", "1"}}));
  EXPECT_EQ(row.Text(14), "00-aa-bb-01");
  EXPECT_EQ(row.Text(15), kTopic);
  EXPECT_EQ(row.Int(16), 0);
  EXPECT_EQ(row.Int(17), 41);
  EXPECT_EQ(row.Text(18), "aggregate-1");
  EXPECT_EQ(row.Time(19), ParseRfc3339("2026-11-24T05:11:41.436563Z"));
  EXPECT_TRUE(row.Bool(20));
  EXPECT_TRUE(row.IsNull(21));
  for (std::size_t column = 22; column < 26; ++column) EXPECT_EQ(row.Int(column), 0);
  EXPECT_EQ(Shard("next_offset"), "42");
  EXPECT_EQ(Shard("events_recorded"), "1");
  EXPECT_EQ(Text("SELECT shard FROM notification_records"), Shard("shard"));
}

// Keys are compared byte for byte after trimming; these are pairs that collations merge.
TEST_F(IngestTest, KeysThatACollationWouldMergeStayApart) {
  const std::vector<std::string> keys = {"Order-1", "order-1", "é", "e", "🎉", "🔥", "a", "b"};
  std::vector<Event> events;
  for (const std::string& key : keys) events.push_back(EventOf(static_cast<std::int64_t>(events.size()), Request(key)));
  EXPECT_EQ(Store(events).recorded, keys.size());
  for (const std::string& key : keys) {
    EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE dedupe_key = ?", {std::string_view(key)}), 1)
        << key;
  }
}

// The texts of the two requests differ, so the second is another content under the same key.
TEST_F(IngestTest, WhiteSpaceAroundAKeyMakesNoOtherKey) {
  const auto counts =
      Store({EventOf(0, Request("a")), EventOf(1, Request("a ")), EventOf(2, Request("\u3000a\u00a0"))});
  EXPECT_EQ(counts.recorded, 1u);
  EXPECT_EQ(counts.conflicts, 2u);
  EXPECT_EQ(Text("SELECT dedupe_key FROM notification_records"), "a");
}

TEST_F(IngestTest, TheSameKeyInAnotherTenantOrChannelIsAnotherNotification) {
  EXPECT_EQ(Store({EventOf(0, Request("a")), EventOf(1, Request("a", R"(, "tenant": "acme")")),
                   EventOf(2, R"({"dedupe_key": "a", "channel": "other", "message": {"text": "hello"}})")})
                .recorded,
            3u);
}

TEST_F(IngestTest, CopiesAndConflictsWithinABatchAreToldApart) {
  const auto counts = Store({
      EventOf(0, Request("a")), WithId(EventOf(1, Request("a")), "event-0-0"),  // the same event again
      EventOf(2, Request("a")),                                                 // another event, the same content
      EventOf(3, Request("a", "", "other")),                                    // another event, another content
      WithId(EventOf(4, Request("a", "", "other")), "event-0-0"),               // the same event never changes anything
  });
  EXPECT_EQ(counts.recorded, 1u);
  EXPECT_EQ(counts.duplicates, 3u);
  EXPECT_EQ(counts.conflicts, 1u);
  EXPECT_EQ(Text("SELECT event_id FROM notification_records"), "event-0-0");
  EXPECT_THAT(Text("SELECT request FROM notification_records"), HasSubstr("hello"));
  EXPECT_EQ(Shard("CONCAT_WS(' ', events_recorded, events_duplicate, events_conflicting, events_rejected)"), "1 3 1 0");
  EXPECT_EQ(log_.Count("event.conflicts"), 1u);
}

TEST_F(IngestTest, CopiesAndConflictsBetweenBatchesAreToldApart) {
  Store({EventOf(0, Request("a"))});
  const auto counts =
      Store({EventOf(1, Request("a")), EventOf(2, Request("a", "", "other")), EventOf(3, Request("b"))});
  EXPECT_EQ(counts.recorded, 1u);
  EXPECT_EQ(counts.duplicates, 1u);
  EXPECT_EQ(counts.conflicts, 1u);
  EXPECT_EQ(Text("SELECT version FROM notification_records WHERE dedupe_key = 'a'"), "1");
  EXPECT_EQ(Metric(R"(consumer_records_total{result="new"})"), 2);
  EXPECT_EQ(Metric(R"(consumer_records_total{result="duplicate"})"), 1);
  EXPECT_EQ(Metric(R"(consumer_records_total{result="conflict"})"), 1);
}

TEST_F(IngestTest, ABatchReadAgainCountsNothingTwice) {
  const std::vector<Event> batch = {EventOf(0, Request("a")), EventOf(1, Request("a", "", "other")),
                                    EventOf(2, Request("a")), EventOf(3, "garbage")};
  Store(batch);
  const std::string before =
      Shard("CONCAT_WS(' ', next_offset, events_recorded, events_duplicate, events_conflicting, events_rejected)");
  EXPECT_EQ(before, "4 1 1 1 1");
  const auto again = Store(batch);
  EXPECT_EQ(again.repeated, batch.size());
  EXPECT_EQ(again.recorded + again.duplicates + again.conflicts + again.rejected, 0u);
  EXPECT_EQ(
      Shard("CONCAT_WS(' ', next_offset, events_recorded, events_duplicate, events_conflicting, events_rejected)"),
      before);
  EXPECT_EQ(Records(), 1);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rejected_events"), 1);
  EXPECT_EQ(Metric(R"(consumer_records_total{result="duplicate"})"), 1);
}

TEST_F(IngestTest, ABatchThatOverlapsTheOneBeforeCountsItsNewPart) {
  Store({EventOf(0, Request("a")), EventOf(1, Request("b"))});
  const auto counts = Store({EventOf(1, Request("b")), EventOf(2, Request("c")), EventOf(3, Request("a"))});
  EXPECT_EQ(counts.repeated, 1u);
  EXPECT_EQ(counts.recorded, 1u);
  EXPECT_EQ(counts.duplicates, 1u);
  EXPECT_EQ(Shard("CONCAT_WS(' ', next_offset, events_recorded, events_duplicate)"), "4 3 1");
}

// A topic that was deleted and made anew, or an outbox that was truncated: positions begin again.
TEST_F(IngestTest, NewEventsAtOldPositionsAreStored) {
  Store({EventOf(0, Request("a")), EventOf(1, "garbage")});
  const auto counts = Store({EventOf(0, Request("b")), EventOf(1, "other garbage")});
  EXPECT_EQ(counts.recorded, 1u);
  EXPECT_EQ(counts.rejected, 1u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rejected_events"), 2);
  EXPECT_EQ(Shard("CONCAT_WS(' ', next_offset, events_recorded, events_rejected)"), "2 2 2");
}

TEST_F(IngestTest, IdsFollowTheOrderOfArrival) {
  std::vector<Event> events;
  for (int i = 0; i < 1100; ++i) events.push_back(EventOf(i, Request(fmt::format("key-{}", i))));
  EXPECT_EQ(Store(events).recorded, events.size());
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records a JOIN notification_records b ON a.id < b.id AND "
                  "a.source_offset > b.source_offset WHERE a.id % 50 = 0"),
            0);
}

TEST_F(IngestTest, EachPartitionHasAShardOfItsOwn) {
  Store({EventOf(5, Request("a"), 0), EventOf(9, Request("b"), 1), EventOf(6, Request("c"), 0)});
  EXPECT_EQ(Shard("next_offset", 0), "7");
  EXPECT_EQ(Shard("next_offset", 1), "10");
  EXPECT_NE(Shard("shard", 0), Shard("shard", 1));
}

TEST_F(IngestTest, ShardNumbersAreNotUsedUpByBatches) {
  for (int i = 0; i < 20; ++i) Store({EventOf(i, Request(fmt::format("a{}", i)), 0)});
  Store({EventOf(0, Request("b"), 1)});
  EXPECT_EQ(Count("SELECT MAX(shard) FROM consumer_shards"), 2);
}

// ---- Parked, scheduled ----

TEST_F(IngestTest, AnUnknownChannelIsRecordedAndParked) {
  EXPECT_EQ(Store({EventOf(0, R"({"dedupe_key": "a", "channel": "nowhere", "message": {"text": "hello"}})")}).recorded,
            1u);
  EXPECT_EQ(Text("SELECT CONCAT_WS(' ', status, parked_by, due_at IS NULL, held_since IS NOT NULL) FROM "
                 "notification_records"),
            "pending channel_unknown 1 1");
  EXPECT_THAT(log_.Text(), HasSubstr("channel_unknown"));
}

// Both servers compare texts as if they were padded with spaces: "ops-alerts " would be found where ops-alerts is
// looked for, and is no channel that the program knows.
TEST_F(IngestTest, SpaceAroundAChannelsNameMakesNoOtherChannel) {
  Store({EventOf(0, R"({"dedupe_key": "a", "channel": " ops-alerts ", "message": {"text": "x"}})"),
         EventOf(1, R"({"dedupe_key": "a", "channel": "ops-alerts", "message": {"text": "x"}})")});
  EXPECT_EQ(Text("SELECT CONCAT_WS('|', channel, status, parked_by) FROM notification_records"), "ops-alerts|pending");
  EXPECT_EQ(Records(), 1);
}

TEST_F(IngestTest, ATemplateIsParkedUntilTemplatesAreKnown) {
  Store({EventOf(0, R"({"dedupe_key": "a", "channel": "ops-alerts", "template": "welcome"})")});
  EXPECT_EQ(Text("SELECT CONCAT_WS(' ', parked_by, due_at IS NULL) FROM notification_records"), "template_unknown 1");
}

TEST_F(IngestTest, AScheduledRequestIsDueThenAndAPastOneNow) {
  Store({EventOf(0, Request("a", R"(, "scheduled_at": "2199-01-01T08:00:00+08:00")")),
         EventOf(1, Request("b", R"(, "scheduled_at": "2001-01-01T00:00:00Z")"))});
  EXPECT_EQ(Text("SELECT due_at FROM notification_records WHERE dedupe_key = 'a'"), "2199-01-01 00:00:00.000000");
  EXPECT_EQ(Count("SELECT due_at BETWEEN NOW(6) - INTERVAL 1 MINUTE AND NOW(6) FROM notification_records WHERE "
                  "dedupe_key = 'b'"),
            1);
}

TEST_F(IngestTest, AnEventThatDoesNotSayWhenIsAsOldAsTheBrokerSays) {
  Event event = EventOf(0, Request("a"));
  event.timestamp = clock_.Now() - std::chrono::days{40};
  EXPECT_EQ(Store({event}).rejected, 1u);
  EXPECT_EQ(Text("SELECT reason FROM rejected_events"), "older_than_dedupe_memory");
  event = EventOf(1, Request("a"));
  event.timestamp = clock_.Now();
  EXPECT_EQ(Store({event}).recorded, 1u);
}

TEST_F(IngestTest, ACopyOfWhatRetentionRemovedIsKeptBackAndOfWhatItKeptADuplicate) {
  using std::chrono::minutes;
  constexpr minutes kMemory = std::chrono::days{30};
  MetricsRegistry registry;
  RetentionProbe probe(registry);
  std::int64_t offset = 0;
  for (const auto& [ended, created, removed] : {std::tuple{kMemory + minutes{61}, kMemory + minutes{61}, true},
                                                {kMemory + minutes{59}, kMemory + minutes{59}, false},
                                                {kMemory + minutes{90}, kMemory - minutes{1}, false},
                                                {kMemory - minutes{1}, kMemory + minutes{90}, false}}) {
    Must(*connection_, "DELETE FROM notification_records");
    Must(*connection_, "DELETE FROM rejected_events");
    Event event = EventOf(offset++, Request("a"));
    EXPECT_EQ(Store({event}).recorded, 1u);
    Must(*connection_,
         "UPDATE notification_records SET status = 'sent', request = NULL, updated_at = NOW(6) - INTERVAL ? MINUTE, "
         "committed_at = NOW(6) - INTERVAL ? MINUTE",
         {std::int64_t{ended.count()}, std::int64_t{created.count()}});
    ASSERT_TRUE(Retention({}, pool_, probe, log_.log()).RunOnce());
    EXPECT_EQ(Records(), removed ? 0 : 1);
    event.position.offset = offset++;
    event = WithHeader(event, "createdAt", FormatRfc3339(clock_.Now() - created));
    const IngestCounts counts = Store({event});
    EXPECT_EQ(counts.recorded, 0u) << ended.count() << " " << created.count();
    EXPECT_EQ(removed ? counts.rejected : counts.duplicates, 1u) << ended.count() << " " << created.count();
  }
}

TEST_F(IngestTest, UnknownFieldsAreCountedOnce) {
  const auto event = EventOf(0, Request("a", R"(, "colour": "red", "shape": "round")"));
  Store({event});
  Store({event});
  EXPECT_EQ(Metric("consumer_unknown_fields_total"), 2);
}

// ---- Rejected ----

TEST_F(IngestTest, WhatHasNoStructureIsKeptWithEverythingItCameWith) {
  Event event = EventOf(7, std::string("\x00\xff garbage", 10));
  event.key = std::string("\xfe key");
  event.headers = {{"plain", "text"}, {"absent", std::nullopt}, {"binary", "\xff\x00"}};
  const auto counts = Store({event, EventOf(8, Request("a"))});
  EXPECT_EQ(counts.rejected, 1u);
  EXPECT_EQ(counts.recorded, 1u);
  const auto row = Must(*connection_,
                        "SELECT topic, partition_no, offset_no, event_key, value, headers, reason, faults FROM "
                        "rejected_events")
                       .rows.at(0);
  EXPECT_EQ(row.Text(0), kTopic);
  EXPECT_EQ(row.Int(2), 7);
  EXPECT_EQ(row.Text(3), *event.key);
  EXPECT_EQ(row.Text(4), *event.value);
  EXPECT_EQ(row.Text(5), R"([["plain","text"],["absent",null],["binary",{"base64":"/w=="}]])");
  EXPECT_EQ(row.Text(6), "not_json");
  EXPECT_THAT(row.Text(7), HasSubstr("is not valid UTF-8"));
  EXPECT_EQ(Shard("next_offset"), "9");
  EXPECT_EQ(Shard("events_rejected"), "1");
  EXPECT_EQ(log_.Count("event.rejected"), 1u);
}

TEST_F(IngestTest, ATombstoneAndAMegabyteHeaderAreRejectedAndTheOthersGoOn) {
  Event tombstone = EventOf(0, "");
  tombstone.value.reset();
  const auto counts = Store(
      {tombstone, WithHeader(EventOf(1, Request("b")), "h", std::string(1 << 20, 'h')), EventOf(2, Request("c"))});
  EXPECT_EQ(counts.rejected, 2u);
  EXPECT_EQ(counts.recorded, 1u);
  EXPECT_EQ(Text("SELECT value IS NULL FROM rejected_events WHERE offset_no = 0"), "1");
  EXPECT_EQ(Count("SELECT LENGTH(headers) > 1000000 FROM rejected_events WHERE offset_no = 1"), 1);
}

TEST_F(IngestTest, AFloodOfRejectionsWritesFewLines) {
  std::vector<Event> events;
  for (int i = 0; i < 300; ++i) events.push_back(EventOf(i, "garbage"));
  EXPECT_EQ(Store(events).rejected, 300u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rejected_events"), 300);
  EXPECT_LE(log_.Count("event.rejected"), 10u);
  EXPECT_THAT(log_.Text(), HasSubstr("lines_left_out=290"));
}

TEST_F(IngestTest, AnEventOlderThanTheDedupeMemoryIsKeptBack) {
  const auto old = [](std::int64_t offset, std::string_view key) {
    return WithHeader(EventOf(offset, Request(key)), "createdAt", "2020-01-01T00:00:00Z");
  };
  Store({EventOf(0, Request("known"))});
  const auto counts = Store({old(1, "unknown"), old(2, "known"), EventOf(3, Request("new"))});
  EXPECT_EQ(counts.rejected, 1u);
  EXPECT_EQ(counts.duplicates, 1u);
  EXPECT_EQ(counts.recorded, 1u);
  EXPECT_EQ(Text("SELECT reason FROM rejected_events"), "older_than_dedupe_memory");
  EXPECT_EQ(Store({old(1, "unknown")}).repeated, 1u);
}

TEST_F(IngestTest, OffsetsThatTheLogHadLostAreNoticed) {
  Store({EventOf(10, Request("a"))});
  EXPECT_EQ(Shard("offsets_skipped"), "0");
  Store({EventOf(15, Request("b"))});
  EXPECT_EQ(Shard("offsets_skipped"), "4");
  EXPECT_EQ(Metric("ingest_offsets_skipped_total"), 4);
  EXPECT_EQ(log_.Count("ingest.offsets_skipped"), 1u);
}

// ---- A direct source: positions are the outbox's seq ----

class DirectIngestTest : public IngestTest {
 protected:
  static Event Row(std::int64_t seq, std::string value) {
    Event event = EventOf(seq, std::move(value));
    event.position.topic = "direct:shop";
    return event;
  }
  std::string Counters() {
    return Text(
        "SELECT CONCAT_WS(' ', next_offset, events_recorded, events_duplicate, events_conflicting, events_rejected, "
        "offsets_skipped) FROM consumer_shards");
  }
};

TEST_F(DirectIngestTest, RowsThatCommitLateAreCountedLikeAllOthers) {
  Store({Row(3, Request("a")), Row(9, Request("b"))});
  const auto counts = Store({Row(4, Request("c")), Row(5, Request("a")), Row(6, Request("a", "", "other")),
                             Row(7, "garbage"), Row(12, Request("d"))});
  EXPECT_EQ(counts.recorded, 2u);
  EXPECT_EQ(counts.duplicates, 1u);
  EXPECT_EQ(counts.conflicts, 1u);
  EXPECT_EQ(counts.rejected, 1u);
  EXPECT_EQ(Counters(), "13 4 1 1 1 0");
}

TEST_F(DirectIngestTest, TheRecordsOwnRowReadAgainCountsNothing) {
  const std::vector<Event> batch = {Row(3, Request("a")), Row(4, "garbage")};
  Store(batch);
  EXPECT_EQ(Store(batch).repeated, 2u);
  EXPECT_EQ(Counters(), "5 1 0 0 1 0");
}

// ---- Many partitions, large payloads ----

TEST_F(IngestTest, LargePayloadsAreStoredWhole) {
  std::vector<Event> events;
  for (int i = 0; i < 12; ++i) {
    events.push_back(EventOf(i, Request(fmt::format("large-{}", i), "", std::string((1 << 20) - 200, 'x'))));
  }
  EXPECT_EQ(Store(events).recorded, 12u);
  EXPECT_EQ(Count("SELECT MIN(LENGTH(request)) > 1000000 FROM notification_records"), 1);
}

TEST_F(IngestTest, ABatchOverManyPartitionsIsOneTransaction) {
  std::vector<Event> events;
  for (int i = 0; i < 300; ++i) events.push_back(EventOf(0, Request(fmt::format("p-{}", i)), i));
  EXPECT_EQ(Store(events).recorded, 300u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM consumer_shards WHERE next_offset = 1 AND events_recorded = 1"), 300);
}

TEST_F(IngestTest, AnEmptyBatchIsNothing) { EXPECT_EQ(Store({}).recorded, 0u); }

// The number of statements doesn't grow with the events.
TEST_F(IngestTest, TheStatementsOfABatchAreFew) {
  const auto queries = [&] {
    return std::stoll(Must(*connection_, "SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'").rows.at(0).Text(1));
  };
  std::vector<Event> events;
  for (int i = 0; i < 512; ++i) events.push_back(EventOf(i, Request(fmt::format("k{}", i))));
  Store({EventOf(0, Request("first"), 1)});
  const auto before = queries();
  Store(events);
  EXPECT_LE(queries() - before, 8);
}

}  // namespace
}  // namespace outrider::consumer
