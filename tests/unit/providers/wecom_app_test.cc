#include "providers/wecom_app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "providers/wecom_app_codes.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kSecret[] = "CORPSECRETCANARY";

ChannelSettings Channel(const std::map<std::string, std::string>& more = {}) {
  ChannelSettings channel;
  channel.code = "wecom";
  channel.provider = "wecom_app";
  channel.settings = {{"corp_id", Secret("ww1")}, {"corp_secret", Secret(kSecret)}, {"agent_id", Secret("1000002")}};
  for (const auto& [key, value] : more) channel.settings.insert_or_assign(key, Secret(value));
  return channel;
}

Notification To(const std::string& recipient, Message message = {.text = "hello"}) {
  Notification notification;
  notification.recipient = recipient;
  notification.message = std::move(message);
  return notification;
}

Need TokenNeed(const Provider& provider) {
  SendPlan plan = provider.BuildRequest(To("user:a"), {});
  return std::get<Need>(plan);
}

SendPlan Plan(const Provider& provider, const Notification& notification) {
  SendContext context{.send_key = "ignored"};
  context.supplies.emplace(TokenNeed(provider).key, Secret("tok-1"));
  return provider.BuildRequest(notification, context);
}

Json Body(const Notification& notification, const std::map<std::string, std::string>& more = {}) {
  const SendPlan plan = Plan(*WecomApp::Make(Channel(more)), notification);
  if (const auto* request = std::get_if<http::HttpRequest>(&plan)) return Json::parse(request->body);
  ADD_FAILURE() << "no request";
  return {};
}

std::string Refusal(const Notification& notification) {
  const SendPlan plan = Plan(*WecomApp::Make(Channel()), notification);
  const auto* outcome = std::get_if<SendOutcome>(&plan);
  return outcome == nullptr ? "none" : std::string(ToString(outcome->verdict)) + " " + outcome->reason;
}

SendOutcome Read(const std::string& body, int status = 200) {
  return WecomApp::Make(Channel())->ReadResponse({.status = status, .headers = {}, .body = body});
}

TEST(WecomAppTest, AMessageIsWhatTheVendorsPageShows) {
  const SendPlan plan = Plan(*WecomApp::Make(Channel()), To("user:a|b"));
  const auto& request = std::get<http::HttpRequest>(plan);
  EXPECT_EQ(request.url.Reveal(), "https://qyapi.weixin.qq.com/cgi-bin/message/send?access_token=tok-1");
  EXPECT_EQ(Json::parse(request.body), Json::parse(R"({"touser":"a|b","msgtype":"text","agentid":1000002,
                                                       "text":{"content":"hello"}})"));
}

TEST(WecomAppTest, EachKindOfRecipientHasItsField) {
  EXPECT_EQ(Body(To("user:@all"))["touser"], "@all");
  EXPECT_EQ(Body(To("party:1|2"))["toparty"], "1|2");
  EXPECT_EQ(Body(To("tag:3"))["totag"], "3");
  EXPECT_EQ(Body(To(""), {{"recipient", "user:c"}})["touser"], "c");
  EXPECT_EQ(Refusal(To("")), "unreachable recipient_missing");
  for (const std::string bad : {"a", "user:", "user:a b", "chat:1"}) {
    EXPECT_EQ(Refusal(To(bad)), "refused recipient_invalid") << bad;
  }
}

TEST(WecomAppTest, WhatTheVendorWouldCutIsRefusedOrBecomesTheFallbackText) {
  EXPECT_EQ(Body(To("user:a", {.text = std::string(2048, 'x')}))["msgtype"], "text");
  Notification big = To("user:a", {.text = std::string(2049, 'x')});
  EXPECT_EQ(Refusal(big), "refused payload_too_large");
  big.fallback_text = "short";
  EXPECT_EQ(Body(big)["text"]["content"], "short");
  EXPECT_EQ(
      Body(To("user:a", {.kind = Message::Kind::kMarkdown, .title = "T", .text = "**b**"}))["markdown"]["content"],
      "# T\n**b**");
  EXPECT_EQ(Body(To("user:a", {.kind = Message::Kind::kCard,
                               .card = R"({"msgtype":"template_card","template_card":{}})"}))["msgtype"],
            "template_card");
  EXPECT_EQ(Refusal(To("user:a", {.kind = Message::Kind::kHtml, .text = "<b>"})), "refused payload_invalid");
}

TEST(WecomAppTest, EqualMessagesAreDroppedOnlyWhereTheChannelSaysSo) {
  EXPECT_FALSE(Body(To("user:a")).contains("enable_duplicate_check"));
  const Json body = Body(To("user:a"), {{"duplicate_check_interval", "600"}});
  EXPECT_EQ(body["enable_duplicate_check"], 1);
  EXPECT_EQ(body["duplicate_check_interval"], 600);
  EXPECT_EQ(body.dump(), Body(To("user:a"), {{"duplicate_check_interval", "600"}}).dump()) << "byte for byte";
}

