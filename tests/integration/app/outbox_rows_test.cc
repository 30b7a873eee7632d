// What a person does at the command line to rows that can't be published.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/app/program.h"
#include "tests/support/database/statements.h"
#include "tests/support/process/wait_until.h"

namespace outrider::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Must;
using ::testing::Not;

class OutboxCommandTest : public ::testing::Test {
 protected:
  OutboxCommandTest() {
    if (installation_.Call({"migrate", "up"}).code != 0) throw std::runtime_error("no tables");
    db_ = installation_.ConnectToShop();
  }

  // As the relay leaves it with on_poison: block.
  std::string InsertDead(std::int64_t seq, std::string_view key, std::string_view reason = "too_large") {
    const auto inserted =
        Must(*db_,
             "INSERT INTO outbox_dead (source, seq, event_id, aggregatetype, aggregateid, type, payload, created_at, "
             "reason, detail) VALUES ('shop', ?, UUID(), 'notification', ?, 'notification.requested', "
             "'{\"private\": \"words\"}', NOW(6), ?, 'more than the broker takes')",
             {seq, key, reason});
    return std::to_string(inserted.insert_id);
  }
  std::int64_t Count(std::string_view sql) { return testing::Number(*db_, sql); }
  // The command for the shop's outbox.
  Ended Outbox(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "outbox");
    arguments.insert(arguments.end(), {"--source", "shop"});
    return installation_.Call(arguments);
  }

  Installation installation_;
  std::unique_ptr<mysql::MysqlConnection> db_;
};

TEST_F(OutboxCommandTest, TheListTellsWhyARowWasMovedAsideAndNeverItsPayload) {
  installation_.Order("order-1");
  const std::string id = InsertDead(7, "customer-1");
  const Ended table = Outbox({"ls"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(HasSubstr("customer-1"), HasSubstr("too_large"), HasSubstr("more than the broker takes"),
                               Not(HasSubstr("private"))));
  const auto json = nlohmann::json::parse(Outbox({"ls", "-o", "json"}).out);
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["waiting"], 1);
  EXPECT_EQ(json[0]["dead"], 1);
  EXPECT_EQ(std::to_string(json[0]["rows"][0]["id"].get<int>()), id);
  EXPECT_EQ(json[0]["rows"][0]["seq"], 7);
}

TEST_F(OutboxCommandTest, EverySourceIsListedWhereNoneIsNamed) {
  const auto json = nlohmann::json::parse(installation_.Call({"outbox", "ls", "-o", "json"}).out);
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["source"], "shop");
  EXPECT_EQ(json[1]["source"], "outrider");
}

TEST_F(OutboxCommandTest, AReplayedRowIsPublishedAndTheAuditTellsWhoDidItAndWhy) {
  const std::string id = InsertDead(7, "customer-1");
  Must(*db_,
       "UPDATE outbox_dead SET payload = '{\"dedupe_key\": \"order-7\", \"channel\": \"ops\", \"message\": "
       "{\"text\": \"hello\"}}'");
  const Ended replayed = Outbox({"replay", "--id", id, "--reason", "the broker takes more now", "--yes"});
  EXPECT_EQ(replayed.code, 0) << replayed.err;
  EXPECT_EQ(Count("SELECT COUNT(*) FROM outbox_dead"), 0);
  EXPECT_EQ(Must(*db_, "SELECT CONCAT_WS('|', action, reason, seq, dead_reason, actor LIKE '%@%') FROM outbox_audit")
                .rows.at(0)
                .Text(0),
            "replay|the broker takes more now|7|too_large|1");
  auto running = installation_.Run();
  ASSERT_TRUE(running->WaitForLog("run.ready")) << running->log();
  EXPECT_TRUE(testing::WaitUntil([&] { return installation_.Call({"show", "order-7"}).code == 0; }));
}

TEST_F(OutboxCommandTest, OnlyWhatWasChosenIsDiscarded) {
  InsertDead(7, "customer-1");
  InsertDead(8, "customer-2");
  InsertDead(9, "customer-1", "illegal_topic");
  const Ended dry = Outbox({"discard", "--key", "customer-1", "--dry-run", "-o", "json"});
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_EQ(nlohmann::json::parse(dry.out)["matched"], 2);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM outbox_dead"), 3);
  const Ended discarded =
      Outbox({"discard", "--key", "customer-1", "--cause", "too_large", "--reason", "told by phone", "--yes"});
  EXPECT_EQ(discarded.code, 0) << discarded.err;
  EXPECT_EQ(Count("SELECT COUNT(*) FROM outbox_dead WHERE seq = 7"), 0);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM outbox_dead"), 2);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM outbox_audit WHERE action = 'discard' AND seq = 7"), 1);
}

TEST_F(OutboxCommandTest, TheOldestGoFirstAndNoMoreThanTheLimitAndTheNextPageIsNamed) {
  for (int seq = 1; seq <= 3; ++seq) InsertDead(seq, "customer-1");
  const Ended page = Outbox({"ls", "--limit", "2", "-o", "json"});
  const auto rows = nlohmann::json::parse(page.out)[0]["rows"];
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["seq"], 3);
  const std::string before = std::to_string(rows[1]["id"].get<int>());
  EXPECT_THAT(page.err, HasSubstr("--source shop --before-id " + before));
  const auto next = nlohmann::json::parse(Outbox({"ls", "--before-id", before, "-o", "json"}).out)[0]["rows"];
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0]["seq"], 1);
  EXPECT_EQ(Outbox({"discard", "--limit", "2", "--rate", "1000/s", "--reason", "r", "--yes"}).code, 0);
  EXPECT_EQ(Count("SELECT MIN(seq) FROM outbox_dead"), 3);
}

TEST_F(OutboxCommandTest, NothingHappensWithoutAReasonASourceAndAYes) {
  InsertDead(7, "customer-1");
  const Ended no_reason = Outbox({"discard", "--yes"});
  EXPECT_EQ(no_reason.code, 2);
  EXPECT_THAT(no_reason.err, HasSubstr("--reason"));
  const Ended no_source = installation_.Call({"outbox", "discard", "--yes", "--reason", "r"});
  EXPECT_EQ(no_source.code, 2);
  EXPECT_THAT(no_source.err, HasSubstr("--source is one of shop, outrider"));
  const Ended no_yes = Outbox({"discard", "--reason", "r"});
  EXPECT_EQ(no_yes.code, 2);
  EXPECT_THAT(no_yes.err, AllOf(HasSubstr("discard 1 dead row of source shop"), HasSubstr("--yes")));
  const Ended no_such = installation_.Call({"outbox", "ls", "--source", "elsewhere"});
  EXPECT_EQ(no_such.code, 2);
  EXPECT_THAT(no_such.err, HasSubstr("there are: shop, outrider"));
  EXPECT_EQ(Count("SELECT COUNT(*) FROM outbox_dead"), 1);
}

TEST_F(OutboxCommandTest, AMissingTableIsSaidWithTheCommandThatMakesIt) {
  Must(*db_, "DROP TABLE outbox_held_keys");
  const Ended list = Outbox({"ls"});
  EXPECT_EQ(list.code, 1);
  EXPECT_THAT(list.err, HasSubstr("outrider migrate up"));
}

}  // namespace
}  // namespace outrider::app
