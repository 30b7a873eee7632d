#include "providers/dingtalk_robot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "providers/dingtalk_robot_codes.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kUrl[] = "https://oapi.dingtalk.com/robot/send?access_token=0f1e2d3c4b5a69788796a5b4c3d2e1f0";

ChannelSettings Channel(std::map<std::string, std::string> settings = {}) {
  settings.try_emplace("webhook_url", kUrl);
  ChannelSettings channel;
  channel.code = "ops";
  channel.provider = "dingtalk_robot";
  for (const auto& [key, value] : settings) channel.settings.emplace(key, Secret(value));
  return channel;
}

Notification With(Message message, std::string fallback = "") {
  Notification notification;
  notification.message = std::move(message);
  notification.fallback_text = std::move(fallback);
  return notification;
}

Notification Text(std::string text, std::string fallback = "") {
  return With({.kind = Message::Kind::kText, .text = std::move(text)}, std::move(fallback));
}

SendPlan Plan(const ChannelSettings& channel, const Notification& notification, SendContext context = {}) {
  return DingtalkRobot::Make(channel)->BuildRequest(notification, context);
}

Json BodyOf(const SendPlan& plan) {
  const auto* request = std::get_if<http::HttpRequest>(&plan);
  if (request == nullptr) return "refused: " + std::get<SendOutcome>(plan).reason;
  return Json::parse(request->body);
}

SendOutcome Read(int status, std::string body, http::Headers headers = {}) {
  return DingtalkRobot::Make(Channel({{"secret", "SECcanary"}}))
      ->ReadResponse({.status = status, .headers = std::move(headers), .body = std::move(body)});
}

std::string Answer(int code, const std::string& text) { return Json{{"errcode", code}, {"errmsg", text}}.dump(); }

TEST(DingtalkRobotTest, KnownSignaturesAreByteEqual) {
  EXPECT_EQ(DingtalkSign("xxx", "1661860880"), "dIUMcehSFkPlWOGqwoP5EFcartyN67QSY9wbVW+hTbE=");
  EXPECT_EQ(DingtalkSign("SECdemo", "1599360473000"), "tGWkA5eQOQNCNPDgphtxIoNLO+/gD8Lcb705KQoRzeY=");
}

TEST(DingtalkRobotTest, TheSignatureIsEncodedOnceAndNewAtEachAttempt) {
  const ChannelSettings channel = Channel({{"secret", "SECdemo"}});
  const SendContext context{Timestamp{std::chrono::milliseconds{1599360473000}}, ""};
  EXPECT_EQ(std::get<http::HttpRequest>(Plan(channel, Text("x"), context)).url.Reveal(),
            std::string(kUrl) + "&timestamp=1599360473000&sign=tGWkA5eQOQNCNPDgphtxIoNLO%2B%2FgD8Lcb705KQoRzeY%3D");
  EXPECT_THAT(std::get<http::HttpRequest>(Plan(channel, Text("x"), {})).url.Reveal(), HasSubstr("timestamp=0&"));
  EXPECT_EQ(std::get<http::HttpRequest>(Plan(Channel(), Text("x"), context)).url.Reveal(), kUrl);
}

