// Ingest under trouble: lost answers, two at once, poison, missing tables, a server that goes away.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <latch>
#include <random>
#include <thread>

#include "consumer/ingest.h"
#include "platform/failpoint/failpoint.h"
#include "tests/integration/ingest/fixture.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/proxy/fault_proxy.h"

namespace outrider::consumer {
namespace {

using std::chrono::hours;
using testing::CutCommit;
using testing::CutMoment;
using testing::FaultProxy;
using ::testing::HasSubstr;
using ::testing::Not;

class IngestFaultTest : public IngestTest {
 protected:
  static IngestCounts Repeat(Ingest& ingest, std::span<const Event> events) {
    for (int i = 0; i < 100; ++i) {
      if (auto counts = ingest.Store(events)) return *counts;
    }
    ADD_FAILURE() << "the batch was never stored";
    return {};
  }

  // "recorded duplicates conflicts rejected" over all shards.
  std::string Totals() {
    return Text(
        "SELECT CONCAT_WS(' ', CAST(SUM(events_recorded) AS SIGNED), CAST(SUM(events_duplicate) AS SIGNED), "
        "CAST(SUM(events_conflicting) AS SIGNED), CAST(SUM(events_rejected) AS SIGNED)) FROM consumer_shards");
  }
};

// ---- The answer to COMMIT is lost ----

class LostCommitTest : public IngestFaultTest, public ::testing::WithParamInterface<CutMoment> {};

TEST_P(LostCommitTest, IsCountedOnceByTheRepetition) {
  FaultProxy proxy(server().port());
  mysql::MysqlOptions through = database_;
  through.port = proxy.port();
  mysql::MysqlPool pool(through, 1);
  const auto ingest = MakeIngest(pool);
  const std::vector<Event> first = {EventOf(0, Request("z"))};
  ASSERT_TRUE(ingest->Store(first));

  const std::vector<Event> batch = {EventOf(1, Request("a")), EventOf(2, Request("b")), EventOf(3, Request("a")),
                                    EventOf(4, Request("a", "", "other")), EventOf(5, "garbage")};
  const int cut = proxy.Inject(CutCommit(GetParam()));
  const auto lost = ingest->Store(batch);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::kUnknown);
  EXPECT_EQ(proxy.fired(cut), 1u);
  EXPECT_EQ(Records(), GetParam() == CutMoment::kAfterServer ? 3 : 1);

