// What a person does at the command line to records, channels and rejected events.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "consumer/sealed_request.h"
#include "platform/crypto/sealer.h"
#include "tests/integration/app/program.h"
#include "tests/support/database/statements.h"
#include "tests/support/fake_im/fake_im_server.h"
#include "tests/support/process/wait_until.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Must;
using ::testing::Not;
using testing::WaitUntil;

class ActionCommandTest : public ::testing::Test {
 protected:
  ActionCommandTest() {
    installation_.Configure(
        "channels:\n  ops: {provider: mock, ordering: block}\n  broken: {provider: mock, mode: permanent_fail}\n"
        "  blocking: {provider: mock, mode: permanent_fail, ordering: block}\n");
    if (installation_.Call({"migrate", "up"}).code != 0) throw std::runtime_error("no tables");
    db_ = installation_.ConnectToOwn();
  }

  void StartRunning() {
    running_ = installation_.Run();
    ASSERT_TRUE(running_->WaitForLog("run.ready")) << running_->log();
  }
  bool BecomesStatus(const std::string& key, const std::string& status) {
    return WaitUntil([&] {
      return Number("SELECT COUNT(*) FROM notification_records WHERE dedupe_key = ? AND status = ?", {key, status}) > 0;
    });
  }
  std::int64_t Number(std::string_view sql, std::vector<std::string> params = {}) {
    std::vector<mysql::Param> views(params.begin(), params.end());
    const auto rows = db_->Execute(sql, std::span<const mysql::Param>(views));
    if (!rows) throw std::runtime_error(rows.error().message);
    return rows->rows.at(0).Int(0);
  }
  // Dead records that nobody has sent, without a running program.
  void InsertDead(int count) {
    Must(*db_, "INSERT INTO consumer_shards (topic, partition_no) VALUES ('t', 0)");
    for (int i = 0; i < count; ++i) {
      const std::string key = fmt::format("k{}", i);
      Must(
          *db_,
          "INSERT INTO notification_records (dedupe_hash, tenant, channel, dedupe_key, event_id, content_hash, "
          "status, reason, shard, priority, request, source_topic, source_partition, source_offset, updated_at) VALUES "
          "(UNHEX(SHA2(?, 256)), 'default', 'ops', ?, ?, UNHEX(SHA2(?, 256)), 'dead', 'payload_invalid', 1, 1, '{}', "
          "'t', 0, 0, NOW(6))",
          {std::string_view(key), std::string_view(key), std::string_view(key), std::string_view(key)});
    }
  }

  Installation installation_;
  std::unique_ptr<mysql::MysqlConnection> db_;
  std::unique_ptr<Running> running_;
};

TEST_F(ActionCommandTest, ADeadOneIsListedExplainedReplayedAndItsStoryTellsWhoDidIt) {
  StartRunning();
  installation_.Order("order-1", "broken");
  ASSERT_TRUE(BecomesStatus("order-1", "dead"));
  const Ended list = installation_.Call({"dlq", "ls", "--channel", "broken", "-o", "json"});
  ASSERT_EQ(list.code, 0) << list.err;
  const auto records = nlohmann::json::parse(list.out);
  ASSERT_EQ(records.size(), 1u);
  const std::string id = std::to_string(records[0]["id"].get<int>());
  EXPECT_THAT(installation_.Call({"dlq", "show", id}).out, HasSubstr("payload_invalid"));
  EXPECT_THAT(installation_.Call({"dlq", "ls", "--cause", "another"}).out, Not(HasSubstr("order-1")));

  installation_.Configure("channels:\n  broken: {provider: mock}\n");
  running_->process().Signal(SIGHUP);
  ASSERT_TRUE(running_->WaitForLog("config.reloaded")) << running_->log();
  const Ended replay =
      installation_.Call({"dlq", "replay", "--key", "order-1", "--reason", "the mock is well", "--yes"});
  EXPECT_EQ(replay.code, 0) << replay.err;
  ASSERT_TRUE(BecomesStatus("order-1", "sent"));
  const Ended story = installation_.Call({"show", "order-1"});
  EXPECT_THAT(story.out, HasSubstr("replay"));
  EXPECT_THAT(story.out, HasSubstr("the mock is well (was dead payload_invalid)"));
  EXPECT_EQ(installation_.Call({"verify"}).code, 0);
}

