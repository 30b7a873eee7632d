#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "model/request.h"
#include "tests/unit/model/property.h"

namespace outrider {
namespace {

std::string FaultsOf(std::string_view payload) {
  const RequestReading reading = ParseRequest(payload);
  EXPECT_EQ(reading.request.has_value(), reading.faults.empty());
  return Describe(reading.faults);
}

std::string With(std::string_view fields) {
  return R"({"dedupe_key":"k","channel":"c","message":{"text":"t"},)" + std::string(fields) + "}";
}

std::string WithMessage(std::string_view message) {
  return R"({"dedupe_key":"k","channel":"c","message":)" + std::string(message) + "}";
}

TEST(RequestFaultTest, EveryFaultIsNamedAtOnceWithItsPointer) {
  EXPECT_EQ(
      FaultsOf(R"({"dedupe_key":" ","tenant":"","recipient":7,"message":{"text":1,"card":[]},"template":"t",
                   "variables":[],"priority":"urgent","scheduled_at":"tomorrow","max_attempts":"5","private":"yes",
                   "attachments":[{"name":"a"},3],"metadata":{"n":1,"a/b":null}})"),
      "/dedupe_key: is blank; /channel: is missing; /tenant: is blank; /recipient: must be a string, not a number; "
      "/variables: must be an object, not an array; /message/text: must be a string, not a number; "
      "/message/card: must be an object, not an array; "
      "/message: must hold text, title and text, title and markdown, card, or html and subject; it holds text, card; "
      "/template: stands beside message; only one of the two is allowed; /priority: must be high, normal or low; "
      "/scheduled_at: must be an RFC 3339 time with an offset, from 1970 to 9999, such as 2026-11-24T05:11:41Z; "
      "/max_attempts: must be an integer from 1 to 1000; /private: must be true or false, not a string; "
      "/attachments/0: must hold exactly one of url and file_key; /attachments/1: must be an object, not a number; "
      "/metadata/a~1b: must be a string, not null (leave the field out instead); "
      "/metadata/n: must be a string, not a number");
}

TEST(RequestFaultTest, AnEmptyObjectLacksThreeThings) {
  EXPECT_EQ(FaultsOf("{}"),
            "/dedupe_key: is missing; /channel: is missing; "
            "/message: is missing, and so is template; one of the two is needed");
}

TEST(RequestFaultTest, OnlyAnObjectIsARequest) {
  EXPECT_EQ(FaultsOf("[]"), "the request: must be an object, not an array");
  EXPECT_EQ(FaultsOf("null"), "the request: must be an object, not null (leave the field out instead)");
  EXPECT_EQ(FaultsOf("\"text\""), "the request: must be an object, not a string");
  EXPECT_EQ(FaultsOf("7"), "the request: must be an object, not a number");
  EXPECT_EQ(FaultsOf("true"), "the request: must be an object, not a boolean");
}

TEST(RequestFaultTest, NamesHaveLimitsInCharacters) {
  const struct {
    const char* field;
    std::size_t limit;
  } kLimits[] = {{"tenant", kMaxTenant}, {"recipient", kMaxRecipient}, {"ordering_key", kMaxOrderingKey}};
  for (const auto& [field, limit] : kLimits) {
    std::string text;
    for (std::size_t i = 0; i < limit; ++i) text += "订";
    EXPECT_EQ(FaultsOf(With("\"" + std::string(field) + "\":\"" + text + "\"")), "") << field;
    EXPECT_EQ(FaultsOf(With("\"" + std::string(field) + "\":\"" + text + "x\"")),
              "/" + std::string(field) + ": has " + std::to_string(limit + 1) + " characters; at most " +
                  std::to_string(limit) + " are allowed");
  }
  const std::string message = R"(,"message":{"text":"t"}})";
  EXPECT_EQ(FaultsOf(R"({"dedupe_key":"k","channel":")" + std::string(65, 'c') + "\"" + message),
            "/channel: has 65 characters; at most 64 are allowed");
  EXPECT_EQ(FaultsOf(R"({"channel":"c","dedupe_key":")" + std::string(192, 'k') + "\"" + message),
            "/dedupe_key: has 192 characters; at most 191 are allowed");
}