TEST(WecomAppTest, TheTokenIsAskedForByCompanyAndSecret) {
  const Need need = TokenNeed(*WecomApp::Make(Channel()));
  EXPECT_EQ(need.request.method, "GET");
  EXPECT_EQ(need.request.url.Reveal(),
            "https://qyapi.weixin.qq.com/cgi-bin/gettoken?corpid=ww1&corpsecret=CORPSECRETCANARY");
  EXPECT_THAT(need.key, Not(HasSubstr(kSecret)));
  EXPECT_NE(TokenNeed(*WecomApp::Make(Channel({{"corp_secret", "another"}}))).key, need.key);
  const auto read = [&](const std::string& body) {
    const SupplyReading reading = need.read({.status = 200, .headers = {}, .body = body});
    if (const auto* supply = std::get_if<Supply>(&reading)) {
      return supply->value.Reveal() + " " + std::to_string(supply->life.count());
    }
    const auto& outcome = std::get<SendOutcome>(reading);
    EXPECT_THAT(outcome.detail, Not(HasSubstr(kSecret)));
    return std::string(ToString(outcome.verdict)) + " " + outcome.reason;
  };
  EXPECT_EQ(read(R"({"errcode":0,"errmsg":"ok","access_token":"tok_1-A","expires_in":7200})"), "tok_1-A 7020");
  EXPECT_EQ(read(R"({"errcode":40001,"errmsg":"invalid credential CORPSECRETCANARY"})"), "channel_down wecom_40001");
  EXPECT_EQ(read(R"({"errcode":40013,"errmsg":"x"})"), "channel_down wecom_40013");
  EXPECT_EQ(read(R"({"errcode":45009,"errmsg":"x"})"), "not_now wecom_45009");
  EXPECT_EQ(read(R"({"errcode":0,"access_token":"a&b","expires_in":7200})"), "not_now unreadable_answer");
}

TEST(WecomAppTest, SuccessInPartNamesThoseWhoWereLeftOut) {
  const auto whole = Read(R"({"errcode":0,"errmsg":"ok","msgid":"m1","invaliduser":"","invalidparty":""})");
  EXPECT_EQ(whole.verdict, SendVerdict::kAccepted);
  EXPECT_EQ(whole.provider_message_id, "m1");
  EXPECT_THAT(whole.detail, IsEmpty());
  const auto part = Read(R"({"errcode":0,"errmsg":"ok","msgid":"m1","invaliduser":"u1|u2","unlicenseduser":"u3"})");
  EXPECT_EQ(part.verdict, SendVerdict::kAccepted);
  EXPECT_EQ(part.detail, "not taken for: invaliduser u1|u2, unlicenseduser u3");
}

TEST(WecomAppTest, EachRowOfTheTableDecidesItsCode) {
  for (const AnswerCode& row : kWecomAppCodes) {
    const auto outcome = Read(Json{{"errcode", row.code}, {"errmsg", "x, from ip: 203.0.113.7"}}.dump());
    EXPECT_EQ(outcome.verdict, row.verdict) << row.code;
    EXPECT_EQ(outcome.stale_token, row.stale_token) << row.code;
    EXPECT_EQ(outcome.downgrade, row.downgrade) << row.code;
    EXPECT_THAT(outcome.detail, Not(HasSubstr("203.0.113.7"))) << row.code;
  }
  EXPECT_EQ(Read("<html>").verdict, SendVerdict::kNoAnswer);
  EXPECT_EQ(Read(R"({"errcode":99})").reason, "wecom_unknown_code");
}

TEST(WecomAppTest, SettingsAreCheckedWithoutShowingTheSecret) {
  EXPECT_THAT(WecomApp::Check(Channel({{"recipient", "party:1"}})), IsEmpty());
  EXPECT_THAT(WecomApp::Check(Channel({{"corp_id", "a b"}})), ElementsAre(HasSubstr("corp_id")));
  EXPECT_THAT(WecomApp::Check(Channel({{"corp_secret", "CANARY&x"}})),
              ElementsAre(::testing::AllOf(HasSubstr("corp_secret"), Not(HasSubstr("CANARY")))));
  EXPECT_THAT(WecomApp::Check(Channel({{"agent_id", "x"}})), ElementsAre(HasSubstr("agent_id")));
  EXPECT_THAT(WecomApp::Check(Channel({{"host", "http://127.0.0.1"}})), ElementsAre(HasSubstr("host")));
  EXPECT_THAT(WecomApp::Check(Channel({{"recipient", "a"}})), ElementsAre(HasSubstr("recipient")));
  EXPECT_THAT(WecomApp::Check(Channel({{"duplicate_check_interval", "14401"}})),
              ElementsAre(HasSubstr("duplicate_check_interval")));
}

}  // namespace
}  // namespace outrider::providers
