#include "consumer/event_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "platform/crypto/hmac.h"
#include "tests/unit/consumer/event_builder.h"

namespace outrider::consumer {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

EventReading Read(const EventBuilder& builder) { return ReadEvent(builder.event()); }

auto HasFaultAt(std::string_view pointer) { return Contains(Field(&RequestFault::pointer, std::string(pointer))); }

// ---- Outrider's, Debezium's and any producer's records ----

TEST(EventReaderTest, ARecordOfTheRelayIsReadWhole) {
  const auto reading = Read(EventBuilder()
                                .Header("id", "0b8e9a52-9a5f-4a6e-9d3c-0d2c7f1b7a11")
                                .Header("eventType", "notification.requested")
                                .Header("createdAt", "2026-11-24T05:11:41.436563Z")
                                .Header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
                                .Header("tracestate", "vendor=1"));
  ASSERT_TRUE(reading.request);
  EXPECT_EQ(reading.request->dedupe_key, "order-1");
  EXPECT_EQ(reading.event_id, "0b8e9a52-9a5f-4a6e-9d3c-0d2c7f1b7a11");
  EXPECT_EQ(reading.created_at, ParseRfc3339("2026-11-24T05:11:41.436563Z"));
  EXPECT_EQ(reading.traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  EXPECT_EQ(reading.tracestate, "vendor=1");
  EXPECT_THAT(reading.reason, IsEmpty());
}

TEST(EventReaderTest, NullHeadersOfDebeziumAreAbsentOnes) {
  const auto reading = Read(EventBuilder()
                                .Header("id", "e-1")
                                .Header("traceparent", std::nullopt)
                                .Header("tracestate", std::nullopt)
                                .Header("createdAt", std::nullopt)
                                .Header("__debezium.context.connectorName", "\xff\xfe"));
  ASSERT_TRUE(reading.request);
  EXPECT_EQ(reading.created_at, std::nullopt);
  EXPECT_THAT(reading.traceparent, IsEmpty());
  EXPECT_THAT(reading.faults, IsEmpty());
}

TEST(EventReaderTest, AMissingIdIsMadeFromThePosition) {
  EXPECT_EQ(Read(EventBuilder()).event_id, "outbox.event.notification/3/41");
  EXPECT_EQ(Read(EventBuilder().Header("id", "  ")).event_id, "outbox.event.notification/3/41");
}

TEST(EventReaderTest, AnIdThatIsTooLongForItsColumnIsReplacedByItsHash) {
  EXPECT_THAT(Read(EventBuilder().Header("id", std::string(64, 'x'))).event_id, std::string(64, 'x'));
  const auto a = Read(EventBuilder().Header("id", std::string(65, 'x'))).event_id;
  const auto b = Read(EventBuilder().Header("id", std::string(65, 'y'))).event_id;
  EXPECT_THAT(a, SizeIs(64));
  EXPECT_NE(a, b);
  EXPECT_THAT(Read(EventBuilder().Topic(std::string(249, 't'))).event_id, SizeIs(64));
}

TEST(EventReaderTest, TheLastOfRepeatedHeadersCounts) {
  EXPECT_EQ(Read(EventBuilder().Header("id", "first").Header("id", "last")).event_id, "last");
}

TEST(EventReaderTest, EqualContentsHaveEqualHashesHoweverTheyAreWritten) {
  const auto a = Read(EventBuilder()).content_hash;
  const auto b =
      Read(EventBuilder().Value(R"({"message":{"text":"hello"},"channel":"ops-alerts","dedupe_key":"order-1"})"))
          .content_hash;
  const auto c =
      Read(EventBuilder().Value(R"({"message":{"text":"hallo"},"channel":"ops-alerts","dedupe_key":"order-1"})"))
          .content_hash;
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST(EventReaderTest, UnknownFieldsAreNamedAndNoFault) {
  const auto reading =
      Read(EventBuilder().Value(R"({"dedupe_key": "a", "channel": "b", "message": {"text": "c"}, "colour": "red"})"));
  EXPECT_TRUE(reading.request);
  EXPECT_THAT(reading.unknown_fields, ElementsAre("/colour"));
}

TEST(EventReaderTest, ATraceThatCannotBeUsedIsLeftOut) {
  const auto reading = Read(EventBuilder().Header("traceparent", std::string(65, '0')).Header("tracestate", "kept=no"));
  EXPECT_TRUE(reading.request);
  EXPECT_THAT(reading.traceparent, IsEmpty());
  EXPECT_THAT(reading.tracestate, IsEmpty());
  EXPECT_THAT(Read(EventBuilder().Header("traceparent", "a\nb")).traceparent, IsEmpty());
}

// ---- What is rejected ----

struct Hostile {
  const char* name;
  EventBuilder event;
  const char* reason;
  const char* pointer;
};

class HostileEventTest : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileEventTest, IsRejectedWithItsReasonAndPlace) {
  const auto reading = Read(GetParam().event);
  EXPECT_FALSE(reading.request);
  EXPECT_EQ(reading.reason, GetParam().reason);
  EXPECT_THAT(reading.faults, HasFaultAt(GetParam().pointer));
  EXPECT_THAT(reading.event_id, Not(IsEmpty()));
}

std::string Deep(int levels) {
  return R"({"dedupe_key": "a", "channel": "b", "message": {"text": "c"}, "x": )" + std::string(levels, '[') +
         std::string(levels, ']') + "}";
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileEventTest,
    ::testing::Values(
        Hostile{"Tombstone", EventBuilder().Value(std::nullopt), "tombstone", ""},
        Hostile{"EmptyValue", EventBuilder().Value(""), "not_json", ""},
        Hostile{"Garbage", EventBuilder().Value("\x00\x01\xffgarbage"), "not_json", ""},
        Hostile{"NotUtf8", EventBuilder().Value("{\"dedupe_key\": \"\xc3\x28\"}"), "not_json", ""},
        Hostile{"CutShort", EventBuilder().Value(R"({"dedupe_key": "a")"), "not_json", ""},
        Hostile{"NotAnObject", EventBuilder().Value("[1, 2]"), "invalid_request", ""},
        Hostile{"NothingInIt", EventBuilder().Value("{}"), "invalid_request", "/dedupe_key"},
        Hostile{"TooDeep", EventBuilder().Value(Deep(64)), "not_json", ""},
        Hostile{"FarTooDeep", EventBuilder().Value(Deep(200'000)), "not_json", ""},
        Hostile{"TooLarge", EventBuilder().Value(std::string((1 << 20) + 1, ' ')), "too_large", ""},
        Hostile{"MegabyteHeader", EventBuilder().Header("x", std::string(1 << 20, 'h')), "headers_too_large",
                "headers"},
        Hostile{"IdNotUtf8", EventBuilder().Header("id", "\xff"), "invalid_headers", "headers/id"},
        Hostile{"CreatedAtUnreadable", EventBuilder().Header("createdAt", "yesterday"), "invalid_headers",
                "headers/createdAt"},
        Hostile{"CloudEventsBatch", EventBuilder().Header("content-type", "application/cloudevents-batch+json"),
                "unsupported_content_type", "headers/content-type"},
        Hostile{"CloudEventsAvro", EventBuilder().Header("content-type", "application/cloudevents+avro"),
                "unsupported_content_type", "headers/content-type"},
        Hostile{"CloudEventInXml", EventBuilder().CloudEvent().Header("content-type", "text/xml"),
                "unsupported_content_type", "headers/content-type"},
        Hostile{"CloudEventOfAnotherVersion",
                EventBuilder()
                    .Header("ce_specversion", "0.3")
                    .Header("ce_id", "1")
                    .Header("ce_source", "/s")
                    .Header("ce_type", "t"),
                "unknown_event_version", "headers/ce_specversion"},
        Hostile{"CloudEventWithoutSource",
                EventBuilder().Header("ce_specversion", "1.0").Header("ce_id", "1").Header("ce_type", "t"),
                "invalid_envelope", "headers/ce_source"},
        Hostile{"CloudEventTimeUnreadable", EventBuilder().CloudEvent().Header("ce_time", "noon"), "invalid_envelope",
                "headers/ce_time"},
        Hostile{"StructuredGarbage",
                EventBuilder().Header("content-type", "application/cloudevents+json").Value("garbage"), "not_json", ""},
        Hostile{"StructuredList", EventBuilder().Header("content-type", "application/cloudevents+json").Value("[]"),
                "invalid_envelope", ""},
        Hostile{"StructuredWithoutData",
                EventBuilder()
                    .Header("content-type", "application/cloudevents+json")
                    .Value(R"({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": null})"),
                "invalid_envelope", "/data"},
        Hostile{"StructuredWithWrongTypes",
                EventBuilder()
                    .Header("content-type", "application/cloudevents+json")
                    .Value(R"({"specversion": 1.0, "id": {}, "source": "/s", "type": "t", "data": {}})"),
                "invalid_envelope", "/id"},
        Hostile{"StructuredWithFaultInside",
                EventBuilder()
                    .Header("content-type", "application/cloudevents+json")
                    .Value(R"({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"channel": 7}})"),
                "invalid_request", "/data/channel"},
        Hostile{"StructuredWithBadBase64",
                EventBuilder()
                    .Header("content-type", "application/cloudevents+json")
                    .Value(R"({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data_base64": "%%"})"),
                "invalid_envelope", "/data_base64"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(EventReaderTest, FaultsOfHeadersAndOfThePayloadAreNamedTogether) {
  const auto reading = Read(EventBuilder().Header("id", "\xff").Header("createdAt", "noon").Value(R"({"channel": 1})"));
  EXPECT_THAT(reading.faults, HasFaultAt("headers/id"));
  EXPECT_THAT(reading.faults, HasFaultAt("headers/createdAt"));
  EXPECT_THAT(reading.faults, HasFaultAt("/channel"));
  EXPECT_THAT(reading.faults, HasFaultAt("/dedupe_key"));
}

TEST(EventReaderTest, FaultsDoNotQuoteTheMessage) {
  const auto reading = Read(EventBuilder().Value(R"({"dedupe_key": "a", "message": {"text": "CANARY", "html": 1}})"));
  EXPECT_THAT(Describe(reading.faults), Not(HasSubstr("CANARY")));
}

TEST(EventReaderTest, AnyBytesGiveAReading) {
  rc::check([](const std::string& value, const std::string& header, const std::string& header_value) {
    for (const char* type : {"", "application/cloudevents+json"}) {
      const auto reading = Read(EventBuilder().Value(value).Header(header, header_value).Header("content-type", type));
      RC_ASSERT(reading.request.has_value() == reading.reason.empty());
      RC_ASSERT(reading.request.has_value() == reading.faults.empty());
      RC_ASSERT(!reading.event_id.empty());
    }
  });
}

// ---- CloudEvents ----

TEST(EventReaderTest, ACloudEventInBinaryModeIsRead) {
  const auto reading = Read(EventBuilder()
                                .CloudEvent()
                                .Header("ce_time", "2026-11-24T05:11:41+08:00")
                                .Header("ce_traceparent", "00-aa-bb-01")
                                .Header("content-type", "application/json; charset=utf-8"));
  ASSERT_TRUE(reading.request) << Describe(reading.faults);
  EXPECT_EQ(reading.event_id, "ce-7");
  EXPECT_EQ(reading.created_at, ParseRfc3339("2026-11-23T21:11:41Z"));
  EXPECT_EQ(reading.traceparent, "00-aa-bb-01");
  EXPECT_EQ(reading.content_hash, Read(EventBuilder()).content_hash);
}

std::string Structured(std::string_view data) {
  return R"({"specversion": "1.0", "id": "ce-8", "source": "/shop", "type": "paid", "time": "2026-11-24T05:11:41Z", )" +
         std::string(data) + "}";
}

TEST(EventReaderTest, ACloudEventInStructuredModeIsRead) {
  const auto reading = Read(EventBuilder()
                                .Header("content-type", "application/CloudEvents+json; charset=UTF-8")
                                .Value(Structured(R"("data": )" + std::string(kPlainRequest))));
  ASSERT_TRUE(reading.request) << Describe(reading.faults);
  EXPECT_EQ(reading.event_id, "ce-8");
  EXPECT_EQ(reading.request->channel, "ops-alerts");
  EXPECT_EQ(reading.created_at, ParseRfc3339("2026-11-24T05:11:41Z"));
  EXPECT_EQ(reading.content_hash, Read(EventBuilder()).content_hash);
}

TEST(EventReaderTest, ACloudEventsDataMayBeInBase64) {
  const auto reading = Read(EventBuilder()
                                .Header("content-type", "application/cloudevents+json")
                                .Value(Structured(R"("data_base64": ")" + crypto::Base64(kPlainRequest) + "\"")));
  ASSERT_TRUE(reading.request) << Describe(reading.faults);
  EXPECT_EQ(reading.request->dedupe_key, "order-1");
}

}  // namespace
}  // namespace outrider::consumer
