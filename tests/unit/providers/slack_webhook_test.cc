#include "providers/slack_webhook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>

#include "providers/slack_webhook_codes.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

const std::string kUrl = "https://hooks.slack.com/services/T0AB/B0CD/CANARYsecret";

ChannelSettings Channel(const std::string& url = kUrl) {
  ChannelSettings channel;
  channel.code = "ops";
  channel.provider = "slack_webhook";
  channel.settings.emplace("webhook_url", Secret(url));
  return channel;
}

Json BodyOf(Message message, std::string fallback = "") {
  Notification notification;
  notification.message = std::move(message);
  notification.fallback_text = std::move(fallback);
  const SendPlan plan = SlackWebhook::Make(Channel())->BuildRequest(notification, {});
  const auto* request = std::get_if<http::HttpRequest>(&plan);
  if (request == nullptr) return "refused: " + std::get<SendOutcome>(plan).reason;
  return Json::parse(request->body);
}

SendOutcome Read(int status, std::string body, http::Headers headers = {}) {
  return SlackWebhook::Make(Channel())->ReadResponse(
      {.status = status, .headers = std::move(headers), .body = std::move(body)});
}

TEST(SlackWebhookTest, EachFormHasItsBody) {
  EXPECT_EQ(BodyOf({.kind = Message::Kind::kText, .text = "*a* & <b>"}),
            Json::parse(R"({"text":"*a* &amp; &lt;b&gt;","mrkdwn":false})"));
  EXPECT_EQ(BodyOf({.kind = Message::Kind::kTitledText, .title = "T", .text = "b"}),
            Json::parse(R"({"text":"T\nb","mrkdwn":false})"));
  EXPECT_EQ(BodyOf({.kind = Message::Kind::kMarkdown, .title = "T", .text = "**b**"}),
            Json::parse(R"({"text":"*T*\n*b*"})"));
  const std::string card = R"({"blocks":[{"type":"divider"}]})";
  EXPECT_EQ(BodyOf({.kind = Message::Kind::kCard, .card = card}), Json::parse(card));
}

TEST(SlackWebhookTest, WhatCantBeCarriedBecomesTheFallbackTextOrIsRefused) {
  for (const Message& message :
       {Message{.kind = Message::Kind::kHtml, .text = "<p>x</p>"}, Message{.kind = Message::Kind::kText, .text = " "},
        Message{.kind = Message::Kind::kCard, .card = R"({"text":"x"})"},
        Message{.kind = Message::Kind::kText, .text = std::string(SlackWebhook::kMaxTextCharacters + 1, 'x')}}) {
    EXPECT_THAT(BodyOf(message).dump(), HasSubstr("refused: payload_"));
    EXPECT_EQ(BodyOf(message, "plain")["text"], "plain");
  }
}

TEST(SlackWebhookTest, MarkdownBecomesSlacksMarkup) {
  EXPECT_EQ(SlackMarkup("# Head **x**\nt"), "*Head x*\nt");
  EXPECT_EQ(SlackMarkup("#hash"), "#hash");
  EXPECT_EQ(SlackMarkup("a ~~b~~ __c__"), "a ~b~ *c*");
  EXPECT_EQ(SlackMarkup("[a & b](https://x.example/?q=1&r=2)"), "<https://x.example/?q=1&amp;r=2|a &amp; b>");
  EXPECT_EQ(SlackMarkup("![i](https://x.example/i.png) <https://y.example>"),
            "<https://x.example/i.png|i> <https://y.example>");
  EXPECT_EQ(SlackMarkup("`a ** <b>` **c**"), "`a ** &lt;b&gt;` *c*");
  EXPECT_EQ(SlackMarkup("```\n# a **b**\n```"), "```\n# a **b**\n```");
  EXPECT_EQ(SlackMarkup("[a](javascript:x) [b"), "[a](javascript:x) [b");
  EXPECT_EQ(SlackMarkup("> quote"), "&gt; quote");
}

// Slack's signs stand between `<` and `>`: `<!channel>`, `<@U1>`, `<#C1>`, `<https://…>`.
RC_GTEST_PROP(SlackWebhookTest, NoTextCallsAnybody, ()) {
  const auto parts = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "<", ">", "!", "@", "#", "channel", "here", "|", "[", "]", "(", ")", "https://x", " ", "\n", "`", "```", "*", "&",
      "&lt;", "<!channel>", "<@U1>", "<https://", "![", "]("));
  std::string text;
  for (const std::string& part : parts) text += part;
  RC_ASSERT(EscapeSlack(text).find('<') == std::string::npos);
  const std::string markup = SlackMarkup(text);
  for (std::size_t at = markup.find('<'); at != std::string::npos; at = markup.find('<', at + 1)) {
    const std::string_view rest = std::string_view(markup).substr(at);
    RC_ASSERT(rest.starts_with("<https://") || rest.starts_with("<http://"));
    RC_ASSERT(rest.find('>') != std::string_view::npos);
  }
}