TEST_F(ActionCommandTest, AnActionNeedsAReasonAndAYes) {
  InsertDead(3);
  const Ended no_reason = installation_.Call({"dlq", "discard", "--yes"});
  EXPECT_EQ(no_reason.code, 2);
  EXPECT_THAT(no_reason.err, HasSubstr("--reason"));
  const Ended no_terminal = installation_.Call({"dlq", "discard", "--reason", "old"});
  EXPECT_EQ(no_terminal.code, 2);
  EXPECT_THAT(no_terminal.err, AllOf(HasSubstr("discard 3 records"), HasSubstr("--yes")));
  const Ended dry = installation_.Call({"dlq", "discard", "--dry-run", "-o", "json"});
  EXPECT_EQ(dry.code, 0);
  EXPECT_EQ(nlohmann::json::parse(dry.out)["matched"], 3);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM notification_records WHERE status = 'dead'"), 3);
  for (const char* wrong : {"--before=yesterday", "--rate=fast", "--status=sent"}) {
    EXPECT_EQ(installation_.Call({"dlq", "discard", "--yes", "--reason", "x", wrong}).code, 2) << wrong;
  }
}

TEST_F(ActionCommandTest, AtATerminalTheCountIsTyped) {
  InsertDead(3);
  const auto at_terminal = [&](const std::string& typed) {
    const std::string configuration = installation_.configuration_file();
    int terminal = -1;
    const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
    if (child == 0) {
      execl(OUTRIDER_PROGRAM, OUTRIDER_PROGRAM, "--config", configuration.c_str(), "dlq", "discard", "--reason", "old",
            nullptr);
      _exit(127);
    }
    std::string shown;
    char buffer[256];
    bool answered = false;
    for (ssize_t n = 0; (n = read(terminal, buffer, sizeof buffer)) > 0;) {
      shown.append(buffer, static_cast<std::size_t>(n));
      if (!answered && shown.find("to go on: ") != std::string::npos) {
        answered = write(terminal, typed.data(), typed.size()) > 0;
      }
    }
    int status = 0;
    waitpid(child, &status, 0);
    close(terminal);
    EXPECT_TRUE(answered) << shown;
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(at_terminal("yes\n"), 1);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM notification_records WHERE status = 'dead'"), 3);
  EXPECT_EQ(at_terminal("3\n"), 0);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM notification_records WHERE reason = 'discarded'"), 3);
}

TEST_F(ActionCommandTest, AReplayThatIsKilledInTheMiddleGoesOnAndTakesEachOnce) {
  InsertDead(1200);
  auto killed = installation_.Start({"dlq", "replay", "--yes", "--reason", "again", "--rate", "400/s"});
  ASSERT_TRUE(WaitUntil([&] { return Number("SELECT COALESCE(SUM(records), 0) FROM audit_log") >= 160; }));
  killed->Kill();
  const std::int64_t done = Number("SELECT SUM(records) FROM audit_log");
  ASSERT_LT(done, 1200);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM notification_records WHERE status = 'pending'"), done);
  const std::string job = Must(*db_, "SELECT DISTINCT job FROM audit_log").rows.at(0).Text(0);
  // One of them dies again: it was replayed already.
  Must(
      *db_,
      "UPDATE notification_records SET status = 'dead', reason = 'again', updated_at = NOW(6) WHERE status = 'pending' "
      "ORDER BY id LIMIT 1");
  const Ended rest = installation_.Call({"dlq", "replay", "--resume", job, "--yes", "-o", "json"});
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(nlohmann::json::parse(rest.out)["changed"], 1200 - done);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM audit_records"), 1200);
  EXPECT_EQ(Number("SELECT COUNT(DISTINCT record_id) FROM audit_records"), 1200);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM notification_records WHERE status = 'pending' AND version = 2"), 1199);
}

TEST_F(ActionCommandTest, AReplayThatIsToldToStopSaysHowToGoOn) {
  InsertDead(400);
  auto process = installation_.Start({"dlq", "replay", "--yes", "--reason", "again", "--rate", "100/s"});
  ASSERT_TRUE(WaitUntil([&] { return Number("SELECT COUNT(*) FROM audit_log") > 0; }));
  process->Signal(SIGINT);
  const auto status = process->Wait(std::chrono::seconds{10});
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, 4);
  EXPECT_THAT(process->Stderr(), HasSubstr("outrider dlq replay --resume "));
}