  const auto counts = Repeat(*ingest, batch);
  EXPECT_EQ(counts.recorded, 2u);
  EXPECT_EQ(counts.duplicates, 1u);
  EXPECT_EQ(counts.conflicts, 1u);
  EXPECT_EQ(counts.rejected, 1u);
  EXPECT_EQ(counts.repeated, 0u);
  EXPECT_EQ(Records(), 3);
  EXPECT_EQ(Totals(), "3 1 1 1");
  EXPECT_EQ(Metric(R"(consumer_records_total{result="new"})"), 3);
  EXPECT_EQ(Metric(R"(consumer_records_total{result="duplicate"})"), 1);
  EXPECT_EQ(Metric(R"(consumer_records_total{result="conflict"})"), 1);
  EXPECT_EQ(Metric(R"(consumer_records_total{result="invalid"})"), 1);
  EXPECT_EQ(log_.Count("event.rejected"), 1u);
  EXPECT_EQ(Repeat(*ingest, batch).repeated, batch.size());
}

INSTANTIATE_TEST_SUITE_P(Moments, LostCommitTest, ::testing::Values(CutMoment::kBeforeServer, CutMoment::kAfterServer),
                         [](const auto& test) {
                           return test.param == CutMoment::kBeforeServer ? "BeforeTheServer" : "AfterTheServer";
                         });

TEST_F(IngestFaultTest, TwoLostAnswersInARowAreCountedOnce) {
  FaultProxy proxy(server().port());
  mysql::MysqlOptions through = database_;
  through.port = proxy.port();
  mysql::MysqlPool pool(through, 1);
  const auto ingest = MakeIngest(pool);
  const std::vector<Event> batch = {EventOf(0, Request("a"))};
  const int cut = proxy.Inject(CutCommit(CutMoment::kAfterServer, 1, 2));
  EXPECT_EQ(Repeat(*ingest, batch).recorded, 1u);
  EXPECT_EQ(proxy.fired(cut), 2u);
  EXPECT_EQ(Totals(), "1 0 0 0");
  EXPECT_EQ(Metric(R"(consumer_records_total{result="new"})"), 1);
}

// A direct source reads again after a lost answer, and by then more rows may be there.
class LostDirectCommitTest : public IngestFaultTest, public ::testing::WithParamInterface<CutMoment> {};

TEST_P(LostDirectCommitTest, IsCountedOnceWithWhatCameBetween) {
  const auto row = [](std::int64_t seq, std::string value) {
    Event event = EventOf(seq, std::move(value));
    event.position.topic = "direct:shop";
    return event;
  };
  FaultProxy proxy(server().port());
  mysql::MysqlOptions through = database_;
  through.port = proxy.port();
  mysql::MysqlPool pool(through, 1);
  const auto ingest = MakeIngest(pool);
  ASSERT_TRUE(ingest->Store(std::vector<Event>{row(9, Request("a"))}));
  // Late rows only, so the shard's next offset stays where it is.
  std::vector<Event> batch = {row(3, Request("a")), row(5, Request("b")), row(6, "garbage")};
  const int cut = proxy.Inject(CutCommit(GetParam()));
  ASSERT_FALSE(ingest->Store(batch));
  EXPECT_EQ(proxy.fired(cut), 1u);
  batch.insert(batch.begin() + 1, row(4, Request("a")));
  const auto counts = Repeat(*ingest, batch);
  EXPECT_EQ(counts.recorded, 1u);
  EXPECT_EQ(counts.duplicates, 2u);
  EXPECT_EQ(counts.rejected, 1u);
  EXPECT_EQ(counts.repeated, 0u);
  EXPECT_EQ(Totals(), "2 2 0 1");
  EXPECT_EQ(Metric(R"(consumer_records_total{result="duplicate"})"), 2);
}

INSTANTIATE_TEST_SUITE_P(Moments, LostDirectCommitTest,
                         ::testing::Values(CutMoment::kBeforeServer, CutMoment::kAfterServer), [](const auto& test) {
                           return test.param == CutMoment::kBeforeServer ? "BeforeTheServer" : "AfterTheServer";
                         });

TEST_F(IngestFaultTest, AnErrorBeforeTheCommitLeavesNothing) {
  ASSERT_TRUE(failpoint::Arm("ingest.before_commit=error@1"));
  const std::vector<Event> batch = {EventOf(0, Request("a"))};
  EXPECT_FALSE(ingest_->Store(batch));
  failpoint::Disarm();
  EXPECT_EQ(Records(), 0);
  EXPECT_EQ(Store(batch).recorded, 1u);
}

// ---- Two at once ----

// Each of four processes reads the same keys from a partition of its own, in an order of its own.
TEST_F(IngestFaultTest, IngestsThatRunAtTheSameTimeCountEachEventOnce) {
  constexpr int kIngests = 4;
  constexpr int kKeys = 600;
  constexpr std::size_t kBatch = 100;
  std::vector<IngestCounts> counts(kIngests);
  {
    std::latch start(kIngests);
    std::vector<std::jthread> threads;
    for (int i = 0; i < kIngests; ++i) {
      threads.emplace_back([&, i] {
        std::vector<int> keys(kKeys);
        for (int k = 0; k < kKeys; ++k) keys[static_cast<std::size_t>(k)] = k;
        std::ranges::shuffle(keys, std::mt19937(static_cast<unsigned>(i)));
        std::vector<Event> events;
        for (int k = 0; k < kKeys; ++k) {
          const int key = keys[static_cast<std::size_t>(k)];
          // The last process says something else under each key.
          events.push_back(EventOf(k, Request(fmt::format("key-{}", key), "", i == 3 ? "other" : "hello"), i));
        }
        mysql::MysqlPool pool(database_, 1);
        const auto ingest = MakeIngest(pool);
        start.arrive_and_wait();
        for (std::size_t at = 0; at < events.size(); at += kBatch) {
          const auto stored = Repeat(*ingest, std::span<const Event>(events).subspan(at, kBatch));
          counts[static_cast<std::size_t>(i)].recorded += stored.recorded;
          counts[static_cast<std::size_t>(i)].duplicates += stored.duplicates;
          counts[static_cast<std::size_t>(i)].conflicts += stored.conflicts;
        }
      });
    }
  }
  EXPECT_EQ(Records(), kKeys);
  std::size_t recorded = 0;
  for (const IngestCounts& one : counts) {
    recorded += one.recorded;
    EXPECT_EQ(one.recorded + one.duplicates + one.conflicts, static_cast<std::size_t>(kKeys));
  }
  EXPECT_EQ(recorded, static_cast<std::size_t>(kKeys));
  // A key is a conflict for everyone who says something else than the record: all three, or the last one.
  const auto others = Count("SELECT COUNT(*) FROM notification_records WHERE source_partition = 3");
  EXPECT_EQ(Totals(), fmt::format("{} {} {} 0", kKeys, 2 * (kKeys - others), kKeys - others + 3 * others));
}

// A consumer that was paused while its partition went to another one goes on with its batch.
TEST_F(IngestFaultTest, TwoIngestsOfOnePartitionCountEachEventOnce) {
  constexpr int kEvents = 400;
  std::vector<Event> events;
  for (int k = 0; k < kEvents; ++k) {
    events.push_back(EventOf(k, k % 4 == 3 ? "garbage" : Request(fmt::format("key-{}", k / 2))));
  }
  {
    std::latch start(3);
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        mysql::MysqlPool pool(database_, 1);
        const auto ingest = MakeIngest(pool);
        const std::size_t batch = 20 + 10 * i;
        start.arrive_and_wait();
        for (std::size_t at = 0; at < events.size(); at += batch) {
          Repeat(*ingest, std::span<const Event>(events).subspan(at, std::min(batch, events.size() - at)));
        }
      });
    }
  }
  EXPECT_EQ(Records(), 200);
  EXPECT_EQ(Totals(), "200 100 0 100");
  EXPECT_EQ(Shard("next_offset"), "400");
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rejected_events"), 100);
  EXPECT_EQ(Shard("offsets_skipped"), "0");
}