TEST(SlackWebhookTest, SettingsAreChecked) {
  EXPECT_THAT(SlackWebhook::Check(Channel()), IsEmpty());
  for (const char* url : {"http://hooks.slack.com/services/T/B/s", "https://evil.example/services/T/B/s",
                          "https://hooks.slack.com/services/T/B", "https://hooks.slack.com/services/T/B/s/x",
                          "https://hooks.slack.com/services//B/s", "https://hooks.slack.com/services/T/B/s?a=b",
                          "https://hooks.slack.com/workflows/T/A/1/s", "https://hooks.slack.com/triggers/T/1/s", ""}) {
    EXPECT_THAT(SlackWebhook::Check(Channel(url)), SizeIs(1)) << url;
  }
}

TEST(SlackWebhookTest, OnlyOkIsASuccess) {
  EXPECT_EQ(Read(200, "ok").verdict, SendVerdict::kAccepted);
  for (const char* body : {"", "o", "OK", "ok\n", "okay", R"({"ok":true})", "<html>ok</html>"}) {
    EXPECT_EQ(Read(200, body).verdict, SendVerdict::kNoAnswer) << body;
    EXPECT_TRUE(Read(200, body).alert) << body;
  }
  EXPECT_EQ(Read(500, "ok").verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(Read(302, "ok").verdict, SendVerdict::kChannelDown);
}

TEST(SlackWebhookTest, EveryWordMeansWhatTheVendorSays) {
  const std::map<std::string, std::pair<int, SendVerdict>> expected = {
      {"invalid_payload", {400, SendVerdict::kRefused}},
      {"invalid_blocks", {400, SendVerdict::kRefused}},
      {"too_many_attachments", {400, SendVerdict::kRefused}},
      {"no_text", {400, SendVerdict::kRefused}},
      {"user_not_found", {400, SendVerdict::kRefused}},
      {"posting_to_general_channel_denied", {403, SendVerdict::kChannelDown}},
      {"action_prohibited", {403, SendVerdict::kChannelDown}},
      {"invalid_token", {403, SendVerdict::kChannelDown}},
      {"no_service", {404, SendVerdict::kChannelDown}},
      {"no_service_id", {404, SendVerdict::kChannelDown}},
      {"no_active_hooks", {404, SendVerdict::kChannelDown}},
      {"no_team", {404, SendVerdict::kChannelDown}},
      {"team_disabled", {403, SendVerdict::kChannelDown}},
      {"channel_not_found", {404, SendVerdict::kChannelDown}},
      {"channel_is_archived", {410, SendVerdict::kChannelDown}},
      {"rollup_error", {500, SendVerdict::kNoAnswer}}};
  for (const auto& [word, meaning] : expected) {
    const SendOutcome outcome = Read(meaning.first, word);
    EXPECT_EQ(outcome.verdict, meaning.second) << word;
    EXPECT_EQ(outcome.reason, "slack_" + word);
    EXPECT_EQ(outcome.provider_code, word);
  }
  for (const SlackWord& row : kSlackWords) EXPECT_TRUE(expected.contains(std::string(row.word))) << row.word;
}

TEST(SlackWebhookTest, AnUnknownWordIsTemporaryAndCounted) {
  EXPECT_EQ(Read(400, "brand_new_word").verdict, SendVerdict::kNotNow);
  EXPECT_EQ(Read(400, "brand_new_word").reason, "slack_unknown_code");
  EXPECT_EQ(Read(302, "moved").verdict, SendVerdict::kChannelDown);
  EXPECT_EQ(Read(404, "brand_new_word").verdict, SendVerdict::kChannelDown);
  EXPECT_EQ(Read(503, "brand_new_word").verdict, SendVerdict::kNoAnswer);
}

TEST(SlackWebhookTest, ALimitNamesItsDelay) {
  const SendOutcome outcome = Read(429, "rate_limited", {{"retry-after", "30"}});
  EXPECT_EQ(outcome.verdict, SendVerdict::kNotNow);
  EXPECT_TRUE(outcome.throttled);
  EXPECT_EQ(outcome.retry_after, std::chrono::seconds{30});
}

TEST(SlackWebhookTest, WhatIsKeptOfAnAnswerHoldsNoSecret) {
  const SendOutcome outcome = Read(404, "no such hook: " + kUrl + " CANARYsecret");
  EXPECT_THAT(outcome.detail + outcome.answer, Not(HasSubstr("CANARY")));
  EXPECT_THAT(outcome.detail + outcome.answer, Not(HasSubstr("B0CD")));
}

}  // namespace
}  // namespace outrider::providers
