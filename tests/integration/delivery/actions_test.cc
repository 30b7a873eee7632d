// What persons do to records: replay, discard, cancel; each once, audited, in the states that allow it.
#include "consumer/record_actions.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/integration/delivery/fixture.h"
#include "tests/support/process/wait_until.h"

namespace outrider::consumer {
namespace {

using fake_im::FaultKind;
using ::testing::ElementsAre;

class ActionsTest : public DeliveryTest {
 protected:
  ActionJob Begin(DeliveryEvent event, RecordFilter filter = {}) {
    auto job = actions_.Begin(event, std::move(filter), "mei@desk", "the webhook was wrong");
    if (!job) throw std::runtime_error(job.error().message);
    return *job;
  }
  RecordActions::Batch RunBatch(const ActionJob& job, std::int64_t after_id = 0, std::size_t most = 100) {
    auto batch = actions_.RunBatch(job, after_id, most);
    if (!batch) throw std::runtime_error(batch.error().message);
    return *batch;
  }
  std::size_t Do(DeliveryEvent event, RecordFilter filter = {}) { return RunBatch(Begin(event, filter)).changed; }
  RecordActions::Preview Look(const ActionJob& job) { return actions_.Look(job).value(); }

  std::int64_t InsertEnded(NewRecord record, const std::string& reason, const std::string& more = "") {
    const std::int64_t id = Insert(record);
    Execute(fmt::format("UPDATE notification_records SET reason = '{}', due_at = NULL {} WHERE id = ?", reason, more),
            {id});
    return id;
  }
  std::int64_t InsertDead(const std::string& key, const std::string& reason = "feishu_19024") {
    return InsertEnded({.key = key, .status = "dead"}, reason);
  }
  std::string Audit() {
    return Must(*db_,
                "SELECT COALESCE(GROUP_CONCAT(CONCAT_WS(' ', actor, action, records, reason) ORDER BY id SEPARATOR '; "
                "'), '') FROM audit_log")
        .rows.at(0)
        .Text(0);
  }

