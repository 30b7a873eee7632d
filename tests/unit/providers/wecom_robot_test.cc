#include "providers/wecom_robot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "providers/wecom_robot_codes.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kUrl[] = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693axxx6-7aoc-4bc4-97a0";

ChannelSettings Channel(std::map<std::string, std::string> settings = {}) {
  settings.try_emplace("webhook_url", kUrl);
  ChannelSettings channel;
  channel.code = "ops";
  channel.provider = "wecom_robot";
  for (const auto& [key, value] : settings) channel.settings.emplace(key, Secret(value));
  return channel;
}

Json BodyOf(const ChannelSettings& channel, Message message, std::string fallback = "") {
  Notification notification;
  notification.message = std::move(message);
  notification.fallback_text = std::move(fallback);
  const SendPlan plan = WecomRobot::Make(channel)->BuildRequest(notification, {});
  const auto* request = std::get_if<http::HttpRequest>(&plan);
  if (request == nullptr) return "refused: " + std::get<SendOutcome>(plan).reason;
  EXPECT_EQ(request->url.Reveal(), kUrl);
  return Json::parse(request->body);
}

Message Text(std::string text) { return {.kind = Message::Kind::kText, .text = std::move(text)}; }
Message Markdown(std::string title, std::string text) {
  return {.kind = Message::Kind::kMarkdown, .title = std::move(title), .text = std::move(text)};
}

SendOutcome Read(int status, std::string body) {
  return WecomRobot::Make(Channel())->ReadResponse({.status = status, .body = std::move(body)});
}

std::string Answer(int code, const std::string& text) { return Json{{"errcode", code}, {"errmsg", text}}.dump(); }

