#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/text.h"
#include "providers/feishu_bot.h"
#include "providers/feishu_bot_codes.h"

namespace outrider::providers {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
constexpr char kSecret[] = "SIGNCANARYsign";

SendOutcome Read(int status, const std::string& body, http::Headers headers = {}) {
  const FeishuBot bot(Secret(std::string("https://open.feishu.cn/open-apis/bot/v2/hook/") + kToken), Secret(kSecret));
  http::HttpResponse response;
  response.status = status;
  response.body = body;
  response.headers = std::move(headers);
  return bot.ReadResponse(response);
}

std::string Body(std::int64_t code, const std::string& message) {
  return R"({"code":)" + std::to_string(code) + R"(,"data":{},"msg":")" + message + R"("})";
}

TEST(FeishuBotAnswerTest, TheDocumentedSuccessIsAccepted) {
  const SendOutcome outcome =
      Read(200, R"({"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"})");
  EXPECT_EQ(outcome.verdict, SendVerdict::kAccepted);
  EXPECT_EQ(outcome.reason, "");
  EXPECT_EQ(outcome.provider_code, "0");
  EXPECT_EQ(outcome.http_status, 200);
}

TEST(FeishuBotAnswerTest, TheOlderAndTheShorterSuccessAreAccepted) {
  EXPECT_EQ(Read(200, R"({"Extra":null,"StatusCode":0,"StatusMessage":"success"})").verdict, SendVerdict::kAccepted);
  EXPECT_EQ(Read(200, R"({"code":0,"data":{},"msg":"success"})").verdict, SendVerdict::kAccepted);
}

TEST(FeishuBotAnswerTest, NothingButPositiveProofIsAccepted) {
  const std::vector<std::string> bodies = {
      "",
      "ok",
      "success",
      "{}",
      "[]",
      "0",
      "null",
      R"({"msg":"success"})",
      R"({"code":"0","msg":"success"})",
      R"({"code":0.0,"msg":"success"})",
      R"({"code":false,"msg":"success"})",
      R"({"code":null,"msg":"success"})",
      R"({"code":null,"StatusCode":0})",
      R"({"code":"0","StatusCode":0})",
      R"({"code":0,"StatusCode":"0"})",
      R"({"code":18446744073709551615,"StatusCode":0})",
      R"({"StatusCode":"0"})",
      R"([{"code":0}])",
      R"({"data":{"code":0}})",
      R"({"code":0,"msg":"succ)",
      R"({"code":0}{"code":0})",
      std::string("{\"code\":0}\0", 11),
      std::string("{\"code\":0}\0 and more", 20),
      "<html>code 0</html>",
      "\xff\xfe",
  };
  for (const std::string& body : bodies) {
    const SendOutcome outcome = Read(200, body);
    EXPECT_EQ(outcome.verdict, SendVerdict::kNoAnswer) << body;
    EXPECT_FALSE(outcome.reason.empty()) << body;
  }
}

TEST(FeishuBotAnswerTest, CodesThatDisagreeAreAFailure) {
  EXPECT_EQ(Read(200, R"({"code":0,"StatusCode":19024,"msg":"success"})").reason, "feishu_19024");
  EXPECT_EQ(Read(200, R"({"code":19001,"StatusCode":0})").reason, "feishu_19001");
}

TEST(FeishuBotAnswerTest, ACodeZeroUnderAFailedStatusIsInDoubt) {
  for (const int status : {301, 400, 404, 500, 504}) {
    const SendOutcome outcome = Read(status, Body(0, "success"));
    EXPECT_EQ(outcome.verdict, SendVerdict::kNoAnswer) << status;
    EXPECT_EQ(outcome.reason, "contradictory_answer");
  }
}

struct Expected {
  std::int64_t code;
  const char* message;
  SendVerdict verdict;
  bool alert;
  bool downgrade;
};