TEST_F(ActionCommandTest, TheRateIsKept) {
  InsertDead(150);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(installation_.Call({"dlq", "discard", "--yes", "--reason", "old", "--rate", "100"}).code, 0);
  // The last batch isn't waited for.
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds{1250});
}

TEST_F(ActionCommandTest, WhatADeadRecordBlocksSaysSoUntilItIsDiscarded) {
  StartRunning();
  const std::string send = "blocking";
  for (const char* key : {"first", "second"}) {
    ASSERT_EQ(
        installation_.Call({"send", "--channel", send, "--text", key, "--dedupe-key", key, "--ordering-key", "o"}).code,
        0);
  }
  ASSERT_TRUE(BecomesStatus("first", "dead"));
  ASSERT_TRUE(WaitUntil([&] {
    return Number("SELECT COUNT(*) FROM notification_records WHERE parked_by = 'blocked_ordering_key'") == 1;
  }));
  const std::int64_t first = Number("SELECT id FROM notification_records WHERE dedupe_key = 'first'");
  EXPECT_THAT(installation_.Call({"show", "second"}).out, HasSubstr(fmt::format("blocked by record {} ", first)));
  const Ended json = installation_.Call({"show", "second", "-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)[0]["blocked_by"], first);
  ASSERT_EQ(installation_.Call({"dlq", "discard", "--key", "first", "--reason", "never mind", "--yes"}).code, 0);
  EXPECT_TRUE(BecomesStatus("second", "dead")) << "it was tried then";
}

TEST_F(ActionCommandTest, AWaitingOneIsCancelledAndAnEndedOneIsNot) {
  StartRunning();
  ASSERT_EQ(installation_.Call({"pause", "channel", "ops", "--reason", "quiet hours"}).code, 0);
  ASSERT_TRUE(running_->WaitForLog("channel.held"));
  installation_.Order("order-1");
  ASSERT_TRUE(BecomesStatus("order-1", "pending"));
  EXPECT_EQ(installation_.Call({"cancel", "order-1"}).code, 2) << "without a reason";
  const Ended cancelled = installation_.Call({"cancel", "order-1", "--reason", "sent by phone"});
  EXPECT_EQ(cancelled.code, 0) << cancelled.err;
  ASSERT_TRUE(BecomesStatus("order-1", "skipped"));
  const Ended again = installation_.Call({"cancel", "order-1", "--reason", "sent by phone"});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("has ended: skipped cancelled"));
  EXPECT_EQ(installation_.Call({"cancel", "nothing", "--reason", "x"}).code, 1);
}

TEST_F(ActionCommandTest, APauseIsSeenEverywhereAndEndsWithResume) {
  StartRunning();
  EXPECT_EQ(installation_.Call({"pause", "channel", "typo", "--reason", "x"}).code, 2);
  EXPECT_EQ(installation_.Call({"pause", "channel", "ops"}).code, 2);
  ASSERT_EQ(installation_.Call({"pause", "channel", "ops", "--reason", "quiet hours"}).code, 0);
  EXPECT_EQ(installation_.Call({"pause", "channel", "ops", "--reason", "quiet hours"}).code, 0);
  ASSERT_TRUE(WaitUntil([&] { return running_->Get("/readyz?verbose").find("quiet hours") != std::string::npos; }));
  EXPECT_THAT(running_->Get("/metrics"), HasSubstr("outrider_paused{kind=\"channel\"} 1"));
  installation_.Order("order-1");
  ASSERT_TRUE(BecomesStatus("order-1", "pending"));
  EXPECT_THAT(installation_.Call({"show", "order-1"}).out, HasSubstr("waits: channel ops is paused since"));
  EXPECT_THAT(installation_.Call({"pause", "ls"}).out, HasSubstr("quiet hours"));
  ASSERT_EQ(installation_.Call({"resume", "channel", "ops", "--reason", "good morning"}).code, 0);
  EXPECT_TRUE(BecomesStatus("order-1", "sent"));
  EXPECT_EQ(Number("SELECT COUNT(*) FROM audit_log WHERE action IN ('pause', 'resume')"), 2);
}

TEST_F(ActionCommandTest, ARejectedEventIsExplainedAndReplayedOnceItCanBeRead) {
  StartRunning();
  const std::string good = R"({"dedupe_key": "late", "channel": "ops", "message": {"text": "secret words"}})";
  Must(*db_,
       "INSERT INTO rejected_events (topic, partition_no, offset_no, event_hash, event_key, value, headers, reason, "
       "faults) VALUES ('t', 0, 1, UNHEX(SHA2('a', 256)), 'customer-7', ?, '[[\"id\", \"e1\"]]', "
       "'older_than_dedupe_memory', '[{\"pointer\": \"headers/createdAt\", \"problem\": \"is too old\"}]'), "
       "('t', 0, 2, UNHEX(SHA2('b', 256)), NULL, 'not json', '[]', 'not_json', '[]')",
       {std::string_view(good)});
  const Ended list = installation_.Call({"rejected", "ls"});
  EXPECT_THAT(list.out, AllOf(HasSubstr("older_than_dedupe_memory"), HasSubstr("is too old"), HasSubstr("not_json")));
  const Ended shown = installation_.Call({"rejected", "show", "1"});
  EXPECT_THAT(shown.out, AllOf(HasSubstr("is too old"), HasSubstr("can be read"), Not(HasSubstr("secret words"))));
  const Ended replay = installation_.Call({"rejected", "replay", "--reason", "the relay was down", "--yes"});
  EXPECT_EQ(replay.code, 4) << replay.err;
  EXPECT_THAT(replay.err, HasSubstr("rejected event 2 stays: not_json"));
  EXPECT_TRUE(BecomesStatus("late", "sent"));
  EXPECT_EQ(Number("SELECT COUNT(*) FROM notification_records WHERE source_key = 'customer-7'"), 1);
  const Ended again = installation_.Call({"rejected", "replay", "--id", "1", "--reason", "once more", "--yes"});
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM audit_log WHERE action = 'replay_rejected'"), 1);
}

TEST_F(ActionCommandTest, ASealedRejectedEventIsReplayedOnlyWhereItsKeyIs) {
  const std::string key(64, 'a');
  const crypto::Sealer sealer({{"2026", crypto::ParseSealingKey(key).value()}});
  const std::string good = R"({"dedupe_key": "late", "channel": "ops", "message": {"text": "secret words"}})";
  const auto sealed = sealer.Seal(good, consumer::RejectedContext({"t", 0, 1}));
  Must(*db_,
       "INSERT INTO rejected_events (topic, partition_no, offset_no, event_hash, value, headers, reason, faults, "
       "sealed_by) VALUES ('t', 0, 1, UNHEX(SHA2('a', 256)), ?, '[]', 'older_than_dedupe_memory', '[]', '2026')",
       {std::string_view(sealed->bytes)});
  const Ended without = installation_.Call({"rejected", "replay", "--reason", "the relay was down", "--yes"});
  EXPECT_EQ(without.code, 1);
  EXPECT_THAT(without.err, AllOf(HasSubstr("sealed under key \"2026\""), HasSubstr("sealing.keys")));
  installation_.Configure("channels:\n  ops: {provider: mock}\nsealing: {keys: [{id: \"2026\", key: \"" + key +
                          "\"}]}\n");
  EXPECT_EQ(installation_.Call({"rejected", "replay", "--reason", "the relay was down", "--yes"}).code, 0);
  StartRunning();
  EXPECT_TRUE(BecomesStatus("late", "sent"));
}

}  // namespace
}  // namespace outrider::app