TEST(DingtalkRobotTest, EachFormHasItsBody) {
  const ChannelSettings channel = Channel();
  EXPECT_EQ(BodyOf(Plan(channel, Text("书 \"a\"\n"))),
            Json::parse(R"({"msgtype":"text","text":{"content":"书 \"a\"\n"}})"));
  EXPECT_EQ(BodyOf(Plan(channel, With({.kind = Message::Kind::kTitledText, .title = "T", .text = "b"}))),
            Json::parse(R"({"msgtype":"text","text":{"content":"T\nb"}})"));
  EXPECT_EQ(BodyOf(Plan(channel, With({.kind = Message::Kind::kMarkdown, .title = "T", .text = "**b**"}))),
            Json::parse(R"({"msgtype":"markdown","markdown":{"title":"T","text":"### T\n\n**b**"}})"));
  EXPECT_EQ(BodyOf(Plan(channel, With({.kind = Message::Kind::kMarkdown, .text = "\nfirst\nsecond"}))),
            Json::parse(R"({"msgtype":"markdown","markdown":{"title":"first","text":"\nfirst\nsecond"}})"));
  const std::string card = R"({"msgtype":"link","link":{"title":"t","text":"x","messageUrl":"https://a.example"}})";
  EXPECT_EQ(BodyOf(Plan(channel, With({.kind = Message::Kind::kCard, .card = card}))), Json::parse(card));
}

TEST(DingtalkRobotTest, WhatCantBeCarriedBecomesTheFallbackTextOrIsRefused) {
  for (const Message& message :
       {Message{.kind = Message::Kind::kHtml, .text = "<p>x</p>"}, Message{.kind = Message::Kind::kText, .text = " \n"},
        Message{.kind = Message::Kind::kCard, .card = R"({"title":"no msgtype"})"},
        Message{.kind = Message::Kind::kCard, .card = "[1]"},
        Message{.kind = Message::Kind::kText, .text = std::string(DingtalkRobot::kMaxBodyBytes, 'x')}}) {
    EXPECT_THAT(BodyOf(Plan(Channel(), With(message))).dump(), HasSubstr("refused: payload_"));
    EXPECT_EQ(BodyOf(Plan(Channel(), With(message, "plain")))["text"]["content"], "plain");
  }
}

TEST(DingtalkRobotTest, TheLimitIsOnTheWholeBodyInBytes) {
  const std::size_t around = BodyOf(Plan(Channel(), Text("x"))).dump().size() - 1;
  const std::string most(DingtalkRobot::kMaxBodyBytes - around, 'x');
  EXPECT_EQ(std::get<http::HttpRequest>(Plan(Channel(), Text(most))).body.size(), DingtalkRobot::kMaxBodyBytes);
  EXPECT_EQ(BodyOf(Plan(Channel(), Text(most + "x"))), "refused: payload_too_large");
}

TEST(DingtalkRobotTest, ATitleInMarkdownStaysATitle) {
  const Message message{.kind = Message::Kind::kMarkdown, .title = "a\n[x](https://evil.example) <b>", .text = "t"};
  const std::string text = BodyOf(Plan(Channel(), With(message)))["markdown"]["text"];
  EXPECT_EQ(text, "### a ［x］(https://evil.example) ＜b>\n\nt");
}

TEST(DingtalkRobotTest, NoDataReachesTheFieldThatCallsPeople) {
  for (const char* text : {"@all", "@所有人", "@13800138000", R"("at":{"isAtAll":true})"}) {
    EXPECT_FALSE(BodyOf(Plan(Channel(), Text(text))).contains("at"));
    EXPECT_FALSE(
        BodyOf(Plan(Channel(), With({.kind = Message::Kind::kMarkdown, .title = text, .text = text}))).contains("at"));
  }
}

TEST(DingtalkRobotTest, AMissingKeywordIsFoundBeforeSending) {
  const ChannelSettings channel = Channel({{"keywords", "告警, alarm"}});
  EXPECT_EQ(BodyOf(Plan(channel, Text("nothing of it: text"))), "refused: keyword_missing");
  EXPECT_EQ(BodyOf(Plan(channel, Text("磁盘告警")))["msgtype"], "text");
  EXPECT_EQ(BodyOf(Plan(channel, With({.kind = Message::Kind::kMarkdown, .title = "alarm", .text = "t"})))["msgtype"],
            "markdown");
  const std::string link = R"({"msgtype":"link","link":{"title":"t","text":"x","messageUrl":"https://alarm.example"}})";
  EXPECT_EQ(BodyOf(Plan(channel, With({.kind = Message::Kind::kCard, .card = link}))), "refused: keyword_missing");
}

TEST(DingtalkRobotTest, TheKeyAgainstDoublesIsSentUnlessItIsOff) {
  const SendContext context{Timestamp{}, "key-1"};
  EXPECT_EQ(BodyOf(Plan(Channel(), Text("x"), context))["msgUuid"], "key-1");
  EXPECT_FALSE(BodyOf(Plan(Channel({{"send_key", "off"}}), Text("x"), context)).contains("msgUuid"));
  EXPECT_FALSE(BodyOf(Plan(Channel(), Text("x"))).contains("msgUuid"));
  EXPECT_FALSE(DingtalkRobot::TrustsSendKey(Channel()));
  EXPECT_TRUE(DingtalkRobot::TrustsSendKey(Channel({{"send_key", "trusted"}})));
}

TEST(DingtalkRobotTest, SettingsAreChecked) {
  EXPECT_THAT(DingtalkRobot::Check(Channel()), IsEmpty());
  for (const char* url :
       {"http://oapi.dingtalk.com/robot/send?access_token=a", "https://evil.example/robot/send?access_token=a",
        "https://oapi.dingtalk.com@evil.example/robot/send?access_token=a", "https://oapi.dingtalk.com/robot/send",
        "https://oapi.dingtalk.com/robot/send?access_token=", "https://oapi.dingtalk.com/robot/send?access_token=a&b=c",
        "https://oapi.dingtalk.com/other?access_token=a", "https://oapi.dingtalk.com:444/robot/send?access_token=a",
        "https://oapi.dingtalk.com/robot/send?access_token=a#b", "", "x"}) {
    EXPECT_THAT(DingtalkRobot::Check(Channel({{"webhook_url", url}})), SizeIs(1)) << url;
  }
  EXPECT_THAT(DingtalkRobot::Check(Channel({{"secret", " SEC"}})), SizeIs(1));
  EXPECT_THAT(DingtalkRobot::Check(Channel({{"send_key", "on"}})), SizeIs(1));
  EXPECT_THAT(DingtalkRobot::Check(Channel({{"keywords", "1,2,3,4,5,6,7,8,9,10"}})), IsEmpty());
  EXPECT_THAT(DingtalkRobot::Check(Channel({{"keywords", "1,2,3,4,5,6,7,8,9,10,11"}})), SizeIs(1));
}

TEST(DingtalkRobotTest, TheCodeMayBeANumberOrAText) {
  EXPECT_EQ(Read(200, R"({"errcode":0,"errmsg":"ok"})").verdict, SendVerdict::kAccepted);
  EXPECT_EQ(Read(200, R"({"errcode":"0","errmsg":"ok"})").verdict, SendVerdict::kAccepted);
  EXPECT_EQ(Read(200, R"({"errcode":"310000","errmsg":"sign not match"})").reason, "dingtalk_310000");
}

struct Expected {
  int code;
  const char* text;
  SendVerdict verdict;
  bool alert;
};

// Written out from the vendor's pages apart from the table, so that a slip in either shows.
const Expected kExpected[] = {
    {-1, "system busy", SendVerdict::kNoAnswer, false},
    {130101, "send too fast, exceed 20 times per minute", SendVerdict::kNotNow, false},
    {410100, "send too fast", SendVerdict::kNotNow, false},
    {660026, "sending too many messages per minute", SendVerdict::kNotNow, false},
    {310000, "keywords not in content", SendVerdict::kRefused, true},
    {310000, "description:关键词不匹配;solution:请联系群管理员", SendVerdict::kRefused, true},
    {310000, "invalid timestamp", SendVerdict::kChannelDown, true},
    {310000, "description:机器人发送签名过期;solution:x", SendVerdict::kChannelDown, true},
    {310000, "sign not match", SendVerdict::kChannelDown, true},
    {310000, "description:机器人发送签名不匹配;solution:x", SendVerdict::kChannelDown, true},
    {310000, "ip 203.0.113.7 not in whitelist", SendVerdict::kChannelDown, true},
    {310000, "description:IP不在白名单中;solution:x", SendVerdict::kChannelDown, true},
    {310000, "something new", SendVerdict::kChannelDown, true},
    {300001, "token is not exist", SendVerdict::kChannelDown, true},
    {300005, "token is not exist", SendVerdict::kChannelDown, true},
    {400101, "access_token doesn't exist", SendVerdict::kChannelDown, true},
    {400102, "robot stopped", SendVerdict::kChannelDown, true},
    {400106, "robot doesn't exist", SendVerdict::kChannelDown, true},
    {88, "auth error", SendVerdict::kChannelDown, true},
    {400013, "group dissolved", SendVerdict::kUnreachable, true},
    {400105, "unsupported msgtype", SendVerdict::kRefused, false},
    {40035, "miss param", SendVerdict::kRefused, false},
    {43002, "need post", SendVerdict::kRefused, false},
    {43004, "invalid content type", SendVerdict::kRefused, false},
    {430101, "unsafe link", SendVerdict::kRefused, true},
    {430102, "unsafe text", SendVerdict::kRefused, true},
    {430103, "unsafe image", SendVerdict::kRefused, true},
    {430104, "unsafe content", SendVerdict::kRefused, true},
    {460101, "message too long", SendVerdict::kRefused, false},
};

TEST(DingtalkRobotTest, EveryCodeMeansWhatTheVendorSays) {
  for (const Expected& expected : kExpected) {
    const SendOutcome outcome = Read(200, Answer(expected.code, expected.text));
    EXPECT_EQ(outcome.verdict, expected.verdict) << expected.code << " " << expected.text;
    EXPECT_EQ(outcome.alert, expected.alert) << expected.code << " " << expected.text;
    EXPECT_EQ(outcome.provider_code, std::to_string(expected.code));
  }
  for (const AnswerCode& row : kDingtalkRobotCodes) {
    EXPECT_TRUE(std::ranges::any_of(kExpected, [&](const Expected& expected) { return expected.code == row.code; }))
        << row.code;
  }
  EXPECT_EQ(Read(200, Answer(-1, "system busy")).reason, "dingtalk_minus_1");
  EXPECT_THAT(Read(200, Answer(310000, "invalid timestamp")).detail, HasSubstr("clock"));
}

TEST(DingtalkRobotTest, WhoIsTooFastIsShutOutForTenMinutes) {
  for (const int code : {130101, 410100, 660026}) {
    const SendOutcome outcome = Read(200, Answer(code, "send too fast"));
    EXPECT_EQ(outcome.retry_after, minutes{10}) << code;
    EXPECT_TRUE(outcome.throttled);
  }
  const auto both = Read(200, R"({"errcode":130101,"errmsg":"x","status":1111,"wait":5})");
  EXPECT_EQ(both.retry_after, minutes{10});
}

TEST(DingtalkRobotTest, TheGateInFrontIsWaitedForAtLeastAMinute) {
  const SendOutcome outcome = Read(200, R"({"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"})");
  EXPECT_EQ(outcome.verdict, SendVerdict::kNotNow);
  EXPECT_EQ(outcome.retry_after, seconds{60});
  EXPECT_TRUE(outcome.throttled);
  EXPECT_EQ(Read(200, R"({"status":1111,"wait":120})").retry_after, seconds{120});
  EXPECT_EQ(Read(200, R"({"status":1111,"wait":9000000000000000000})").retry_after, minutes{15});
  EXPECT_EQ(Read(200, R"({"status":1111,"wait":-9000000000000000000})").retry_after, seconds{60});
  EXPECT_EQ(Read(200, R"({"status":0})").verdict, SendVerdict::kNoAnswer);
}

TEST(DingtalkRobotTest, WhatIsKeptOfAnAnswerHoldsNoSecret) {
  const SendOutcome outcome =
      Read(200, Answer(300005, std::string("token is not exist at ") + kUrl + "&sign=ab%2Bcd%3D SECcanary"));
  for (const std::string& text : {outcome.detail, outcome.answer}) {
    for (const char* canary : {"0f1e2d3c", "ab%2B", "SECcanary"}) EXPECT_THAT(text, Not(HasSubstr(canary)));
  }
}

}  // namespace
}  // namespace outrider::providers