TEST(RequestFaultTest, WhatATableHoldsAsANameHasNoNul) {
  for (const char* field : {"tenant", "recipient", "ordering_key"}) {
    EXPECT_EQ(FaultsOf(With("\"" + std::string(field) + R"(":"a\u0000b")")),
              "/" + std::string(field) + ": holds a NUL character");
  }
  EXPECT_EQ(FaultsOf(R"({"dedupe_key":"a\u0000","channel":"c\u0000","message":{"text":"t"}})"),
            "/dedupe_key: holds a NUL character; /channel: holds a NUL character");
}

TEST(RequestFaultTest, AMessageOfNoFormIsNamed) {
  constexpr std::string_view kWanted =
      "/message: must hold text, title and text, title and markdown, card, or html and subject; it holds ";
  EXPECT_EQ(FaultsOf(WithMessage("{}")), std::string(kWanted) + "none of them");
  EXPECT_EQ(FaultsOf(WithMessage(R"({"title":"h"})")), std::string(kWanted) + "title");
  EXPECT_EQ(FaultsOf(WithMessage(R"({"markdown":"m"})")), std::string(kWanted) + "markdown");
  EXPECT_EQ(FaultsOf(WithMessage(R"({"html":"h"})")), std::string(kWanted) + "html");
  EXPECT_EQ(FaultsOf(WithMessage(R"({"text":"t","markdown":"m","title":"h"})")),
            std::string(kWanted) + "text, title, markdown");
  EXPECT_EQ(FaultsOf(WithMessage(R"("text")")), "/message: must be an object, not a string");
}

TEST(RequestFaultTest, AnEmptyBodyNeedsAFallback) {
  const std::string_view problem = ": is empty, and there is no fallback_text to send instead";
  EXPECT_EQ(FaultsOf(WithMessage(R"({"text":" \u3000"})")), "/message/text" + std::string(problem));
  EXPECT_EQ(FaultsOf(WithMessage(R"({"title":"h","markdown":""})")), "/message/markdown" + std::string(problem));
  EXPECT_EQ(FaultsOf(WithMessage(R"({"subject":"s","html":"\n"})")), "/message/html" + std::string(problem));
  EXPECT_EQ(FaultsOf(WithMessage(R"({"card":{}})")), "/message/card" + std::string(problem));
  EXPECT_EQ(FaultsOf(R"({"dedupe_key":"k","channel":"c","fallback_text":" ","message":{"text":""}})"),
            "/message/text" + std::string(problem));
}

TEST(RequestFaultTest, ABlankTemplateIsNamed) {
  EXPECT_EQ(FaultsOf(R"({"dedupe_key":"k","channel":"c","template":" "})"), "/template: is blank");
  EXPECT_EQ(FaultsOf(R"({"dedupe_key":"k","channel":"c","template":null})"),
            "/template: must be a string, not null (leave the field out instead)");
}

TEST(RequestFaultTest, ANumberIsNotTakenFromAText) {
  EXPECT_EQ(FaultsOf(With(R"("max_attempts":"5")")), "/max_attempts: must be an integer from 1 to 1000");
  EXPECT_EQ(FaultsOf(With(R"("private":1)")), "/private: must be true or false, not a number");
  EXPECT_EQ(FaultsOf(With(R"("priority":1)")), "/priority: must be a string, not a number");
  EXPECT_EQ(FaultsOf(With(R"("metadata":{"order_id":1001})")), "/metadata/order_id: must be a string, not a number");
}

TEST(RequestFaultTest, AnAttemptLimitIsAnIntegerInRange) {
  for (const char* number : {"0", "-1", "1001", "1.5", "1e3000000000000", "18446744073709551616", "true", "[3]",
                             "-9223372036854775809", "0.9999999"}) {
    EXPECT_NE(FaultsOf(With(std::string(R"("max_attempts":)") + number)), "") << number;
  }
}

TEST(RequestFaultTest, AnEndMustFollowItsBeginning) {
  const auto times = [](std::string_view scheduled, std::string_view expires) {
    return With("\"scheduled_at\":\"" + std::string(scheduled) + "\",\"expires_at\":\"" + std::string(expires) + "\"");
  };
  EXPECT_EQ(FaultsOf(times("2026-11-24T05:00:00Z", "2026-11-24T05:00:00Z")),
            "/expires_at: must be later than scheduled_at");
  EXPECT_EQ(FaultsOf(times("2026-11-24T05:00:00Z", "2026-11-24T12:59:59+08:00")),
            "/expires_at: must be later than scheduled_at");
  EXPECT_EQ(FaultsOf(times("2026-11-24T05:00:00.0000001Z", "2026-11-24T05:00:00.0000009Z")),
            "/expires_at: must be later than scheduled_at");
  EXPECT_EQ(FaultsOf(times("2026-11-24T05:00:00Z", "2026-11-24T05:00:00.000001Z")), "");
}

TEST(RequestFaultTest, AnAttachmentHasANameAndOneSource) {
  EXPECT_EQ(FaultsOf(With(R"("attachments":[{}])")),
            "/attachments/0/name: is missing; /attachments/0: must hold exactly one of url and file_key");
  EXPECT_EQ(FaultsOf(With(R"("attachments":[{"name":"a","url":"u","file_key":"f"}])")),
            "/attachments/0: must hold exactly one of url and file_key");
  EXPECT_EQ(FaultsOf(With(R"("attachments":[{"name":" ","url":""}])")),
            "/attachments/0/name: is blank; /attachments/0/url: is blank");
  EXPECT_EQ(FaultsOf(With(R"("attachments":{})")), "/attachments: must be an array, not an object");
}

TEST(RequestFaultTest, NullIsNoValueForAnyField) {
  for (const char* field : {"tenant", "recipient", "variables", "locale", "fallback_text", "priority", "scheduled_at",
                            "expires_at", "ordering_key", "max_attempts", "private", "attachments", "metadata"}) {
    EXPECT_TRUE(
        FaultsOf(With("\"" + std::string(field) + "\":null")).starts_with("/" + std::string(field) + ": must be"))
        << field;
  }
}

TEST(RequestFaultTest, WhatIsNoJsonIsToldWithThePlaceAndWithoutTheText) {
  EXPECT_EQ(FaultsOf(""), "the request: is empty");
  EXPECT_EQ(FaultsOf(R"({"secret": hunter2})"), "the request: is not JSON: the fault is at byte 12");
  EXPECT_EQ(FaultsOf(R"({"a":1} x)"), "the request: is not JSON: the fault is at byte 9");
  for (const char* text : {"{", "{]", "{'a':1}", "{\"a\":1,}", "{\"a\":01}", "{\"a\":NaN}", "{\"a\":\"\n\"}",
                           "{\"a\":\"\\x\"}", "{\"a\":\"\\ud800\"}", "// c\n{}", "\xEF\xBB\xBF", "nul"}) {
    EXPECT_TRUE(FaultsOf(text).starts_with("the request: is not JSON: the fault is at byte ")) << text;
  }
  EXPECT_EQ(FaultsOf(std::string_view("{}\0", 3)), "the request: is not JSON: byte 3 is NUL");
  EXPECT_EQ(FaultsOf("{\"a\":\"\xFF\"}"), "the request: is not valid UTF-8");
  EXPECT_EQ(FaultsOf("{\"a\":\"\xED\xA0\x80\"}"), "the request: is not valid UTF-8");
  EXPECT_EQ(FaultsOf("{\"a\":1e400}"), "the request: holds a number that is too large for JSON's readers");
}

TEST(RequestFaultTest, DepthIsBounded) {
  const std::string_view problem = "the request: is nested deeper than 64 levels";
  EXPECT_EQ(FaultsOf(With("\"x\":" + std::string(64, '[') + std::string(64, ']'))), problem);
  EXPECT_EQ(FaultsOf(std::string(kMaxPayloadBytes, '[')), problem);
  std::string objects;
  while (objects.size() + 5 < kMaxPayloadBytes) objects += "{\"a\":";
  EXPECT_EQ(FaultsOf(objects), problem);
  // Brackets inside texts are no levels, an escaped quote doesn't end one.
  EXPECT_EQ(FaultsOf(With(R"("x":"\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[")")),
            "");
}

TEST(RequestFaultTest, SizeIsBounded) {
  EXPECT_EQ(FaultsOf(std::string(kMaxPayloadBytes + 1, ' ')),
            "the request: has 1048577 bytes; at most 1048576 are allowed");
}

// A record keeps the request in its canonical form and reads it back before each attempt.
TEST(RequestFaultTest, ARequestThatOutgrowsTheLimitWhenWrittenOutIsRefused) {
  std::string numbers = "1e14";
  while (numbers.size() < kMaxPayloadBytes / 2) numbers += ",1e14";
  const std::string payload = R"({"dedupe_key":"k","channel":"c","template":"t","variables":{"x":[)" + numbers + "]}}";
  ASSERT_LT(payload.size(), kMaxPayloadBytes);
  EXPECT_TRUE(FaultsOf(payload).starts_with("the request: has ")) << FaultsOf(payload).substr(0, 200);
  // What is ignored isn't kept, so it may.
  EXPECT_EQ(FaultsOf(With("\"ignored\":[" + numbers + "]")), "");
}

TEST(RequestFaultTest, FaultsBeyondAHundredAreCounted) {
  std::string attachments = "1";
  for (int i = 1; i < 250; ++i) attachments += ",1";
  const RequestReading reading = ParseRequest(With("\"attachments\":[" + attachments + "]"));
  ASSERT_EQ(reading.faults.size(), kMaxFaults + 1);
  EXPECT_EQ(reading.faults.back().pointer, "");
  EXPECT_EQ(reading.faults.back().problem, "has 150 further faults");
}

TEST(RequestFaultTest, HundredExactlyAreAllNamed) {
  std::string attachments = "1";
  for (std::size_t i = 1; i < kMaxFaults; ++i) attachments += ",1";
  const RequestReading reading = ParseRequest(With("\"attachments\":[" + attachments + "]"));
  ASSERT_EQ(reading.faults.size(), kMaxFaults);
  EXPECT_EQ(reading.faults.back().pointer, "/attachments/99");
}

TEST(RequestFaultTest, AHostileNameCantForgeALogLine) {
  const std::string line = FaultsOf(With("\"metadata\":{\"a\\nlevel=error\\u001b[31m\":1}"));
  EXPECT_EQ(line, "/metadata/a level=error [31m: must be a string, not a number");
}

TEST(RequestFaultTest, AFaultNeverShowsAValue) {
  for (const char* payload : {R"({"dedupe_key":7,"channel":["hunter2"],"message":{"text":["hunter2"]}})",
                              R"({"dedupe_key":"k","channel":"c","message":"hunter2"})",
                              R"({"dedupe_key":"k","channel":"c","message":{"text":"t"},"priority":"hunter2"})",
                              R"({"dedupe_key":"k","channel":"c","message":{"text":"t"},"scheduled_at":"hunter2"})",
                              R"({"dedupe_key":"hunter2",)", R"("hunter2")", R"({"a":"hunter2\q"})"}) {
    EXPECT_NE(FaultsOf(payload), "") << payload;
    EXPECT_EQ(FaultsOf(payload).find("hunter2"), std::string::npos) << payload;
  }
}

TEST(RequestFaultTest, AnyBytesGiveAReading) {
  ExpectProperty([] {
    std::string payload = With(R"("metadata":{"a":"b"},"attachments":[{"name":"n","url":"u"}],"max_attempts":3)");
    for (int left = *rc::gen::inRange(0, 4); left > 0; --left) {
      const auto at = *rc::gen::inRange<std::size_t>(0, payload.size());
      payload.replace(at, *rc::gen::inRange<std::size_t>(0, 6), *rc::gen::oneOf(GenBytes(), GenText()));
      if (payload.empty()) break;
    }
    const RequestReading reading = ParseRequest(payload);
    RC_ASSERT(reading.request.has_value() == reading.faults.empty());
  });
}

}  // namespace
}  // namespace outrider
