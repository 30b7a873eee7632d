#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <variant>

#include "model/text.h"
#include "providers/feishu_bot.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr char kUrl[] = "https://open.feishu.cn/open-apis/bot/v2/hook/0f1e2d3c-token";

Notification With(Message message, std::string fallback = "") {
  Notification notification;
  notification.channel = "ops";
  notification.dedupe_key = "order-1";
  notification.message = std::move(message);
  notification.fallback_text = std::move(fallback);
  return notification;
}

Notification Text(std::string text, std::string fallback = "") {
  return With({.kind = Message::Kind::kText, .text = std::move(text)}, std::move(fallback));
}

SendPlan Plan(const Notification& notification, const std::string& secret = "", Timestamp now = {}) {
  return FeishuBot(Secret(kUrl), Secret(secret)).BuildRequest(notification, SendContext{now, ""});
}

Json BodyOf(const SendPlan& plan) {
  const auto* request = std::get_if<http::HttpRequest>(&plan);
  if (request == nullptr) return "refused: " + std::get<SendOutcome>(plan).reason;
  return Json::parse(request->body);
}

std::string RefusalOf(const SendPlan& plan) {
  const auto* outcome = std::get_if<SendOutcome>(&plan);
  if (outcome == nullptr) return "a request";
  EXPECT_EQ(outcome->verdict, SendVerdict::kRefused);
  EXPECT_FALSE(outcome->detail.empty());
  return outcome->reason;
}

Timestamp Seconds(std::int64_t seconds) { return Timestamp{std::chrono::seconds{seconds}}; }

TEST(FeishuBotSignTest, KnownAnswersAreByteEqual) {
  EXPECT_EQ(FeishuBotSign("demo", "1599360473"), "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=");
  EXPECT_EQ(FeishuBotSign("xxx", "1661860880"), "QnWVTSBe6FmQDE0bG6X0mURbI+DnvVyu1h+j5dHOjrU=");
}

TEST(FeishuBotSignTest, TheWrongWayRoundIsAnotherSignature) {
  EXPECT_NE(FeishuBotSign("demo", "1599360473"), "DkEDUyVoOOJ539qBvUgMyzkzIdRWlf4e/V3Rq+ONJnQ=");
}

TEST(FeishuBotBodyTest, TheRequestGoesToTheWebhookAsJson) {
  const SendPlan plan = Plan(Text("hello"));
  const auto& request = std::get<http::HttpRequest>(plan);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.url.Reveal(), kUrl);
  EXPECT_EQ(request.headers, (http::Headers{{"Content-Type", "application/json"}}));
}

TEST(FeishuBotBodyTest, ATextIsATextMessage) {
  EXPECT_EQ(BodyOf(Plan(Text("一本书 · a book 🎉\n\"quoted\""))),
            Json::parse(R"({"msg_type":"text","content":{"text":"一本书 · a book 🎉\n\"quoted\""}})"));
}

TEST(FeishuBotBodyTest, ATitledTextIsAPost) {
  const Message message{.kind = Message::Kind::kTitledText, .title = "T", .text = "a\nb"};
  EXPECT_EQ(
      BodyOf(Plan(With(message))),
      Json::parse(
          R"({"msg_type":"post","content":{"post":{"zh_cn":{"title":"T","content":[[{"tag":"text","text":"a\nb"}]]}}}})"));
}

TEST(FeishuBotBodyTest, MarkdownIsACardWithTheTitleInItsHeader) {
  const Message message{.kind = Message::Kind::kMarkdown, .title = "T", .text = "**bold** [link](https://a.example)"};
  const Json element = {{"tag", "markdown"}, {"content", "**bold** [link](https://a.example)"}};
  const Json card = {{"schema", "2.0"},
                     {"header", {{"title", {{"tag", "plain_text"}, {"content", "T"}}}}},
                     {"body", {{"elements", Json::array({element})}}}};
  EXPECT_EQ(BodyOf(Plan(With(message))), (Json{{"msg_type", "interactive"}, {"card", card}}));
}

TEST(FeishuBotBodyTest, MarkdownWithoutATitleHasNoHeader) {
  const Message message{.kind = Message::Kind::kMarkdown, .text = "x"};
  EXPECT_FALSE(BodyOf(Plan(With(message)))["card"].contains("header"));
}

TEST(FeishuBotBodyTest, ACardIsPassedOnAsItIs) {
  const std::string card = R"({"schema":"2.0","body":{"elements":[{"tag":"markdown","content":"<at id=ou_x></at>"}]}})";
  EXPECT_EQ(BodyOf(Plan(With({.kind = Message::Kind::kCard, .card = card}))),
            (Json{{"msg_type", "interactive"}, {"card", Json::parse(card)}}));
}

TEST(FeishuBotBodyTest, HtmlBecomesTheFallbackTextOrIsRefused) {
  const Message html{.kind = Message::Kind::kHtml, .title = "Subject", .text = "<p>x</p>"};
  EXPECT_EQ(BodyOf(Plan(With(html, "plain"))), Json::parse(R"({"msg_type":"text","content":{"text":"plain"}})"));
  EXPECT_EQ(RefusalOf(Plan(With(html))), "payload_invalid");
}