// Both have read how far the shard is before either moves it.
TEST_F(IngestFaultTest, CopiesThatTwoIngestsReadAtTheSameTimeAreCountedOnce) {
  Store({EventOf(0, Request("a"))});
  const std::vector<Event> copies = {EventOf(1, Request("a")), EventOf(2, Request("a", "", "other"))};
  std::vector<IngestCounts> counts(2);
  const auto holder = Connect(database_);
  ASSERT_TRUE(holder->Begin());
  Must(*holder, "SELECT shard FROM consumer_shards FOR UPDATE");
  {
    std::vector<std::jthread> threads;
    for (IngestCounts& one : counts) {
      threads.emplace_back([&] {
        mysql::MysqlPool pool(database_, 1);
        one = Repeat(*MakeIngest(pool), copies);
      });
    }
    EXPECT_TRUE(testing::WaitUntil([&] { return testing::RowLockWaits(*connection_) == 2; }));
    holder->Rollback();
  }
  EXPECT_EQ(Totals(), "1 1 1 0");
  EXPECT_EQ(counts[0].duplicates + counts[1].duplicates, 1u);
  EXPECT_EQ(counts[0].repeated + counts[1].repeated, 2u);
}

// ---- Poison ----

TEST_F(IngestFaultTest, ARowThatTheServerRefusesIsRejectedAloneAndTheOthersAreStored) {
  Must(*connection_, "ALTER TABLE notification_records ADD CONSTRAINT no_poison CHECK (dedupe_key <> 'poison')");
  std::vector<Event> events;
  for (int i = 0; i < 50; ++i) events.push_back(EventOf(i, Request(i == 17 ? "poison" : fmt::format("k{}", i))));
  const auto counts = Store(events);
  EXPECT_EQ(counts.recorded, 49u);
  EXPECT_EQ(counts.rejected, 1u);
  EXPECT_EQ(Text("SELECT CONCAT_WS(' ', offset_no, reason, value IS NOT NULL) FROM rejected_events"),
            "17 cannot_be_stored 1");
  EXPECT_EQ(Shard("CONCAT_WS(' ', next_offset, events_recorded, events_rejected)"), "50 49 1");
  EXPECT_EQ(Metric(R"(consumer_records_total{result="new"})"), 49);
}

TEST_F(IngestFaultTest, WhatIsLargerThanTheServerTakesIsNamedByItsPosition) {
  const auto small = testing::DatabaseServer::Start(server().kind(), {"--max-allowed-packet=1048576"});
  database_ = mysql::ParseMysqlUrl(small->CreateDatabase()).value();
  connection_ = Connect(database_);
  Migrate(*connection_);
  mysql::MysqlPool pool(database_, 1);
  const auto ingest = MakeIngest(pool);
  const std::vector<Event> events = {EventOf(0, Request("a")),
                                     EventOf(1, Request("large", "", std::string((1 << 20) - 300, 'x'))),
                                     EventOf(2, Request("b"))};
  const auto counts = Repeat(*ingest, events);
  EXPECT_EQ(counts.recorded, 2u);
  EXPECT_EQ(counts.rejected, 1u);
  EXPECT_EQ(Text("SELECT CONCAT_WS(' ', offset_no, reason, value IS NULL) FROM rejected_events"),
            "1 cannot_be_stored 1");
  EXPECT_THAT(Text("SELECT faults FROM rejected_events"), HasSubstr("max_allowed_packet"));
  EXPECT_EQ(Repeat(*ingest, events).repeated, 3u);
  connection_.reset();
}

