#include "consumer/smartflow_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/message_text.h"
#include "tests/unit/consumer/event_builder.h"

namespace outrider::consumer {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::Pair;

json Envelope() {
  return {{"outbox_id", 812},
          {"event_id", "pv-1"},
          {"event_type", "notification.feishu.requested"},
          {"event_version", "1"},
          {"service_name", "notification"},
          {"aggregate_id", "pv-1"},
          {"payload",
           {{"user_id", 7},
            {"trigger_id", "tr-9"},
            {"preview_id", "pv-1"},
            {"trigger_type", "important_urgent_task"},
            {"target_type", "task"},
            {"target_id", 55},
            {"dedupe_key", " 7:important_urgent_task:2026-04-30T10:30:00Z "},
            {"target_url", "/assistant/42"},
            {"summary_text", "Two tasks moved"},
            {"fallback_text", "Please look"},
            {"trace_id", "trace-5"},
            {"requested_at", "2026-04-30T18:53:11+08:00"}}}};
}

EventReading Read(const json& envelope) { return ReadEvent(EventBuilder().Value(envelope.dump()).event()); }

json WithPayload(const char* field, const json& value) {
  json envelope = Envelope();
  envelope["payload"][field] = value;
  return envelope;
}

TEST(SmartFlowEventTest, ItsPayloadBecomesARequest) {
  const auto reading = Read(Envelope());
  ASSERT_TRUE(reading.request) << Describe(reading.faults);
  const NotificationRequest& request = *reading.request;
  EXPECT_EQ(request.channel, "feishu");
  EXPECT_EQ(request.tenant, "default");
  EXPECT_EQ(request.dedupe_key, "7:important_urgent_task:2026-04-30T10:30:00Z");
  EXPECT_EQ(request.recipient, "user:7");
  EXPECT_EQ(request.message->text, "Two tasks moved\n/assistant/42");
  EXPECT_EQ(request.fallback_text, "Please look\n/assistant/42");
  EXPECT_THAT(request.metadata, Contains(Pair("preview_id", "pv-1")));
  EXPECT_THAT(request.metadata, Contains(Pair("target_id", "55")));
  EXPECT_THAT(request.metadata, Contains(Pair("trace_id", "trace-5")));
  EXPECT_THAT(request.metadata, Contains(Pair("fallback_used", "false")));
  EXPECT_EQ(reading.event_id, "pv-1");
  EXPECT_EQ(reading.created_at, ParseRfc3339("2026-04-30T10:53:11Z"));
}

TEST(SmartFlowEventTest, ABlankSummaryMakesTheFallbackTheText) {
  const auto reading = Read(WithPayload("summary_text", "  "));
  ASSERT_TRUE(reading.request);
  EXPECT_EQ(reading.request->message->text, "Please look\n/assistant/42");
  EXPECT_THAT(reading.request->metadata, Contains(Pair("fallback_used", "true")));
}

TEST(SmartFlowEventTest, WithoutAnyTextTheDefaultOneIsSent) {
  json envelope = Envelope();
  envelope["payload"].erase("summary_text");
  envelope["payload"].erase("fallback_text");
  const auto reading = Read(envelope);
  ASSERT_TRUE(reading.request);
  EXPECT_EQ(reading.request->message->text, std::string(kDefaultFallbackText) + "\n/assistant/42");
}

TEST(SmartFlowEventTest, AnEmptyOrMissingVersionIsTheFirst) {
  json envelope = Envelope();
  envelope["event_version"] = "";
  EXPECT_TRUE(Read(envelope).request);
  envelope.erase("event_version");
  EXPECT_TRUE(Read(envelope).request);
}

TEST(SmartFlowEventTest, AMissingEventIdIsTheOutboxId) {
  json envelope = Envelope();
  envelope.erase("event_id");
  EXPECT_EQ(Read(envelope).event_id, "812");
  envelope.erase("outbox_id");
  EXPECT_EQ(Read(envelope).event_id, "outbox.event.notification/3/41");
}

TEST(SmartFlowEventTest, UnknownFieldsOfThePayloadAreNamed) {
  EXPECT_THAT(Read(WithPayload("colour", "red")).unknown_fields, ::testing::ElementsAre("/payload/colour"));
}

TEST(SmartFlowEventTest, AHugeHeaderRejectsItToo) {
  const auto reading =
      ReadEvent(EventBuilder().Value(Envelope().dump()).Header("x", std::string(1 << 20, 'h')).event());
  EXPECT_FALSE(reading.request);
  EXPECT_EQ(reading.reason, "headers_too_large");
}

TEST(SmartFlowEventTest, ARequestThatMentionsItsFieldsIsStillARequest) {
  EXPECT_TRUE(
      ReadEvent(EventBuilder()
                    .Value(R"({"dedupe_key": "a", "channel": "b", "message": {"text": "c"}, "event_type": "x"})")
                    .event())
          .request);
}

struct Wrong {
  const char* name;
  json envelope;
  const char* reason;
  const char* pointer;
};

class WrongSmartFlowEventTest : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongSmartFlowEventTest, IsRejectedWithItsReasonAndPlace) {
  const auto reading = Read(GetParam().envelope);
  EXPECT_FALSE(reading.request);
  EXPECT_EQ(reading.reason, GetParam().reason);
  EXPECT_THAT(reading.faults, Contains(Field(&RequestFault::pointer, std::string(GetParam().pointer))));
}

