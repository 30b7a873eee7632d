// SmartFlow's contract, on the memory store and on the database: the same events and the same time give the same
// states.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/message_text.h"
#include "model/text.h"
#include "tests/integration/smartflow/notification_service.h"

namespace outrider::consumer {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::StartsWith;

struct Kind {
  const char* name;
  std::unique_ptr<NotificationService> (*make)();
};

// SmartFlow's envelope; `fields` replace those of the payload, null takes one away.
std::string EventOf(const std::string& key, const nlohmann::json& fields = nlohmann::json::object(),
                    const nlohmann::json& envelope_fields = nlohmann::json::object()) {
  nlohmann::json payload = {{"user_id", 7},
                            {"trigger_id", "trigger-1"},
                            {"preview_id", "preview-1"},
                            {"trigger_type", "important_urgent_task"},
                            {"target_type", "task"},
                            {"target_id", 11},
                            {"dedupe_key", key},
                            {"target_url", "/assistant/42"},
                            {"summary_text", "把会议移到周五"},
                            {"fallback_text", "请查看调整"},
                            {"requested_at", "2026-11-24T05:11:41Z"}};
  if (fields.is_object()) payload.merge_patch(fields);  // {} is null
  nlohmann::json envelope = {
      {"outbox_id", 5},       {"event_id", "event-" + key},     {"event_type", "notification.feishu.requested"},
      {"event_version", "1"}, {"service_name", "notification"}, {"aggregate_id", "preview-1"},
      {"payload", payload}};
  envelope.merge_patch(envelope_fields);
  return envelope.dump();
}

class SmartFlowConformanceTest : public ::testing::TestWithParam<Kind> {
 protected:
  NotificationState Failed(const std::string& key, int times) {
    service_->SetMode("temporary_fail");
    service_->Handle(EventOf(key));
    for (int i = 0; i < times; ++i) {
      if (i > 0) service_->Pass(service_->Find(key).next_retry);
      service_->Retry();
    }
    return service_->Find(key);
  }
  std::unique_ptr<NotificationService> service_ = GetParam().make();
};

TEST_P(SmartFlowConformanceTest, AnEventIsRecordedAndSentWithItsFirstAttempt) {
  EXPECT_EQ(service_->Handle(EventOf("a")), "recorded");
  EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 1, .retried = 1, .sent = 1}));
  const NotificationState state = service_->Find("a");
  EXPECT_EQ(state.status, "sent");
  EXPECT_EQ(state.attempts, 1);
  EXPECT_EQ(state.error_code, "");
  EXPECT_TRUE(state.has_message_id);
  EXPECT_EQ(state.text, "把会议移到周五\n/assistant/42");
}

TEST_P(SmartFlowConformanceTest, TheSameKeyIsOneRecordAndTheFirstTextStays) {
  EXPECT_EQ(service_->Handle(EventOf("a")), "recorded");
  EXPECT_EQ(service_->Handle(EventOf("a")), "reused");
  EXPECT_EQ(service_->Handle(EventOf(" a ", {{"summary_text", "other"}}, {{"event_id", "event-2"}})), "reused");
  service_->Retry();
  EXPECT_EQ(service_->Handle(EventOf("a", {}, {{"event_id", "event-3"}})), "reused");
  EXPECT_EQ(service_->Retry(), RetryCounts{});
  EXPECT_EQ(service_->records(), 1u);
  EXPECT_THAT(service_->Find("a").text, StartsWith("把会议移到周五"));
}

