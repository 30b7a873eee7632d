#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "model/request.h"
#include "model/text.h"
#include "tests/unit/model/property.h"
#include "tests/unit/model/request_generator.h"

namespace outrider {
namespace {

std::string CardRequest(std::string_view card) {
  return R"({"dedupe_key":"k","channel":"c","message":{"card":)" + std::string(card) + "}}";
}

TEST(RequestJsonTest, WhatIsWrittenIsReadBack) {
  ExpectProperty([] {
    const NotificationRequest request = *GenRequest();
    const RequestReading reading = ParseRequest(ToJson(request));
    RC_ASSERT(Describe(reading.faults) == "");
    RC_ASSERT(*reading.request == request);
    RC_ASSERT(reading.unknown_fields.empty());
  });
}

TEST(RequestJsonTest, WhatIsReadIsWrittenInOneWay) {
  ExpectProperty([] {
    const std::string json = ToJson(*GenRequest());
    RC_ASSERT(CanonicalJson(json) == json);
    RC_ASSERT(ToJson(*ParseRequest(json).request) == json);
  });
}

TEST(RequestJsonTest, DefaultsAreLeftOut) {
  NotificationRequest request;
  request.channel = "c";
  request.dedupe_key = "k";
  request.message = Message{.kind = Message::Kind::kText, .title = "", .text = "t", .card = ""};
  EXPECT_EQ(ToJson(request), R"({"channel":"c","dedupe_key":"k","message":{"text":"t"}})");
}

TEST(RequestJsonTest, EveryFieldIsWritten) {
  NotificationRequest request;
  request.tenant = "acme";
  request.channel = "c";
  request.dedupe_key = "k";
  request.recipient = "user:42";
  request.template_code = "t";
  request.variables = R"({"a":1})";
  request.locale = "zh-CN";
  request.fallback_text = "f";
  request.priority = Priority::kLow;
  request.scheduled_at = ParseRfc3339("2026-11-24T05:11:41Z");
  request.expires_at = ParseRfc3339("2026-11-24T05:11:41.5Z");
  request.ordering_key = "o";
  request.max_attempts = 3;
  request.is_private = true;
  request.attachments = {{"a", "u", ""}, {"b", "", "f"}};
  request.metadata = {{"order_id", "1001"}};
  EXPECT_EQ(ToJson(request),
            R"({"attachments":[{"name":"a","url":"u"},{"file_key":"f","name":"b"}],"channel":"c","dedupe_key":"k",)"
            R"("expires_at":"2026-11-24T05:11:41.500000Z","fallback_text":"f","locale":"zh-CN","max_attempts":3,)"
            R"("metadata":{"order_id":"1001"},"ordering_key":"o","priority":"low","private":true,)"
            R"("recipient":"user:42","scheduled_at":"2026-11-24T05:11:41Z","template":"t","tenant":"acme",)"
            R"("variables":{"a":1}})");
}

TEST(RequestJsonTest, AMessageIsWrittenInItsForm) {
  using Kind = Message::Kind;
  EXPECT_EQ(MessageToJson({Kind::kText, "", "t", ""}), R"({"text":"t"})");
  EXPECT_EQ(MessageToJson({Kind::kTitledText, "h", "t", ""}), R"({"text":"t","title":"h"})");
  EXPECT_EQ(MessageToJson({Kind::kMarkdown, "h", "m", ""}), R"({"markdown":"m","title":"h"})");
  EXPECT_EQ(MessageToJson({Kind::kHtml, "s", "<p>", ""}), R"({"html":"<p>","subject":"s"})");
  EXPECT_EQ(MessageToJson({Kind::kCard, "", "", R"({"b":1, "a":2})"}), R"({"card":{"a":2,"b":1}})");
}

TEST(RequestJsonTest, WhatCantBeWrittenBecomesWhatCantBeRead) {
  NotificationRequest request;
  request.channel = "c";
  request.dedupe_key = "bad \xFF byte";
  request.message = Message{.kind = Message::Kind::kCard, .title = "", .text = "", .card = "{not JSON"};
  request.variables = "[";
  const RequestReading reading = ParseRequest(ToJson(request));
  EXPECT_EQ(Describe(reading.faults),
            "/variables: must be an object, not a string; /message/card: must be an object, not a string");
  EXPECT_NE(ToJson(request).find("bad \uFFFD byte"), std::string::npos);
}

TEST(CanonicalJsonTest, KeysAreSortedAndWhiteSpaceIsGone) {
  EXPECT_EQ(CanonicalJson("\t{ \"b\" : [1, 2 ],\n\"a\":{\"d\":null,\"c\":true} } "),
            R"({"a":{"c":true,"d":null},"b":[1,2]})");
  EXPECT_EQ(CanonicalJson(R"("\u00e9\/\ud83c\udf89\u003c")"), "\"é/🎉<\"");
  EXPECT_EQ(CanonicalJson(R"({"a":1,"a":2})"), R"({"a":2})");
  EXPECT_EQ(CanonicalJson("[1.0,1,1e2,-0.0]"), "[1.0,1,100.0,-0.0]");
  EXPECT_EQ(CanonicalJson("[1"), std::nullopt);
  EXPECT_EQ(CanonicalJson(""), std::nullopt);
}

TEST(CanonicalJsonTest, DoingItTwiceChangesNothing) {
  ExpectProperty([] {
    const std::string json = *GenJsonObject(6);
    RC_ASSERT(CanonicalJson(json) == json);
  });
}

TEST(CanonicalJsonTest, WhiteSpaceBetweenTokensChangesNothing) {
  ExpectProperty([] {
    const std::string json = *GenJsonObject(4);
    std::string spaced;
    bool in_string = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
      const char c = json[i];
      spaced += c;
      if (in_string && c == '\\') {
        spaced += json[++i];
      } else if (c == '"') {
        in_string = !in_string;
      } else if (!in_string && (c == ',' || c == ':' || c == '{' || c == '[')) {
        spaced += *rc::gen::element<std::string>("", " ", "\n\t", "\r ");
      }
    }
    RC_ASSERT(CanonicalJson(spaced) == json);
    RC_ASSERT(ParseRequest(spaced).content_hash == ParseRequest(json).content_hash);
  });
}

// MariaDB keeps the text of a JSON column; the second form is what MySQL 9.7 gave back for the first.
TEST(CanonicalJsonTest, WhatMysqlNormalisedHasTheHashOfWhatMariadbKept) {
  const struct {
    const char* kept;
    const char* normalised;
  } kPairs[] = {
      {R"({"message": {"text": "t"}, "dedupe_key": "k", "channel": "c"})",
       R"({"channel": "c", "message": {"text": "t"}, "dedupe_key": "k"})"},
      {R"({"dedupe_key":"first","channel":"c","template":"t","dedupe_key":"last"})",
       R"({"channel": "c", "template": "t", "dedupe_key": "last"})"},
      {R"({"dedupe_key":"k","channel":"c","template":"t","variables":{"bb":1,"a":2,"B":3,"aa":4,"":5}})",
       R"({"channel": "c", "template": "t", "variables": {"": 5, "B": 3, "a": 2, "aa": 4, "bb": 1}, "dedu)"
       R"(pe_key": "k"})"},
      {R"({"dedupe_key":"k","channel":"c","template":"\u00e9\/\ud83c\udf89 \u003c\u2028\u0007\t"})",
       R"({"channel": "c", "template": "é/🎉 <)"
       "\u2028"
       R"(\u0007\t", "dedupe_key": "k"})"},
      {R"({"dedupe_key":"k","channel":"c","template":"t","variables":{"n":[1,1.0,1e2,1E+2,100.0,-0,-0.0,0)"
       R"(.1,1e-7,1.5e300,2.5e-10,1e15,1e17,123456789012345678901234567890,18446744073709551615,900719925)"
       R"(4740993,-9223372036854775808,0.30000000000000004,3.141592653589793238,5e-324,1.7976931348623157)"
       R"(e308,123456.789e3,1e22,1e23,4.35,0.000001,2.2250738585072014e-308]}})",
       R"({"channel": "c", "template": "t", "variables": {"n": [1, 1.0, 100.0, 100.0, 100.0, 0, -0.0, 0.1)"
       R"(, 0.0000001, 1.5e300, 0.00000000025, 1e15, 1e17, 1.2345678901234568e29, 18446744073709551615, 9)"
       R"(007199254740993, -9223372036854775808, 0.30000000000000004, 3.141592653589793, 5e-324, 1.797693)"
       R"(1348623157e308, 123456789.0, 1e22, 1e23, 4.35, 0.000001, 2.2250738585072014e-308]}, "dedupe_key)"
       R"(": "k"})"},
      {R"({"dedupe_key":"k","channel":"c","message":{"card":{"a":null,"b":[true,false,[],{}],"dup":{"x":1)"
       R"(},"dup":{"y":2}}}})",
       R"({"channel": "c", "message": {"card": {"a": null, "b": [true, false, [], {}], "dup": {"y": 2}}},)"
       R"( "dedupe_key": "k"})"},
  };
  for (const auto& [kept, normalised] : kPairs) {
    EXPECT_EQ(CanonicalJson(kept), CanonicalJson(normalised));
    EXPECT_EQ(ParseRequest(kept).content_hash, ParseRequest(normalised).content_hash) << kept;
    EXPECT_EQ(ParseRequest(kept).request, ParseRequest(normalised).request) << kept;
  }
}

TEST(ContentHashTest, IsSha256OfTheCanonicalJson) {
  const std::string payload = R"({ "channel": "c", "dedupe_key": "k", "message": {"text": "t"} })";
  EXPECT_EQ(ParseRequest(payload).content_hash, Sha256(R"({"channel":"c","dedupe_key":"k","message":{"text":"t"}})"));
}

TEST(ContentHashTest, DependsOnWhatIsIgnoredTooAndExistsForRejectedRequests) {
  EXPECT_NE(ParseRequest(R"({"x":1})").content_hash, ParseRequest(R"({"x":2})").content_hash);
  EXPECT_EQ(ParseRequest(R"({"x":1})").content_hash, Sha256(R"({"x":1})"));
  EXPECT_EQ(ParseRequest("no JSON").content_hash, Digest{});
}

TEST(ContentHashTest, NumbersThatDifferDiffer) {
  EXPECT_NE(ParseRequest(CardRequest("1")).content_hash, ParseRequest(CardRequest("1.0")).content_hash);
  EXPECT_NE(ParseRequest(CardRequest("9007199254740993")).content_hash,
            ParseRequest(CardRequest("9007199254740992")).content_hash);
}

}  // namespace
}  // namespace outrider