// Written out from the vendor's pages apart from the table, so that a slip in either shows.
const Expected kExpected[] = {
    {9499, "too many request", SendVerdict::kNotNow, false, false},
    {9499, "Too Many Requests", SendVerdict::kNotNow, false, false},
    {9499, "Bad Request", SendVerdict::kRefused, false, false},
    {19001, "param invalid: incoming webhook access token invalid", SendVerdict::kChannelDown, true, false},
    {19002, "params error, msg_type need", SendVerdict::kRefused, false, false},
    {19007, "Bot Not Enabled", SendVerdict::kChannelDown, false, false},
    {19021, "sign match fail or timestamp is not within one hour from current time", SendVerdict::kChannelDown, true,
     false},
    {19022, "Ip Not Allowed", SendVerdict::kChannelDown, true, false},
    {19024, "Key Words Not Found", SendVerdict::kRefused, false, false},
    {19036, "message exceeds the size limit of 30KB", SendVerdict::kRefused, false, true},
    {11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]", SendVerdict::kNotNow, false, false},
    {11233, "chat rate limit", SendVerdict::kNotNow, false, false},
    {11246, "create message content failed", SendVerdict::kRefused, false, true},
    {11246, "Service Internal Error", SendVerdict::kNotNow, false, false},
    {2200, "internal error", SendVerdict::kNoAnswer, false, false},
    {10002, "text is nil", SendVerdict::kRefused, false, false},
    {10003, "invalid param", SendVerdict::kRefused, false, false},
    {10029, "x", SendVerdict::kRefused, false, false},
    {10030, "x", SendVerdict::kRefused, false, false},
    {11101, "x", SendVerdict::kRefused, false, false},
    {11201, "x", SendVerdict::kRefused, false, false},
    {11203, "x", SendVerdict::kRefused, false, false},
    {11207, "x", SendVerdict::kChannelDown, true, false},
    {11213, "x", SendVerdict::kRefused, false, false},
    {11225, "x", SendVerdict::kUnreachable, false, false},
    {11236, "x", SendVerdict::kUnreachable, false, false},
    {11237, "x", SendVerdict::kUnreachable, false, false},
    {11242, "x", SendVerdict::kUnreachable, true, false},
    {11247, "x", SendVerdict::kNotNow, true, false},
    {11248, "x", SendVerdict::kRefused, false, false},
    {11311, "x", SendVerdict::kRefused, false, true},
    {11312, "x", SendVerdict::kRefused, true, false},
    {99991400, "request trigger frequency limit", SendVerdict::kNotNow, false, false},
};

TEST(FeishuBotAnswerTest, EveryRowOfTheTableMeansWhatTheVendorSays) {
  for (const Expected& expected : kExpected) {
    for (const int status : {200, 400}) {
      const SendOutcome outcome = Read(status, Body(expected.code, expected.message));
      EXPECT_EQ(outcome.verdict, expected.verdict) << expected.code << " " << expected.message;
      EXPECT_EQ(outcome.alert, expected.alert) << expected.code;
      EXPECT_EQ(outcome.downgrade, expected.downgrade) << expected.code;
      EXPECT_EQ(outcome.reason, "feishu_" + std::to_string(expected.code));
      EXPECT_EQ(outcome.provider_code, std::to_string(expected.code));
      EXPECT_EQ(outcome.http_status, status);
      EXPECT_THAT(outcome.detail, HasSubstr(std::to_string(expected.code)));
    }
  }
}

TEST(FeishuBotAnswerTest, EveryRowOfTheTableIsTried) {
  for (const AnswerCode& row : kFeishuBotCodes) {
    EXPECT_TRUE(std::any_of(std::begin(kExpected), std::end(kExpected), [&](const Expected& expected) {
      return expected.code == row.code;
    })) << row.code;
  }
}

TEST(FeishuBotAnswerTest, TheLegacyFieldAloneIsLookedUpToo) {
  const SendOutcome outcome = Read(200, R"({"StatusCode":19024,"StatusMessage":"Key Words Not Found"})");
  EXPECT_EQ(outcome.reason, "feishu_19024");
  EXPECT_THAT(outcome.detail, HasSubstr("Key Words Not Found"));
}

TEST(FeishuBotAnswerTest, AnUnknownCodeIsTemporaryAndHasItsOwnReason) {
  for (const std::int64_t code : {std::int64_t{1}, std::int64_t{-1}, std::int64_t{12345}, INT64_MIN, INT64_MAX}) {
    const SendOutcome outcome = Read(200, Body(code, "who knows"));
    EXPECT_EQ(outcome.verdict, SendVerdict::kNotNow) << code;
    EXPECT_EQ(outcome.reason, "feishu_unknown_code");
    EXPECT_TRUE(std::string_view(outcome.reason).ends_with(kUnknownCodeSuffix));
    EXPECT_EQ(outcome.provider_code, std::to_string(code));
    EXPECT_TRUE(outcome.alert);
  }
}

TEST(FeishuBotAnswerTest, AnUnknownCodeFromAFailedGatewayIsInDoubt) {
  EXPECT_EQ(Read(504, Body(12345, "gateway timeout")).verdict, SendVerdict::kNoAnswer);
}

TEST(FeishuBotAnswerTest, WithoutACodeTheStatusDecides) {
  for (const int status : {200, 201, 204, 299, 408, 425, 500, 501, 502, 503, 504, 520, 599}) {
    EXPECT_EQ(Read(status, "<html></html>").verdict, SendVerdict::kNoAnswer) << status;
  }
  EXPECT_EQ(Read(429, "").verdict, SendVerdict::kNotNow);
  for (const int status : {301, 302, 307, 308, 401, 403, 404, 410}) {
    EXPECT_EQ(Read(status, "404 page not found").verdict, SendVerdict::kChannelDown) << status;
    EXPECT_TRUE(Read(status, "").alert) << status;
  }
  for (const int status : {400, 405, 413, 422, 451})
    EXPECT_EQ(Read(status, "x").verdict, SendVerdict::kRefused) << status;
  EXPECT_EQ(Read(404, "404 page not found").reason, "http_404");
  EXPECT_EQ(Read(200, "").reason, "unreadable_answer");
}