TEST_P(SmartFlowConformanceTest, TemporaryFailuresWaitFiveMinutesDoublingToThirtyAndTheFifthIsDead) {
  service_->SetMode("temporary_fail");
  service_->Handle(EventOf("a"));
  for (const auto& [attempt, wait] : {std::pair{1, minutes{5}}, {2, minutes{10}}, {3, minutes{20}}, {4, minutes{30}}}) {
    EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 1, .retried = 1, .failed = 1}));
    const NotificationState state = service_->Find("a");
    EXPECT_EQ(state.status, "failed");
    EXPECT_EQ(state.error_code, "provider_timeout");
    EXPECT_EQ(state.attempts, attempt);
    EXPECT_EQ(state.next_retry, wait);
    service_->Pass(wait);
  }
  EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 1, .retried = 1, .dead = 1}));
  EXPECT_EQ(service_->Find("a").status, "dead");
  EXPECT_EQ(service_->Find("a").attempts, 5);
  EXPECT_EQ(service_->Retry(), RetryCounts{});
}

TEST_P(SmartFlowConformanceTest, NothingIsTriedBeforeItIsDueNeitherByAnotherEvent) {
  Failed("a", 1);
  service_->Pass(minutes{4});
  EXPECT_EQ(service_->Retry(), RetryCounts{});
  EXPECT_EQ(service_->Handle(EventOf("a", {}, {{"event_id", "again"}})), "reused");
  EXPECT_EQ(service_->Retry(), RetryCounts{});
  service_->Pass(minutes{1});
  EXPECT_EQ(service_->Retry().retried, 1u);
}

TEST_P(SmartFlowConformanceTest, WhatIsRepairedIsSentWithTheThirdAttempt) {
  EXPECT_EQ(Failed("a", 2).next_retry, minutes{10});
  service_->SetMode("success");
  service_->Pass(minutes{10});
  EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 1, .retried = 1, .sent = 1}));
  EXPECT_EQ(service_->Find("a").attempts, 3);
  EXPECT_EQ(service_->Find("a").error_code, "");
}

TEST_P(SmartFlowConformanceTest, WhatAProcessWasSendingWhenItDiedIsTakenUpAfterItsLease) {
  service_->Handle(EventOf("a"));
  service_->Interrupt("a");
  EXPECT_EQ(service_->Handle(EventOf("a", {}, {{"event_id", "again"}})), "reused");
  EXPECT_EQ(service_->Retry(), RetryCounts{});
  service_->Pass(NotificationService::kLease);
  EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 1, .retried = 1, .failed = 1}));
  EXPECT_EQ(service_->Find("a").next_retry, minutes{5});
  service_->Pass(minutes{5});
  EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 1, .retried = 1, .sent = 1}));
  EXPECT_EQ(service_->Find("a").attempts, 2);
}

TEST_P(SmartFlowConformanceTest, CrashesSpendAttemptsTooAndTheFifthIsDead) {
  service_->Handle(EventOf("a"));
  for (int i = 0; i < 5; ++i) {
    service_->Interrupt("a");
    service_->Pass(NotificationService::kLease);
    EXPECT_EQ(service_->Retry().retried, 1u);
  }
  EXPECT_EQ(service_->Find("a").status, "dead");
  EXPECT_EQ(service_->Retry(), RetryCounts{});
}

TEST_P(SmartFlowConformanceTest, APermanentFailureIsDeadAtOnce) {
  service_->SetMode("permanent_fail");
  service_->Handle(EventOf("a"));
  EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 1, .retried = 1, .dead = 1}));
  const NotificationState state = service_->Find("a");
  EXPECT_EQ(state.error_code, "payload_invalid");
  EXPECT_EQ(state.attempts, 1);
  EXPECT_EQ(state.next_retry, seconds{0});
}

TEST_P(SmartFlowConformanceTest, AChannelThatIsOffSkips) {
  service_->Disable();
  service_->Handle(EventOf("a"));
  EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 1, .retried = 1, .skipped = 1}));
  EXPECT_EQ(service_->Find("a").status, "skipped");
  EXPECT_EQ(service_->Find("a").error_code, "recipient_missing");
}

