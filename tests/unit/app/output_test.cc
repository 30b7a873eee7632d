#include "app/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace outrider::app {
namespace {

using consumer::AttemptView;
using consumer::RecordView;
using ::testing::HasSubstr;
using ::testing::Not;

Timestamp At(const char* text) { return *ParseRfc3339(text); }

RecordView Sent() {
  RecordView record;
  record.id = 7;
  record.tenant = "default";
  record.channel = "shop-orders";
  record.dedupe_key = "order-1001";
  record.event_id = "5c0e";
  record.status = DeliveryStatus::kSent;
  record.attempt_no = 1;
  record.committed_at = At("2026-11-24T05:11:41.100Z");
  record.created_at = At("2026-11-24T05:11:41.110Z");
  record.updated_at = record.created_at;
  record.sent_at = At("2026-11-24T05:11:41.130Z");
  record.topic = "direct:shop";
  record.offset = 3;
  AttemptView attempt;
  attempt.attempt_no = 1;
  attempt.started_at = At("2026-11-24T05:11:41.120Z");
  attempt.duration_us = 4'200;
  attempt.verdict = "accepted";
  attempt.http_status = 200;
  attempt.provider = "feishu_bot";
  record.attempts = {attempt};
  return record;
}

TEST(TableTest, ColumnsAreAsWideAsTheirLongestCell) {
  EXPECT_EQ(Table({"A", "LONG"}, {{"xyz", "1"}, {"", "2"}}),
            "A    LONG\n"
            "xyz  1\n"
            "     2\n");
}

TEST(TableTest, EastAsianCharactersTakeTwoColumns) {
  EXPECT_EQ(Table({"KEY", "X"}, {{"订单", "1"}, {"abcd", "2"}, {"🎉ab", "3"}, {"가나", "4"}, {"é---", "5"}}),
            "KEY   X\n"
            "订单  1\n"
            "abcd  2\n"
            "🎉ab  3\n"
            "가나  4\n"
            "é---  5\n");
}

TEST(TableTest, MarksThatCombineTakeNoColumn) {
  EXPECT_EQ(Table({"KEY", "X"}, {{"e\u0301---", "1"}, {"❤\uFE0F--", "2"}}),
            "KEY   X\n"
            "e\u0301---  1\n"
            "❤\uFE0F--   2\n");
}

TEST(TableTest, CharactersThatMoveTheCursorAreShownInstead) {
  EXPECT_EQ(Table({"KEY"}, {{"a\x1b[2Jb\nc"}}), "KEY\na\\u{1b}[2Jb\\nc\n");
}

TEST(StoryTest, TellsOneEventALineOldestFirst) {
  EXPECT_EQ(Story(Sent(), false),
            "order-1001  channel shop-orders, tenant default, record 7\n"
            "  2026-11-24T05:11:41.100000Z  inserted   event 5c0e\n"
            "  2026-11-24T05:11:41.110000Z  recorded   direct:shop [0] @ 3\n"
            "  2026-11-24T05:11:41.120000Z  attempt 1  accepted http=200 in 4 ms by feishu_bot\n"
            "  2026-11-24T05:11:41.130000Z  sent\n");
}

TEST(StoryTest, ColoursOnlyTheStatusAndOnlyWhenAsked) {
  EXPECT_THAT(Story(Sent(), false), Not(HasSubstr("\033[")));
  EXPECT_THAT(Story(Sent(), true), HasSubstr("\033[32msent\033[0m"));
}

TEST(StoryTest, SaysWhatAParkedRecordWaitsFor) {
  RecordView record = Sent();
  record.status = DeliveryStatus::kPending;
  record.parked_by = "channel_unknown";
  record.sent_at.reset();
  record.attempts.clear();
  EXPECT_THAT(Story(record, false),
              HasSubstr("pending    waits: parked by channel_unknown; configure the channel \"shop-orders\""));
}

TEST(StoryTest, SaysWhyARecordIsDeadAndWhenOneIsDueAgain) {
  RecordView record = Sent();
  record.sent_at.reset();
  record.status = DeliveryStatus::kDead;
  record.reason = "payload_invalid";
  EXPECT_THAT(Story(record, false), HasSubstr("dead       payload_invalid\n"));
  record.status = DeliveryStatus::kFailed;
  record.reason = "";
  record.due_at = At("2026-11-24T05:16:41Z");
  EXPECT_THAT(Story(record, false), HasSubstr("failed     waits: due at 2026-11-24T05:16:41Z"));
}

TEST(StoryTest, SaysThatAnUncertainOneMayHaveArrivedTwice) {
  RecordView record = Sent();
  record.uncertain = true;
  EXPECT_THAT(Story(record, false), HasSubstr("uncertain: an attempt's answer was lost"));
}

TEST(StoryTest, ForeignTextCannotMoveTheCursor) {
  RecordView record = Sent();
  record.dedupe_key = "key\x1b]0;title\x07";
  record.attempts[0].detail = "line\nforged line";
  const std::string story = Story(record, false);
  EXPECT_THAT(story, Not(HasSubstr("\x1b")));
  EXPECT_THAT(story, Not(HasSubstr("\nforged")));
}

TEST(StoryJsonTest, IsAListWithEveryAttempt) {
  const auto json = nlohmann::json::parse(StoryJson({Sent()}));
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["status"], "sent");
  EXPECT_EQ(json[0]["dedupe_key"], "order-1001");
  EXPECT_TRUE(json[0]["due_at"].is_null());
  EXPECT_EQ(json[0]["attempts"][0]["verdict"], "accepted");
  EXPECT_EQ(nlohmann::json::parse(StoryJson({})), nlohmann::json::array());
}

TEST(StoryJsonTest, BytesThatAreNotTextDoNotBreakIt) {
  RecordView record = Sent();
  record.dedupe_key = "\xff\xfe";
  EXPECT_FALSE(nlohmann::json::parse(StoryJson({record}), nullptr, false).is_discarded());
}

TEST(RecordTableTest, ShowsReasonDoubtAndParking) {
  RecordView dead = Sent();
  dead.status = DeliveryStatus::kDead;
  dead.reason = "uncertain";
  dead.uncertain = true;
  RecordView parked = Sent();
  parked.status = DeliveryStatus::kPending;
  parked.parked_by = "channel_unknown";
  EXPECT_EQ(RecordTable({dead, parked}),
            "ID  STATUS   CHANNEL      DEDUPE KEY  ATTEMPTS  UPDATED                      REASON\n"
            "7   dead     shop-orders  order-1001  1         2026-11-24T05:11:41.110000Z  uncertain (uncertain)\n"
            "7   pending  shop-orders  order-1001  1         2026-11-24T05:11:41.110000Z  parked by channel_unknown\n");
}

}  // namespace
}  // namespace outrider::app