TEST(FeishuBotBodyTest, WhatIsEmptyBecomesTheFallbackTextOrIsRefused) {
  EXPECT_EQ(RefusalOf(Plan(Text(" \n"))), "payload_invalid");
  EXPECT_EQ(RefusalOf(Plan(With({.kind = Message::Kind::kMarkdown, .title = "T"}))), "payload_invalid");
  EXPECT_EQ(RefusalOf(Plan(With({.kind = Message::Kind::kTitledText}))), "payload_invalid");
  EXPECT_EQ(RefusalOf(Plan(With({.kind = Message::Kind::kCard, .card = "[1]"}))), "payload_invalid");
  EXPECT_EQ(RefusalOf(Plan(With({.kind = Message::Kind::kCard, .card = "{"}))), "payload_invalid");
  EXPECT_EQ(BodyOf(Plan(Text("", "plain")))["content"]["text"], "plain");
}

TEST(FeishuBotBodyTest, ASignedBodyCarriesTheTimeAsText) {
  const Json body = BodyOf(Plan(Text("x"), "demo", Seconds(1599360473) + std::chrono::microseconds{999'999}));
  EXPECT_EQ(body["timestamp"], "1599360473");
  EXPECT_EQ(body["sign"], "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=");
}

TEST(FeishuBotBodyTest, EachAttemptIsSignedAnew) {
  const Notification notification = Text("x");
  EXPECT_NE(BodyOf(Plan(notification, "demo", Seconds(1)))["sign"],
            BodyOf(Plan(notification, "demo", Seconds(3601)))["sign"]);
}

TEST(FeishuBotBodyTest, WithoutASecretNothingIsSigned) {
  const Json body = BodyOf(Plan(Text("x"), "", Seconds(1)));
  EXPECT_FALSE(body.contains("sign"));
  EXPECT_FALSE(body.contains("timestamp"));
}

// {"content":{"text":""},"msg_type":"text"} has 41 bytes.
std::string OfBodySize(std::size_t bytes) { return std::string(bytes - 41, 'x'); }

TEST(FeishuBotBodyTest, TheLimitIsOnTheWholeBodyInBytes) {
  const SendPlan plan = Plan(Text(OfBodySize(FeishuBot::kMaxBodyBytes)));
  ASSERT_TRUE(std::holds_alternative<http::HttpRequest>(plan));
  EXPECT_EQ(std::get<http::HttpRequest>(plan).body.size(), FeishuBot::kMaxBodyBytes);
  EXPECT_EQ(RefusalOf(Plan(Text(OfBodySize(FeishuBot::kMaxBodyBytes + 1)))), "payload_too_large");
  std::string wide;
  while (wide.size() < FeishuBot::kMaxBodyBytes) wide += "书";
  EXPECT_EQ(RefusalOf(Plan(Text(wide))), "payload_too_large");
}

TEST(FeishuBotBodyTest, TheSignatureCountsAgainstTheLimit) {
  EXPECT_EQ(RefusalOf(Plan(Text(OfBodySize(FeishuBot::kMaxBodyBytes)), "demo", Seconds(1599360473))),
            "payload_too_large");
}

TEST(FeishuBotBodyTest, WhatIsTooLargeBecomesTheFallbackText) {
  const std::string large = OfBodySize(FeishuBot::kMaxBodyBytes + 1);
  EXPECT_EQ(BodyOf(Plan(Text(large, "short")))["content"]["text"], "short");
  EXPECT_EQ(RefusalOf(Plan(Text(large, large))), "payload_too_large");
}

TEST(FeishuBotBodyTest, DataCallsNobodyInAnyFormat) {
  const std::string attack = R"(Bob <at user_id="all">everyone</at> < At id=all></AT>)";
  for (const Message& message : {Message{.kind = Message::Kind::kText, .text = attack},
                                 Message{.kind = Message::Kind::kTitledText, .title = attack, .text = attack},
                                 Message{.kind = Message::Kind::kMarkdown, .title = attack, .text = attack}}) {
    const std::string body = BodyOf(Plan(With(message))).dump();
    EXPECT_EQ(body.find('<'), std::string::npos) << body;
    EXPECT_NE(body.find("＜at user_id"), std::string::npos) << body;
  }
  EXPECT_EQ(BodyOf(Plan(Text("", attack))).dump().find('<'), std::string::npos);
}

TEST(FeishuBotBodyTest, BytesThatArentUtf8StillGiveAValidBody) {
  const SendPlan plan = Plan(Text("a\xff\xc3z"));
  ASSERT_TRUE(std::holds_alternative<http::HttpRequest>(plan));
  EXPECT_TRUE(IsValidUtf8(std::get<http::HttpRequest>(plan).body));
}

}  // namespace
}  // namespace outrider::providers