TEST_P(SmartFlowConformanceTest, SummariesThatAreBlankOrLinkGiveWayToTheFallback) {
  for (const char* summary : {" \t\u3000", "see http://elsewhere.example", "WWW.elsewhere.example"}) {
    const std::string key = fmt::format("key of {}.", summary);
    service_->Handle(EventOf(key, {{"summary_text", summary}}));
    EXPECT_EQ(service_->Find(key).text, "请查看调整\n/assistant/42") << summary;
    EXPECT_EQ(service_->Find(key).fallback_used, "true");
  }
  service_->Handle(EventOf("none", {{"summary_text", nullptr}, {"fallback_text", nullptr}}));
  EXPECT_EQ(service_->Find("none").text, std::string(kDefaultFallbackText) + "\n/assistant/42");
}

TEST_P(SmartFlowConformanceTest, LongSummariesAreCutAt180CharactersWithoutAnEllipsis) {
  std::string summary;
  for (int i = 0; i < 200; ++i) summary += "好";
  service_->Handle(EventOf("a", {{"summary_text", summary}}));
  const std::string text = service_->Find("a").text;
  EXPECT_EQ(text.substr(0, text.find('\n')), CutCodePoints(summary, 180));
  EXPECT_EQ(service_->Find("a").fallback_used, "false");
}

TEST_P(SmartFlowConformanceTest, TheAddressIsNotRepeatedWhereTheTextHasIt) {
  service_->Handle(EventOf("a", {{"summary_text", "请看 /assistant/42 谢谢"}}));
  EXPECT_EQ(service_->Find("a").text, "请看 /assistant/42 谢谢");
}

TEST_P(SmartFlowConformanceTest, PayloadsThatDoNotValidateAreRejected) {
  for (const nlohmann::json& fields : {nlohmann::json{{"user_id", 0}},
                                       {{"preview_id", " "}},
                                       {{"dedupe_key", ""}},
                                       {{"target_url", ""}},
                                       {{"target_url", "https://elsewhere.example/assistant/1"}},
                                       {{"target_url", "//elsewhere.example"}},
                                       {{"target_url", "/elsewhere/1"}},
                                       {{"target_url", "/assistant/../x"}},
                                       {{"requested_at", nullptr}}}) {
    EXPECT_EQ(service_->Handle(EventOf("a", fields)), "rejected invalid_request") << fields;
  }
  EXPECT_EQ(service_->records(), 0u);
  EXPECT_EQ(service_->Handle(EventOf("a", {{"trigger_id", nullptr}, {"target_type", nullptr}})), "recorded");
}

TEST_P(SmartFlowConformanceTest, VersionOneOrNoneIsTakenAndNoOther) {
  EXPECT_EQ(service_->Handle(EventOf("a", {}, {{"event_version", ""}})), "recorded");
  EXPECT_EQ(service_->Handle(EventOf("b", {}, {{"event_version", nullptr}})), "recorded");
  EXPECT_EQ(service_->Handle(EventOf("c", {}, {{"event_version", "2"}})), "rejected unknown_event_version");
  EXPECT_EQ(service_->Handle(EventOf("d", {}, {{"event_type", "other"}})), "rejected unknown_event_type");
}

TEST_P(SmartFlowConformanceTest, ARoundOfRetriesCountsByWhatCameOfThem) {
  service_->SetMode("temporary_fail");
  for (const char* key : {"a", "b", "c"}) service_->Handle(EventOf(key));
  EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 3, .retried = 3, .failed = 3}));
  service_->Pass(minutes{5});
  service_->SetMode("success");
  service_->Handle(EventOf("d"));
  EXPECT_EQ(service_->Retry(), (RetryCounts{.scanned = 4, .retried = 4, .sent = 4}));
  EXPECT_EQ(service_->Retry(), RetryCounts{});
}

INSTANTIATE_TEST_SUITE_P(Stores, SmartFlowConformanceTest,
                         ::testing::Values(Kind{"Memory", &MakeMemoryService}, Kind{"Database", &MakeDatabaseService}),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace outrider::consumer