TEST(FeishuBotAnswerTest, ALimitOfTheChannelIsToldFromAFaultOfTheMoment) {
  EXPECT_TRUE(Read(429, "").throttled);
  for (const int code : {11232, 11233, 11247, 99991400}) EXPECT_TRUE(Read(200, Body(code, "x")).throttled) << code;
  EXPECT_TRUE(Read(400, Body(9499, "too many request")).throttled);
  EXPECT_FALSE(Read(200, Body(11246, "internal error")).throttled);
  EXPECT_FALSE(Read(400, Body(9499, "Bad Request")).throttled);
}

TEST(FeishuBotAnswerTest, TheVendorsHintIsTakenAndClamped) {
  using std::chrono::seconds;
  EXPECT_EQ(Read(429, "", {{"x-ogw-ratelimit-reset", "3"}}).retry_after, seconds{3});
  EXPECT_EQ(Read(200, Body(11232, "x"), {{"retry-after", " 7 "}}).retry_after, seconds{7});
  EXPECT_EQ(Read(429, "", {{"retry-after", "99999999"}}).retry_after, std::chrono::minutes{15});
  for (const char* bad : {"", "-1", "soon", "3.5", "Wed, 21 Oct 2015 07:28:00 GMT", "99999999999999999999"}) {
    EXPECT_EQ(Read(429, "", {{"retry-after", bad}}).retry_after, std::nullopt) << bad;
  }
  EXPECT_EQ(Read(200, Body(0, "success"), {{"retry-after", "7"}}).retry_after, std::nullopt);
}

TEST(FeishuBotAnswerTest, TheLogIdIsKept) {
  EXPECT_EQ(Read(200, Body(0, "ok"), {{"x-request-id", "r-1"}, {"x-tt-logid", "202611240511_ab"}}).provider_log_id,
            "202611240511_ab");
  EXPECT_EQ(Read(200, Body(0, "ok"), {{"x-request-id", "r-1"}}).provider_log_id, "r-1");
  EXPECT_EQ(Read(200, Body(0, "ok"), {{"x-tt-logid", std::string(5000, 'a')}}).provider_log_id.size(), 128u);
  EXPECT_EQ(Read(200, Body(0, "ok"), {{"x-tt-logid", "a\r\nb <script>"}}).provider_log_id, "abscript");
}

TEST(FeishuBotAnswerTest, WhatIsKeptOfAnAnswerHoldsNoSecret) {
  const std::string echo = std::string("denied: https:\\/\\/open.feishu.cn\\/open-apis\\/bot\\/v2\\/hook\\/") + kToken +
                           " token " + kToken + " sign " + kSecret + " tel +8613800138000 mail bob@example.com";
  for (const std::string& body : {Body(19001, echo), echo, "<html>" + echo}) {
    const SendOutcome outcome = Read(200, body);
    for (const std::string& text : {outcome.detail, outcome.answer}) {
      for (const char* canary : {kToken, kSecret, "13800138000", "bob@example.com"}) {
        EXPECT_THAT(text, Not(HasSubstr(canary)));
      }
      EXPECT_TRUE(IsValidUtf8(text));
    }
  }
  for (const char* name : {"x-tt-logid", "x-request-id"}) {
    for (const char* canary : {kToken, kSecret}) {
      EXPECT_EQ(Read(200, Body(0, "ok"), {{name, std::string("log-") + canary}}).provider_log_id, "log-");
    }
  }
  EXPECT_THAT(Read(200, Body(19024, "Key Words Not Found")).answer, HasSubstr("19024")) << "codes stay readable";
}

TEST(FeishuBotAnswerTest, AnyBytesGiveABoundedOutcome) {
  std::string body;
  for (int i = 0; i < 64 * 1024; ++i) body += static_cast<char>(i * 7);
  const SendOutcome outcome = Read(200, body);
  EXPECT_EQ(outcome.verdict, SendVerdict::kNoAnswer);
  EXPECT_LE(CountCodePoints(outcome.answer), 4000u);
  EXPECT_TRUE(IsValidUtf8(outcome.answer));
  EXPECT_EQ(Read(200, std::string(60'000, '[')).verdict, SendVerdict::kNoAnswer);
  const std::string nested = std::string(30'000, '[') + std::string(30'000, ']');
  EXPECT_EQ(Read(200, R"({"code":)" + nested + "}").verdict, SendVerdict::kNoAnswer);
  EXPECT_LE(CountCodePoints(Read(200, Body(19001, std::string(60'000, 'a'))).detail), 2000u);
}

}  // namespace
}  // namespace outrider::providers
