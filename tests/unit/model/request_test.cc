#include "model/request.h"

#include <string>

#include "tests/unit/model/property.h"

namespace outrider {
namespace {

NotificationRequest Read(std::string_view payload) {
  RequestReading reading = ParseRequest(payload);
  EXPECT_EQ(Describe(reading.faults), "") << payload;
  return reading.request.value_or(NotificationRequest{});
}

// The smallest request with `fields` beside it.
std::string With(std::string_view fields) {
  return R"({"dedupe_key":"k","channel":"c","message":{"text":"t"},)" + std::string(fields) + "}";
}

std::string WithMessage(std::string_view message) {
  return R"({"dedupe_key":"k","channel":"c","message":)" + std::string(message) + "}";
}

TEST(RequestTest, EveryFieldIsRead) {
  const NotificationRequest request = Read(R"({
    "dedupe_key": " order-1001 ", "channel": "ops-alerts", "recipient": "chat_id:oc_1", "tenant": "acme",
    "template": "shipped", "variables": {"b": 1, "a": "x"}, "locale": "zh-CN", "fallback_text": "订单已发货",
    "priority": "high", "scheduled_at": "2026-11-24T13:11:41+08:00", "expires_at": "2026-11-25T00:00:00.5Z",
    "ordering_key": "order-1001", "max_attempts": 3, "private": true,
    "attachments": [{"name": "a.pdf", "url": "https://x/a.pdf"}, {"name": "b", "file_key": "file_1"}],
    "metadata": {"order_id": "1001"}})");
  EXPECT_EQ(request.dedupe_key, "order-1001");
  EXPECT_EQ(request.channel, "ops-alerts");
  EXPECT_EQ(request.recipient, "chat_id:oc_1");
  EXPECT_EQ(request.tenant, "acme");
  EXPECT_EQ(request.message, std::nullopt);
  EXPECT_EQ(request.template_code, "shipped");
  EXPECT_EQ(request.variables, R"({"a":"x","b":1})");
  EXPECT_EQ(request.locale, "zh-CN");
  EXPECT_EQ(request.fallback_text, "订单已发货");
  EXPECT_EQ(request.priority, Priority::kHigh);
  EXPECT_EQ(request.scheduled_at, ParseRfc3339("2026-11-24T05:11:41Z"));
  EXPECT_EQ(request.expires_at, ParseRfc3339("2026-11-25T00:00:00.5Z"));
  EXPECT_EQ(request.ordering_key, "order-1001");
  EXPECT_EQ(request.max_attempts, 3);
  EXPECT_TRUE(request.is_private);
  EXPECT_EQ(request.attachments, (std::vector<Attachment>{{"a.pdf", "https://x/a.pdf", ""}, {"b", "", "file_1"}}));
  EXPECT_EQ(request.metadata, (std::map<std::string, std::string>{{"order_id", "1001"}}));
}

TEST(RequestTest, WhatIsLeftOutHasItsDefault) {
  const NotificationRequest request = Read(R"({"dedupe_key":"k","channel":"c","message":{"text":"t"}})");
  EXPECT_EQ(request.tenant, "default");
  EXPECT_EQ(request.priority, Priority::kNormal);
  EXPECT_EQ(request.variables, "{}");
  EXPECT_EQ(request.recipient, "");
  EXPECT_EQ(request.max_attempts, std::nullopt);
  EXPECT_EQ(request.scheduled_at, std::nullopt);
  EXPECT_EQ(request.expires_at, std::nullopt);
  EXPECT_FALSE(request.is_private);
  EXPECT_TRUE(request.attachments.empty());
  EXPECT_TRUE(request.metadata.empty());
}

TEST(RequestTest, AMessageHasOneOfFiveForms) {
  using Kind = Message::Kind;
  EXPECT_EQ(Read(WithMessage(R"({"text":"t"})")).message, (Message{Kind::kText, "", "t", ""}));
  EXPECT_EQ(Read(WithMessage(R"({"title":"h","text":"t"})")).message, (Message{Kind::kTitledText, "h", "t", ""}));
  EXPECT_EQ(Read(WithMessage(R"({"title":"h","markdown":"**m**"})")).message,
            (Message{Kind::kMarkdown, "h", "**m**", ""}));
  EXPECT_EQ(Read(WithMessage(R"({"card":{"b":[1.50,"é"],"a":null}})")).message,
            (Message{Kind::kCard, "", "", R"({"a":null,"b":[1.5,"é"]})"}));
  EXPECT_EQ(Read(WithMessage(R"({"html":"<p>","subject":"s"})")).message, (Message{Kind::kHtml, "s", "<p>", ""}));
}

TEST(RequestTest, ATitleMayBeBlankAndSoMayABodyThatHasAFallback) {
  EXPECT_EQ(Read(WithMessage(R"({"title":"","text":"t"})")).message->title, "");
  for (const char* blank :
       {R"({"text":" "})", R"({"title":"h","markdown":""})", R"({"html":"\u3000","subject":"s"})", R"({"card":{}})"}) {
    EXPECT_EQ(Read(R"({"dedupe_key":"k","channel":"c","fallback_text":"f","message":)" + std::string(blank) + "}")
                  .fallback_text,
              "f");
  }
}

TEST(RequestTest, ADedupeKeyIsTrimmedAndMeasuredThen) {
  std::string key;
  for (std::size_t i = 0; i < kMaxDedupeKey; ++i) key += "🎉";
  EXPECT_EQ(Read(R"({"dedupe_key":"\u3000 )" + key + R"(\n","channel":"c","message":{"text":"t"}})").dedupe_key, key);
}

TEST(RequestTest, AChannelIsTrimmed) {
  EXPECT_EQ(Read(R"({"dedupe_key":"k","channel":" c ","message":{"text":"t"}})").channel, "c");
}

TEST(RequestTest, OtherNamesAreKeptAsTheyAre) {
  EXPECT_EQ(Read(With(R"("ordering_key":" o ")")).ordering_key, " o ");
  EXPECT_EQ(Read(With(R"("tenant":" t ")")).tenant, " t ");
}

TEST(RequestTest, AnAttemptLimitMayBeAnyIntegerInRange) {
  EXPECT_EQ(Read(With(R"("max_attempts":1)")).max_attempts, 1);
  EXPECT_EQ(Read(With(R"("max_attempts":1000)")).max_attempts, 1000);
  EXPECT_EQ(Read(With(R"("max_attempts":3.0)")).max_attempts, 3);
  EXPECT_EQ(Read(With(R"("max_attempts":1e2)")).max_attempts, 100);
}

TEST(RequestTest, PrioritiesAreThree) {
  EXPECT_EQ(Read(With(R"("priority":"high")")).priority, Priority::kHigh);
  EXPECT_EQ(Read(With(R"("priority":"normal")")).priority, Priority::kNormal);
  EXPECT_EQ(Read(With(R"("priority":"low")")).priority, Priority::kLow);
}

TEST(RequestTest, UnknownFieldsAreNamedAndIgnored) {
  const RequestReading reading = ParseRequest(With(
      R"("prioritty":"high","a/b~c":1,"message":{"text":"t","colour":"red"},"attachments":[{"name":"n","url":"u","size":9}])"));
  ASSERT_TRUE(reading.request) << Describe(reading.faults);
  EXPECT_EQ(reading.request->priority, Priority::kNormal);
  EXPECT_EQ(reading.unknown_fields,
            (std::vector<std::string>{"/a~1b~0c", "/prioritty", "/message/colour", "/attachments/0/size"}));
}

TEST(RequestTest, TheFreeFieldsHaveNoUnknownNames) {
  EXPECT_TRUE(ParseRequest(With(R"("metadata":{"x":"1"})")).unknown_fields.empty());
  EXPECT_TRUE(ParseRequest(R"({"dedupe_key":"k","channel":"c","template":"t","variables":{"x":{"y":1}}})")
                  .unknown_fields.empty());
  EXPECT_TRUE(ParseRequest(WithMessage(R"({"card":{"x":1}})")).unknown_fields.empty());
}

TEST(RequestTest, OfARepeatedKeyTheLastWins) {
  EXPECT_EQ(Read(R"({"dedupe_key":"a","channel":"c","message":{"text":"t"},"dedupe_key":"b"})").dedupe_key, "b");
  EXPECT_EQ(Read(R"({"dedupe_key":"k","channel":"c","message":7,"message":{"text":"1","text":"2"}})").message->text,
            "2");
}

TEST(RequestTest, NulIsAllowedWhereNoTableOrMetricHoldsTheText) {
  EXPECT_EQ(Read(WithMessage(R"({"text":"a\u0000b"})")).message->text, std::string("a\0b", 3));
}

TEST(RequestTest, APayloadOfTheLargestSizeAndDepthIsRead) {
  std::string payload = WithMessage(R"({"text":"t"})");
  payload.append(kMaxPayloadBytes - payload.size(), ' ');
  EXPECT_TRUE(ParseRequest(payload).request);
  const int inner = kMaxJsonDepth - 1;
  EXPECT_TRUE(ParseRequest(With("\"x\":" + std::string(inner, '[') + std::string(inner, ']'))).request);
}

}  // namespace
}  // namespace outrider