json With(const char* field, const json& value) {
  json envelope = Envelope();
  envelope[field] = value;
  return envelope;
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongSmartFlowEventTest,
    ::testing::Values(
        Wrong{"AnotherType", With("event_type", "task.created"), "unknown_event_type", "/event_type"},
        Wrong{"AnotherVersion", With("event_version", "2"), "unknown_event_version", "/event_version"},
        Wrong{"VersionOfTheShell", With("event_version", "v1"), "unknown_event_version", "/event_version"},
        Wrong{"PayloadIsText", With("payload", "{}"), "invalid_envelope", "/payload"},
        Wrong{"UserZero", WithPayload("user_id", 0), "invalid_request", "/payload/user_id"},
        Wrong{"UserAsText", WithPayload("user_id", "7"), "invalid_request", "/payload/user_id"},
        Wrong{"BlankPreview", WithPayload("preview_id", " "), "invalid_request", "/payload/preview_id"},
        Wrong{"BlankKey", WithPayload("dedupe_key", ""), "invalid_request", "/payload/dedupe_key"},
        Wrong{"KeyTooLong", WithPayload("dedupe_key", std::string(192, 'k')), "invalid_request", "/payload/dedupe_key"},
        Wrong{"KeyIsAnObject", WithPayload("dedupe_key", json::object()), "invalid_request", "/payload/dedupe_key"},
        Wrong{"NoTarget", WithPayload("target_url", nullptr), "invalid_request", "/payload/target_url"},
        Wrong{"TargetElsewhere", WithPayload("target_url", "/admin/1"), "invalid_request", "/payload/target_url"},
        Wrong{"TargetIsALink", WithPayload("target_url", "https://evil.example/assistant/"), "invalid_request",
              "/payload/target_url"},
        Wrong{"TargetOfAnotherHost", WithPayload("target_url", "//evil.example/assistant/"), "invalid_request",
              "/payload/target_url"},
        Wrong{"TargetClimbsOut", WithPayload("target_url", "/assistant/../admin"), "invalid_request",
              "/payload/target_url"},
        Wrong{"TargetClimbsOutEncoded", WithPayload("target_url", "/assistant/%2E%2e/admin"), "invalid_request",
              "/payload/target_url"},
        Wrong{"TargetWithALineBreak", WithPayload("target_url", "/assistant/1\nhello"), "invalid_request",
              "/payload/target_url"},
        Wrong{"ZeroTime", WithPayload("requested_at", "0001-01-01T00:00:00Z"), "invalid_request",
              "/payload/requested_at"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(SmartFlowEventTest, EveryFaultIsNamedAtOnceAndEachOnce) {
  json envelope = With("event_type", "x");
  envelope["payload"] = {{"dedupe_key", json::array()}};
  const auto reading = Read(envelope);
  EXPECT_THAT(reading.faults, ::testing::SizeIs(6)) << Describe(reading.faults);
}

TEST(SmartFlowEventTest, TheOlderTargetIsAccepted) {
  EXPECT_TRUE(Read(WithPayload("target_url", "/schedule-adjust/3?from=a..b")).request);
}

}  // namespace
}  // namespace outrider::consumer
