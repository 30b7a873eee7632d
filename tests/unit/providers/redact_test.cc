#include "providers/redact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "model/text.h"

namespace outrider::providers {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kLong = 100'000;
constexpr char kCanary[] = "CANARY0secret";

std::string Clean(std::string_view text) { return Redact(text, kLong); }

TEST(RedactTest, CredentialsOfEveryVendorDisappear) {
  const std::vector<std::string> texts = {
      "https://open.feishu.cn/open-apis/bot/v2/hook/CANARY0secret failed",
      R"({"url":"https:\/\/open.feishu.cn\/open-apis\/bot\/v2\/hook\/CANARY0secret"})",
      R"({"url":"https:\u002f\u002fopen.feishu.cn\u002fopen-apis\u002fbot\u002fv2\u002fhook\u002fCANARY0secret"})",
      "url=https%3A%2F%2Fopen.larksuite.com%2Fopen-apis%2Fbot%2Fv2%2Fhook%2FCANARY0secret",
      "POST /open-apis/bot/v2/HOOK/CANARY0secret HTTP/1.1",
      "https://www.feishu.cn/flow/api/trigger-webhook/CANARY0secret",
      "https://oapi.dingtalk.com/robot/send?access_token=CANARY0secret&timestamp=1&sign=CANARY0secret%3D",
      "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=CANARY0secret",
      "https://qyapi.weixin.qq.com/cgi-bin/gettoken?corpid=c&corpsecret=CANARY0secret",
      "https://hooks.slack.com/services/T0/B0/CANARY0secret",
      "https://api.telegram.org/bot12345:CANARY0secret/sendMessage",
      "https://discord.com/api/webhooks/42/CANARY0secret",
      "https://x.logic.azure.com/workflows/CANARY0secret/triggers?sig=CANARY0secret",
      "https://bob:CANARY0secret@proxy.example/x",
      "Authorization: Bearer CANARY0secret",
      "authorization: Basic CANARY0secret==\nnext line",
      R"({"Authorization":"Bearer CANARY0secret"})",
      R"({"app_secret": "CANARY0secret", "app_id": "cli_x"})",
      R"({"tenant_access_token":"t-CANARY0secret","expire":7200})",
      R"({\"tenant_access_token\":\"t-CANARY0secret\"})",
      R"({'secret':'CANARY0secret with "quotes"'})",
      "webhook-signature: v1,CANARY0secret",
      "X-Webhook-Signature=CANARY0secret",
      "AccessKeySecret=CANARY0secret",
      "accessToken: CANARY0secret",
      "sign%3DCANARY0secret",
      "got bearer CANARY0secret from it",
      "password = CANARY0secret",
      "token:\"abc\\\"CANARY0secret\" end",
      "bad key: app_secret: CANARY0secret",
      R"(unknown token: "app_secret" : "CANARY0secret")",
      R"(accessToken: \"tenant_access_token\":\"CANARY0secret\")",
      "key=Authorization: Basic CANARY0secret",
      "key=token=key=token=app_secret: CANARY0secret",
      "token=Bearer CANARY0secret",
      "bearer sign: CANARY0secret",
  };
  for (const std::string& text : texts) EXPECT_THAT(Clean(text), Not(HasSubstr(kCanary))) << text;
}

TEST(RedactTest, WhatIsAroundACredentialStays) {
  EXPECT_EQ(Clean("to https://open.feishu.cn/open-apis/bot/v2/hook/abc-def: refused"),
            "to https://open.feishu.cn/open-apis/bot/v2/hook/*** refused");
  EXPECT_EQ(Clean("a?access_token=x&timestamp=1"), "a?access_token=***&timestamp=1");
  EXPECT_EQ(Clean(R"({"sign":"x","code":19021})"), R"({"sign":"***","code":19021})");
}

TEST(RedactTest, PeopleDisappear) {
  for (const char* text :
       {"+8613800138000", "tel 13800138000.", "138 0013 8000", "138-0013-8000", "+86 138 0013 8000", "(010-12345678)",
        "phone:13800138000", R"({"mobile":"13800138000"})", "电话13800138000。", "+1 (415) 555-2671"}) {
    EXPECT_THAT(Clean(text), HasSubstr("***")) << text;
    EXPECT_THAT(Clean(text), Not(HasSubstr("8000"))) << text;
    EXPECT_THAT(Clean(text), Not(HasSubstr("5678"))) << text;
    EXPECT_THAT(Clean(text), Not(HasSubstr("2671"))) << text;
  }
  for (const char* text : {"bob@example.com", "<bob.smith+x@mail.example.co.uk>", "mail=bob%40example.com",
                           "联系bob@example.com处理", R"({"to":"bob@example.com"})"}) {
    EXPECT_THAT(Clean(text), Not(HasSubstr("bob"))) << text;
    EXPECT_THAT(Clean(text), Not(HasSubstr("example"))) << text;
  }
}

TEST(RedactTest, WhatHelpsAPersonStays) {
  for (const char* text :
       {"", "Key Words Not Found", "sign match fail or timestamp is not within one hour from current time",
        "param invalid: incoming webhook access token invalid", R"({"code":99991663,"msg":"x"})",
        R"({"code":800004509})", "message exceeds the size limit of 30KB", "2026-11-24T05:11:41.436563Z",
        "2026-11-24 05:11:41", "HTTP 504", "log 1234567890123456", "@_user_1", "a@b",
        "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]", "20241108112233ABCDEF0123456789",
        "192.168.100.200:8080", "ext=contain sensitive data: EMAIL_ADDRESS", "design=x monkey=y",
        "ErrCode: 11310; ErrMsg: card table number over limit"}) {
    EXPECT_EQ(Clean(text), text);
  }
}

TEST(RedactTest, KnownSecretsDisappearWhereverTheyStand) {
  const std::array<std::string_view, 3> known = {"0f1e2d3c-token", "", "ab"};
  EXPECT_EQ(Redact("x0f1e2d3c-tokeny and 0f1e2d3c-token, ab", kLong, known), "x***y and ***, ab");
}

TEST(RedactTest, TheResultIsValidAndCutAtACharacter) {
  EXPECT_EQ(Redact("书书书书", 4), "书书书书");
  EXPECT_EQ(Redact("书书书书书", 4), "书书书…");
  EXPECT_EQ(Redact("abc", 0), "");
  EXPECT_TRUE(IsValidUtf8(Redact("a\xff\xc3z", 10)));
  EXPECT_EQ(Redact(std::string("a\0b", 3), 10), "a b");
}

TEST(RedactTest, ACutDoesntUncoverASecret) {
  const std::string text = "https://open.feishu.cn/open-apis/bot/v2/hook/CANARY0secret";
  for (std::size_t limit = 0; limit <= text.size(); ++limit) EXPECT_THAT(Redact(text, limit), Not(HasSubstr("CANARY")));
}

TEST(RedactTest, ACanaryInAnyPlaceOfAnyTextDisappears) {
  const std::vector<std::pair<std::string, std::string>> frames = {{"/hook/", " "},
                                                                   {"?access_token=", "&a=b"},
                                                                   {"\"app_secret\":\"", "\""},
                                                                   {"Authorization: Bearer ", "\n"},
                                                                   {"sign=", "\""},
                                                                   {"key: ", ", "},
                                                                   {"://user:", "@host/"}};
  const bool held = rc::check([&frames] {
    const auto frame = *rc::gen::elementOf(frames);
    const auto before = *rc::gen::arbitrary<std::string>();
    const auto after = *rc::gen::arbitrary<std::string>();
    const std::string clean = Clean(before + " " + frame.first + kCanary + frame.second + after);
    RC_ASSERT(clean.find(kCanary) == std::string::npos);
    RC_ASSERT(IsValidUtf8(clean));
  });
  EXPECT_TRUE(held);
}

TEST(RedactTest, HostileTextTakesLinearTime) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* unit : {"a-",
                           "1 ",
                           "/hook",
                           "key=",
                           "\\",
                           "%2f",
                           "@a",
                           "://",
                           "+1",
                           "\"",
                           "a@",
                           "token:\\\"",
                           "1-1",
                           "sign=\"\\",
                           "key:",
                           "key: ",
                           "key=",
                           "key=\"",
                           "key: authorization:",
                           "sign=bearer "}) {
    std::string text;
    while (text.size() < 256 * 1024) text += unit;
    EXPECT_TRUE(IsValidUtf8(Redact(text, kMaxAnswerCharacters)));
  }
  // Quadratic work on a quarter of a megabyte would be minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{20});
}

TEST(RedactTest, AnIdKeepsLettersAndDigits) {
  EXPECT_EQ(RedactId("20241108112233ABCDEF-x_y.z"), "20241108112233ABCDEF-x_y.z");
  EXPECT_EQ(RedactId("a b\n<c>"), "abc");
  EXPECT_EQ(RedactId("13800138000"), "");
  EXPECT_EQ(RedactId("bob@example.com"), "");
  const std::array<std::string_view, 1> known = {kCanary};
  EXPECT_EQ(RedactId(std::string("log-") + kCanary + "-7", known), "log--7");
}

}  // namespace
}  // namespace outrider::providers