TEST_F(IngestFaultTest, AMissingTableIsNoEventsFault) {
  Must(*connection_, "RENAME TABLE notification_records TO gone");
  const std::vector<Event> batch = {EventOf(0, Request("a")), EventOf(1, Request("b"))};
  const auto refused = ingest_->Store(batch);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM rejected_events"), 0);
  Must(*connection_, "RENAME TABLE gone TO notification_records");
  EXPECT_EQ(Store(batch).recorded, 2u);
}

TEST_F(IngestFaultTest, AServerThatIsAwaySaysTryAgain) {
  FaultProxy proxy(server().port());
  mysql::MysqlOptions through = database_;
  through.port = proxy.port();
  mysql::MysqlPool pool(through, 1);
  const auto ingest = MakeIngest(pool);
  const std::vector<Event> batch = {EventOf(0, Request("a"))};
  proxy.Inject(testing::Refuse());
  const auto refused = ingest->Store(batch);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  proxy.Heal();
  EXPECT_EQ(Repeat(*ingest, batch).recorded, 1u);
}

// ---- Re-opening ----

class ReopenTest : public IngestFaultTest {
 protected:
  ReopenTest() {
    providers::ChannelSettings channel;
    channel.code = "ops-alerts";
    channel.provider = "mock";
    channel.reopen = {DeliveryStatus::kDead};
    sender_.SetChannels({channel});
    Store({At(0, "2030-01-01T00:00:00Z", "hello")});
  }

  static Event At(std::int64_t offset, std::string_view created, std::string_view text) {
    return WithHeader(EventOf(offset, Request("a", R"(, "recipient": "user:1")", text)), "createdAt",
                      std::string(created));
  }
  void End(std::string_view status) {
    Must(*connection_,
         "UPDATE notification_records SET status = ?, reason = 'r', version = version + 5, attempt_no = 3, "
         "attempts_spent = 3, uncertain = 1, send_key = 'k', send_key_first_used_at = NOW(6), due_at = NULL",
         {status});
  }
  std::string State() {
    return Text(
        "SELECT CONCAT_WS(' ', status, version, attempt_no, attempts_spent, uncertain, send_key IS NULL, "
        "reason IS NULL, due_at IS NOT NULL, event_id) FROM notification_records");
  }
};

TEST_F(ReopenTest, ADifferentEventReopensADeadRecordWithItsOwnContent) {
  End("dead");
  const auto counts = Store({At(1, "2030-01-02T00:00:00Z", "again")});
  EXPECT_EQ(counts.conflicts, 1u);
  EXPECT_EQ(State(), "pending 7 3 0 0 1 1 1 event-0-1");
  EXPECT_THAT(Text("SELECT request FROM notification_records"), HasSubstr("again"));
  EXPECT_EQ(Text("SELECT source_offset FROM notification_records"), "1");
  EXPECT_EQ(log_.Count("record.reopened"), 1u);
  EXPECT_EQ(Text("SELECT CONCAT_WS(' ', l.actor, l.action, l.records, r.was_status) FROM audit_log AS l JOIN "
                 "audit_records AS r ON r.audit_id = l.id"),
            "event event-0-1 reopen 1 dead");
}

TEST_F(ReopenTest, OnlyOneOfABatchReopens) {
  End("dead");
  Store({At(1, "2030-01-02T00:00:00Z", "first"), At(2, "2030-01-03T00:00:00Z", "second")});
  EXPECT_EQ(State(), "pending 7 3 0 0 1 1 1 event-0-1");
}

TEST_F(ReopenTest, TheSameEventReopensNothing) {
  End("dead");
  const std::string before = State();
  Store({WithId(At(1, "2030-01-02T00:00:00Z", "again"), "event-0-0")});
  EXPECT_EQ(State(), before);
}

TEST_F(ReopenTest, StatesThatTheChannelDoesNotListStayEnded) {
  for (const std::string_view status : {"skipped", "sent"}) {
    End(status);
    const std::string before = State();
    Store({At(status == "sent" ? 2 : 1, "2030-01-02T00:00:00Z", "again")});
    EXPECT_EQ(State(), before);
  }
}

TEST_F(ReopenTest, AnEventThatIsReadAgainReopensNothing) {
  const Event other = At(1, "2030-01-02T00:00:00Z", "again");
  Store({other});
  End("dead");
  const std::string before = State();
  Store({other});
  EXPECT_EQ(State(), before);
}

TEST_F(ReopenTest, ALateCopyOfAnOlderEventReopensNothing) {
  End("dead");
  Store({At(1, "2030-01-02T00:00:00Z", "again")});
  End("dead");
  const std::string before = State();
  Store({WithId(At(2, "2030-01-01T00:00:00Z", "hello"), "event-0-0")});
  EXPECT_EQ(State(), before);
}

}  // namespace
}  // namespace outrider::consumer