  bool blocks_ = false;
  RecordActions actions_{pool_, [this](std::string_view) { return blocks_; }};
};

TEST_F(ActionsTest, AReplayedRecordBeginsAnew) {
  const std::int64_t id = InsertEnded({.key = "a", .status = "dead"}, "uncertain",
                                      ", attempt_no = 5, attempts_spent = 5, uncertain = TRUE, send_key = 'old', "
                                      "send_key_first_used_at = NOW(6), held_since = NOW(6), last_error = 'x'");
  EXPECT_EQ(Do(DeliveryEvent::kReplayed), 1u);
  EXPECT_EQ(Story(id), "pending");
  EXPECT_EQ(Column(id, "CONCAT_WS(' ', attempt_no, send_key, send_key_first_used_at, held_since, last_error)"), "5")
      << "attempts go on counting, nothing else of the old life is left";
  EXPECT_EQ(Audit(), "mei@desk replay 1 the webhook was wrong");
  EXPECT_EQ(Count("SELECT COUNT(*) FROM audit_records WHERE record_id = ? AND was_status = 'dead' AND was_reason = "
                  "'uncertain' AND was_uncertain",
                  {id}),
            1);
  auto delivery = MakeDelivery();
  Turn(*delivery);
  ASSERT_TRUE(WaitForStatus(id, "sent"));
  EXPECT_EQ(Attempts(id), "6 accepted");
}

TEST_F(ActionsTest, SkippedRecordsAreReplayedWhenTheyAreAskedFor) {
  const std::int64_t id = InsertEnded({.key = "a", .status = "skipped"}, "channel_disabled");
  EXPECT_EQ(Do(DeliveryEvent::kReplayed), 0u);
  EXPECT_EQ(Do(DeliveryEvent::kReplayed, {.status = DeliveryStatus::kSkipped}), 1u);
  EXPECT_EQ(Story(id), "pending");
}

TEST_F(ActionsTest, WhatHasNothingToSendAnyMoreIsNotReplayedAndIsCounted) {
  const std::int64_t forgotten = InsertDead("a");
  Execute("UPDATE notification_records SET request = NULL WHERE id = ?", {forgotten});
  const std::int64_t expired =
      InsertEnded({.key = "b", .expires = "NOW(6) - INTERVAL 1 SECOND", .status = "dead"}, "x");
  const std::int64_t fine = InsertDead("c");
  const ActionJob job = Begin(DeliveryEvent::kReplayed);
  EXPECT_EQ(Look(job).records, 1u);
  EXPECT_EQ(Look(job).without_body, 1u);
  EXPECT_EQ(Look(job).expired, 1u);
  EXPECT_EQ(RunBatch(job).changed, 1u);
  EXPECT_EQ(Column(forgotten, "status") + Column(expired, "status") + Column(fine, "status"), "deaddeadpending");
}

TEST_F(ActionsTest, DiscardedIsSkippedAndASecondTimeChangesNothing) {
  const std::int64_t id = InsertDead("a");
  EXPECT_EQ(Do(DeliveryEvent::kDiscarded), 1u);
  EXPECT_EQ(Story(id), "skipped discarded");
  EXPECT_EQ(Do(DeliveryEvent::kDiscarded), 0u);
  EXPECT_EQ(Audit(), "mei@desk discard 1 the webhook was wrong");
}

TEST_F(ActionsTest, WaitingRecordsAreCancelledAndThoseOnTheirWayAreNot) {
  const std::int64_t waiting = Insert({.key = "a"});
  const std::int64_t failed = Insert({.key = "a", .channel = "other", .status = "failed"});
  const std::int64_t flying = Insert({.key = "a", .channel = "third", .status = "sending"});
  const std::int64_t secret = Insert({.key = "a", .channel = "fourth", .is_private = true});
  EXPECT_EQ(Do(DeliveryEvent::kCancelled, {.dedupe_key = "a"}), 3u);
  EXPECT_EQ(Story(waiting), "skipped cancelled");
  EXPECT_EQ(Story(failed), "skipped cancelled");
  EXPECT_EQ(Column(flying, "status"), "sending");
  EXPECT_EQ(Column(secret, "request"), "NULL");
}

TEST_F(ActionsTest, EveryFilterNarrows) {
  InsertDead("a", "feishu_19024");
  const std::int64_t other = InsertEnded({.key = "b", .channel = "other", .status = "dead"}, "attempts_exhausted");
  const std::int64_t tenant = InsertEnded({.key = "c", .status = "dead", .tenant = "t2"}, "feishu_19024");
  Execute("UPDATE notification_records SET updated_at = '2026-01-02 03:04:05' WHERE id = ?", {tenant});
  const auto count = [&](RecordFilter filter) {
    return Look(Begin(DeliveryEvent::kDiscarded, std::move(filter))).records;
  };
  EXPECT_EQ(count({}), 3u);
  EXPECT_EQ(count({.channel = "other"}), 1u);
  EXPECT_EQ(count({.tenant = "t2"}), 1u);
  EXPECT_EQ(count({.reason = "attempts_exhausted"}), 1u);
  EXPECT_EQ(count({.dedupe_key = "b"}), 1u);
  EXPECT_EQ(count({.before = ParseRfc3339("2026-01-03T00:00:00Z")}), 1u);
  EXPECT_EQ(count({.after = ParseRfc3339("2026-01-03T00:00:00Z")}), 2u);
  EXPECT_EQ(count({.limit = 2}), 2u);
  EXPECT_EQ(Do(DeliveryEvent::kDiscarded, {.channel = "other", .reason = "attempts_exhausted"}), 1u);
  EXPECT_EQ(Story(other), "skipped discarded");
}

TEST_F(ActionsTest, AJobThatWasInterruptedGoesOnAndTakesNoRecordTwice) {
  const std::int64_t first = InsertDead("k0");
  for (int i = 1; i < 10; ++i) InsertDead(fmt::format("k{}", i));
  const ActionJob job = Begin(DeliveryEvent::kReplayed, {.channel = "ops"});
  EXPECT_EQ(RunBatch(job, 0, 4).changed, 4u);
  // What was replayed dies again before the job goes on.
  Execute(
      "UPDATE notification_records SET status = 'dead', reason = 'again', due_at = NULL, version = version + 1, "
      "updated_at = NOW(6) WHERE id = ?",
      {first});
  const auto resumed = actions_.Resume(job.id);
  ASSERT_TRUE(resumed) << resumed.error().message;
  EXPECT_EQ(resumed->done, 4u);
  EXPECT_EQ(resumed->job.filter.channel, "ops");
  EXPECT_EQ(resumed->job.started_at, job.started_at);
  EXPECT_EQ(Look(resumed->job).records, 6u);
  const RecordActions::Batch rest = RunBatch(resumed->job);
  EXPECT_EQ(rest.changed, 6u);
  EXPECT_TRUE(rest.finished);
  EXPECT_EQ(Column(first, "reason"), "again");
  EXPECT_EQ(Count("SELECT COUNT(*) FROM audit_records"), 10);
  EXPECT_EQ(Count("SELECT COUNT(DISTINCT record_id) FROM audit_records"), 10);
}

TEST_F(ActionsTest, AJobThatChangedNothingCannotGoOn) {
  EXPECT_EQ(actions_.Resume("0f8fad5b-d9cb-469f-a165-70867728950e").error().code, ErrorCode::kNotFound);
}

TEST_F(ActionsTest, TwoJobsAtOnceShareTheRecordsAndDoubleNone) {
  for (int i = 0; i < 200; ++i) InsertDead(fmt::format("k{}", i));
  const ActionJob one = Begin(DeliveryEvent::kReplayed);
  const ActionJob two = Begin(DeliveryEvent::kReplayed);
  std::size_t changed[2] = {};
  const auto run = [&](const ActionJob& job, std::size_t& sum) {
    RecordActions actions(pool_, [](std::string_view) { return false; });
    std::int64_t place = 0;
    for (bool finished = false; !finished;) {
      auto batch = actions.RunBatch(job, place, 7);
      ASSERT_TRUE(batch) << batch.error().message;
      sum += batch->changed;
      if (batch->last_id > 0) place = batch->last_id;
      finished = batch->finished;
    }
  };
  {
    std::jthread first([&] { run(one, changed[0]); });
    std::jthread second([&] { run(two, changed[1]); });
  }
  EXPECT_EQ(changed[0] + changed[1], 200u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM audit_records"), 200);
  EXPECT_EQ(Count("SELECT COALESCE(SUM(records), 0) FROM audit_log"), 200);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM notification_records WHERE status = 'pending' AND version = 2"), 200);
}

class HeldKeyActionsTest : public ActionsTest {
 protected:
  HeldKeyActionsTest() {
    blocks_ = true;
    auto channel = Bot();
    channel.ordering = providers::OnDeadHead::kBlock;
    SetChannels({channel});
    vendor_->AddFault({.kind = FaultKind::kCode, .n = 19024, .text = "Key Words Not Found"});
    for (const char* key : {"a1", "a2", "a3"}) ids_.push_back(Insert({.key = key, .ordering_key = "a"}));
    delivery_ = MakeDelivery();
    Turn(*delivery_);
    if (!WaitForStatus(ids_[0], "dead")) throw std::runtime_error("the first record didn't die");
  }
  bool TurnUntilSent(std::int64_t count) {
    return testing::WaitUntil([&] {
      Turn(*delivery_);
      return Count("SELECT COUNT(*) FROM notification_records WHERE status = 'sent'") == count;
    });
  }

  std::vector<std::int64_t> ids_;
  std::unique_ptr<Delivery> delivery_;
};

TEST_F(HeldKeyActionsTest, AReplayGoesBeforeThoseItHeld) {
  EXPECT_EQ(Do(DeliveryEvent::kReplayed), 1u);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM ordering_blocks"), 0);
  ASSERT_TRUE(TurnUntilSent(3));
  EXPECT_THAT(Delivered(), ElementsAre("a1", "a2", "a3"));
}

TEST_F(HeldKeyActionsTest, ADiscardLetsTheNextGoInTheSameTransaction) {
  EXPECT_EQ(Do(DeliveryEvent::kDiscarded), 1u);
  EXPECT_EQ(Story(ids_[1]), "pending");
  EXPECT_EQ(Count("SELECT COUNT(*) FROM ordering_blocks"), 0);
  ASSERT_TRUE(TurnUntilSent(2));
  EXPECT_THAT(Delivered(), ElementsAre("a2", "a3"));
}

TEST_F(HeldKeyActionsTest, CancellingOneThatIsHeldHoldsTheNext) {
  EXPECT_EQ(Do(DeliveryEvent::kCancelled, {.dedupe_key = "a2"}), 1u);
  EXPECT_EQ(Story(ids_[2]), "pending parked:blocked_ordering_key");
  EXPECT_EQ(Turn(*delivery_).claimed, 0u);
}

}  // namespace
}  // namespace outrider::consumer