TEST(WecomRobotTest, EachFormHasItsBody) {
  EXPECT_EQ(BodyOf(Channel(), Text("书\n")), Json::parse(R"({"msgtype":"text","text":{"content":"书\n"}})"));
  EXPECT_EQ(BodyOf(Channel(), {.kind = Message::Kind::kTitledText, .title = "T", .text = "b"}),
            Json::parse(R"({"msgtype":"text","text":{"content":"T\nb"}})"));
  EXPECT_EQ(BodyOf(Channel(), Markdown("T", "**b** <font color=\"info\">g</font>")),
            Json::parse(R"({"msgtype":"markdown","markdown":{"content":"# T\n**b** <font color=\"info\">g</font>"}})"));
  EXPECT_EQ(BodyOf(Channel({{"markdown", "markdown_v2"}}), Markdown("", "|a|")),
            Json::parse(R"({"msgtype":"markdown_v2","markdown_v2":{"content":"|a|"}})"));
  const std::string card = R"({"msgtype":"template_card","template_card":{"card_type":"text_notice"}})";
  EXPECT_EQ(BodyOf(Channel(), {.kind = Message::Kind::kCard, .card = card}), Json::parse(card));
}

TEST(WecomRobotTest, LimitsAreInBytesAndTheTextsMayBeRaised) {
  const std::string wide(2046, 'x');
  EXPECT_EQ(BodyOf(Channel(), Text(wide + "ab"))["msgtype"], "text");
  EXPECT_EQ(BodyOf(Channel(), Text(wide + "书")), "refused: payload_too_large");
  EXPECT_EQ(BodyOf(Channel(), Text(wide + "书"), "short")["text"]["content"], "short");
  EXPECT_EQ(BodyOf(Channel({{"max_text_bytes", "5120"}}), Text(std::string(5120, 'x')))["msgtype"], "text");
  EXPECT_EQ(BodyOf(Channel(), Markdown("", std::string(4096, 'x')))["msgtype"], "markdown");
  EXPECT_EQ(BodyOf(Channel(), Markdown("", std::string(4097, 'x'))), "refused: payload_too_large");
  EXPECT_EQ(BodyOf(Channel(), Markdown("T", std::string(4093, 'x'))), "refused: payload_too_large");
}

TEST(WecomRobotTest, WhatCantBeCarriedIsRefused) {
  EXPECT_EQ(BodyOf(Channel(), {.kind = Message::Kind::kHtml, .text = "<p>"}), "refused: payload_invalid");
  EXPECT_EQ(BodyOf(Channel(), Text(" ")), "refused: payload_invalid");
  EXPECT_EQ(BodyOf(Channel(), Markdown("T", " ")), "refused: payload_invalid");
  EXPECT_EQ(BodyOf(Channel(), {.kind = Message::Kind::kCard, .card = "{}"}), "refused: payload_invalid");
}

TEST(WecomRobotTest, DataCallsNobody) {
  EXPECT_EQ(BodyOf(Channel(), Markdown("<@all>", "<@all> < @zhang>"))["markdown"]["content"],
            "# ＜@all>\n＜@all> ＜ @zhang>");
  EXPECT_EQ(BodyOf(Channel(), Text("<@all>"))["text"], Json::parse(R"({"content":"＜@all>"})"));
}

TEST(WecomRobotTest, SettingsAreChecked) {
  EXPECT_THAT(WecomRobot::Check(Channel()), IsEmpty());
  for (const char* url :
       {"http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a", "https://evil.example/cgi-bin/webhook/send?key=a",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a&debug=1",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/upload_media?key=a", ""}) {
    EXPECT_THAT(WecomRobot::Check(Channel({{"webhook_url", url}})), SizeIs(1)) << url;
  }
  EXPECT_THAT(WecomRobot::Check(Channel({{"markdown", "v3"}})), SizeIs(1));
  for (const char* size : {"0", "5121", "-1", "2k", ""}) {
    EXPECT_THAT(WecomRobot::Check(Channel({{"max_text_bytes", size}})), SizeIs(1)) << size;
  }
}

TEST(WecomRobotTest, EveryCodeMeansWhatTheVendorSays) {
  const std::map<int, SendVerdict> expected = {
      {-1, SendVerdict::kNoAnswer},       {45009, SendVerdict::kNotNow},      {45033, SendVerdict::kNotNow},
      {93000, SendVerdict::kChannelDown}, {93004, SendVerdict::kChannelDown}, {93008, SendVerdict::kChannelDown},
      {40008, SendVerdict::kRefused},     {40058, SendVerdict::kRefused},     {44001, SendVerdict::kRefused},
      {44004, SendVerdict::kRefused},     {45002, SendVerdict::kRefused},     {47001, SendVerdict::kRefused}};
  for (const auto& [code, verdict] : expected) EXPECT_EQ(Read(200, Answer(code, "x")).verdict, verdict) << code;
  for (const AnswerCode& row : kWecomRobotCodes) EXPECT_TRUE(expected.contains(static_cast<int>(row.code)));
  EXPECT_EQ(Read(200, Answer(0, "ok")).verdict, SendVerdict::kAccepted);
  EXPECT_EQ(Read(200, R"({"errcode":"0","errmsg":"ok"})").verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(Read(200, Answer(45009, "api freq out of limit")).retry_after, std::chrono::minutes{1});
  EXPECT_EQ(Read(200, Answer(99999, "new")).reason, "wecom_unknown_code");
}

TEST(WecomRobotTest, TheVendorsWordsAreKeptWithoutThisMachinesAddress) {
  const SendOutcome outcome = Read(200, Answer(40058,
                                               "markdown.content exceed max length 4096, hint: [17325], from ip: "
                                               "203.0.113.77, more info at https://open.work.weixin.qq.com/x?e=40058"));
  EXPECT_THAT(outcome.detail, HasSubstr("exceed max length 4096"));
  for (const std::string& text : {outcome.detail, outcome.answer}) EXPECT_THAT(text, Not(HasSubstr("203.0.113.77")));
  EXPECT_TRUE(outcome.downgrade);
}

}  // namespace
}  // namespace outrider::providers
