#include "providers/feishu_app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
// After GoogleTest, whose types it may print.
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "providers/feishu_app_codes.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kSecret[] = "APPSECRETCANARY";

ChannelSettings Channel(const std::map<std::string, std::string>& more = {}) {
  ChannelSettings channel;
  channel.code = "app";
  channel.provider = "feishu_app";
  channel.settings = {{"app_id", Secret("cli_a1")}, {"app_secret", Secret(kSecret)}};
  for (const auto& [key, value] : more) channel.settings.insert_or_assign(key, Secret(value));
  return channel;
}

std::unique_ptr<Provider> App(const std::map<std::string, std::string>& more = {}) {
  return FeishuApp::Make(Channel(more));
}

Notification To(const std::string& recipient, Message message = {.text = "hello"}) {
  Notification notification;
  notification.recipient = recipient;
  notification.message = std::move(message);
  return notification;
}

http::HttpResponse Json200(const std::string& body) { return {.status = 200, .headers = {}, .body = body}; }

Need NeedOf(const SendPlan& plan) {
  if (const Need* need = std::get_if<Need>(&plan)) return *need;
  ADD_FAILURE() << "nothing was asked for";
  return {};
}

// The plan once the token is known.
SendPlan Plan(const Provider& provider, const Notification& notification, SendContext context = {}) {
  const Need token = NeedOf(provider.BuildRequest(notification, context));
  context.supplies.insert_or_assign(token.key, Secret("t-1"));
  return provider.BuildRequest(notification, context);
}

http::HttpRequest Request(const Provider& provider, const Notification& notification,
                          const std::string& send_key = "") {
  SendPlan plan = Plan(provider, notification, {.send_key = send_key});
  if (auto* request = std::get_if<http::HttpRequest>(&plan)) return *request;
  ADD_FAILURE() << "no request";
  return {};
}

std::string Refusal(const SendPlan& plan) {
  const auto* outcome = std::get_if<SendOutcome>(&plan);
  return outcome == nullptr ? "none" : std::string(ToString(outcome->verdict)) + " " + outcome->reason;
}

Json Content(const http::HttpRequest& request) {
  return Json::parse(Json::parse(request.body).at("content").get<std::string>());
}

TEST(FeishuAppTest, AMessageIsWhatTheVendorsPageShows) {
  const auto request = Request(*App(), To("chat_id:oc_1"), "uuid-1");
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.url.Reveal(), "https://open.feishu.cn/open-apis/im/v1/messages?receive_id_type=chat_id");
  EXPECT_THAT(request.headers, ElementsAre(std::pair("Content-Type", "application/json; charset=utf-8"),
                                           std::pair("Authorization", "Bearer t-1")));
  EXPECT_EQ(
      Json::parse(request.body),
      (Json{{"receive_id", "oc_1"}, {"msg_type", "text"}, {"content", R"({"text":"hello"})"}, {"uuid", "uuid-1"}}));
}

TEST(FeishuAppTest, EachRecipientHasItsKindOfId) {
  for (const std::string kind : {"chat_id", "open_id", "union_id", "user_id", "email"}) {
    const auto request = Request(*App(), To(kind + ":x@1"));
    EXPECT_THAT(request.url.Reveal(), ::testing::EndsWith("?receive_id_type=" + kind));
    EXPECT_EQ(Json::parse(request.body)["receive_id"], "x@1");
  }
}

TEST(FeishuAppTest, AReplyGoesToItsMessageAndNamesNobody) {
  const auto request = Request(*App(), To("message_id:om_1"), "uuid-1");
  EXPECT_EQ(request.url.Reveal(), "https://open.feishu.cn/open-apis/im/v1/messages/om_1/reply");
  const Json body = Json::parse(request.body);
  EXPECT_FALSE(body.contains("receive_id"));
  EXPECT_EQ(body["uuid"], "uuid-1");
}

TEST(FeishuAppTest, OtherFormsOfARecipientAreRefusedBeforeAnythingIsAsked) {
  for (const std::string bad : {"oc_1", "chat:oc_1", "chat_id:", "chat_id: ", "message_id:om_1/../../x", ":x"}) {
    EXPECT_EQ(Refusal(App()->BuildRequest(To(bad), {})), "refused recipient_invalid") << bad;
  }
}

TEST(FeishuAppTest, WithoutARecipientTheChannelsHolds) {
  EXPECT_EQ(Refusal(App()->BuildRequest(To(""), {})), "unreachable recipient_missing");
  const auto request = Request(*App({{"recipient", "chat_id:oc_9"}}), To(""));
  EXPECT_EQ(Json::parse(request.body)["receive_id"], "oc_9");
}

TEST(FeishuAppTest, ContentIsAStringOfWhatTheVendorShows) {
  const auto of = [](Message message) { return Request(*App(), To("chat_id:oc_1", std::move(message))); };
  const auto post = of({.kind = Message::Kind::kTitledText, .title = "T", .text = "a <at user_id=\"all\">"});
  EXPECT_EQ(Json::parse(post.body)["msg_type"], "post");
  EXPECT_EQ(Content(post), Json::parse(R"({"zh_cn":{"title":"T","content":[[{"tag":"text",
      "text":"a ＜at user_id=\"all\">"}]]}})"));
  const auto markdown = of({.kind = Message::Kind::kMarkdown, .title = "T", .text = "**b**"});
  EXPECT_EQ(Json::parse(markdown.body)["msg_type"], "interactive");
  EXPECT_EQ(Content(markdown)["schema"], "2.0");
  const auto card = of({.kind = Message::Kind::kCard, .card = R"({"elements":[]})"});
  EXPECT_EQ(Content(card), Json::parse(R"({"elements":[]})"));
}

TEST(FeishuAppTest, WhatIsTooBigOrCantBeShownBecomesTheFallbackText) {
  Notification html = To("chat_id:oc_1", {.kind = Message::Kind::kHtml, .text = "<b>x</b>"});
  EXPECT_EQ(Refusal(App()->BuildRequest(html, {})), "refused payload_invalid");
  html.fallback_text = "plain";
  EXPECT_EQ(Content(Request(*App(), html)), (Json{{"text", "plain"}}));
  Notification big = To("chat_id:oc_1", {.kind = Message::Kind::kMarkdown, .text = std::string(30'000, 'x')});
  EXPECT_EQ(Refusal(App()->BuildRequest(big, {})), "refused payload_too_large");
  EXPECT_EQ(Json::parse(Request(*App({{"max_card_bytes", "100000"}}), big).body)["msg_type"], "interactive");
  big.fallback_text = "plain";
  EXPECT_EQ(Content(Request(*App(), big)), (Json{{"text", "plain"}}));
  const auto text = To("chat_id:oc_1", {.text = std::string(149'000, 'x')});
  EXPECT_GT(Request(*App(), text).body.size(), 149'000u);
}

TEST(FeishuAppTest, TheTokenIsAskedForOfTheHostAndTheApp) {
  const Need need = NeedOf(App()->BuildRequest(To("chat_id:oc_1"), {}));
  EXPECT_TRUE(need.is_token);
  EXPECT_FALSE(need.counts);
  EXPECT_EQ(need.request.url.Reveal(), "https://open.feishu.cn/open-apis/auth/v3/tenant_access_token/internal");
  EXPECT_EQ(Json::parse(need.request.body), (Json{{"app_id", "cli_a1"}, {"app_secret", kSecret}}));
  const auto key = [](const std::map<std::string, std::string>& more) {
    return NeedOf(App(more)->BuildRequest(To("chat_id:oc_1"), {})).key;
  };
  EXPECT_EQ(key({{"recipient", "open_id:ou_1"}}), need.key) << "another channel of the same app";
  EXPECT_NE(key({{"app_id", "cli_a2"}}), need.key);
  EXPECT_NE(key({{"host", "open.larksuite.com"}}), need.key);
  EXPECT_NE(key({{"app_secret", "changed"}}), need.key);
  EXPECT_THAT(need.key, Not(HasSubstr(kSecret)));
}

std::string TokenStory(const SupplyReading& reading) {
  if (const auto* supply = std::get_if<Supply>(&reading)) {
    return supply->value.Reveal() + " " + std::to_string(supply->life.count()) + " " +
           std::to_string(supply->fresh.count());
  }
  const auto& outcome = std::get<SendOutcome>(reading);
  EXPECT_THAT(outcome.detail, Not(HasSubstr(kSecret)));
  return std::string(ToString(outcome.verdict)) + " " + outcome.reason;
}

TEST(FeishuAppTest, ATokenIsUsedUntilThreeMinutesBeforeItsEndAndRenewedTwentyBefore) {
  const Need need = NeedOf(App()->BuildRequest(To("chat_id:oc_1"), {}));
  const auto read = [&](const std::string& body) { return TokenStory(need.read(Json200(body))); };
  EXPECT_EQ(read(R"({"code":0,"msg":"ok","tenant_access_token":"t-x","expire":7200})"), "t-x 7020 5820");
  EXPECT_EQ(read(R"({"code":0,"msg":"ok","tenant_access_token":"t-x","expire":1800})"), "t-x 1620 810");
  EXPECT_EQ(read(R"({"code":0,"msg":"ok","tenant_access_token":"t-x","expire":60})"), "t-x 30 15");
  EXPECT_EQ(read(R"({"code":0,"msg":"ok","tenant_access_token":"t-x","expire":9223372036854775807})"),
            "t-x 86220 85020");
  const std::string jwt = "eyJ" + std::string(6'000, 'x');
  EXPECT_EQ(read(R"({"code":0,"tenant_access_token":")" + jwt + R"(","expire":7200})"), jwt + " 7020 5820");
}

TEST(FeishuAppTest, AnAnswerWithoutATokenIsNeverTheMessagesFault) {
  const Need need = NeedOf(App()->BuildRequest(To("chat_id:oc_1"), {}));
  const auto read = [&](int status, const std::string& body) {
    return TokenStory(need.read({.status = status, .headers = {}, .body = body}));
  };
  EXPECT_EQ(read(200, R"({"code":10003,"data":{},"msg":"invalid param"})"), "channel_down feishu_10003");
  EXPECT_EQ(read(200, R"({"code":10014,"msg":"app"})"), "channel_down feishu_10014");
  EXPECT_EQ(read(200, R"({"code":10015,"msg":"APPSECRETCANARY is wrong"})"), "channel_down feishu_10015");
  EXPECT_EQ(read(404, "404 page not found"), "channel_down http_404");
  EXPECT_EQ(read(400, "what"), "channel_down http_400");
  EXPECT_EQ(read(429, ""), "not_now http_429");
  for (const std::string bad : {R"({"code":0})", R"({"code":0,"tenant_access_token":"","expire":7200})",
                                R"({"code":0,"tenant_access_token":"t-\r\nX: y","expire":7200})",
                                R"({"code":0,"tenant_access_token":"t-x","expire":0})",
                                R"({"code":0,"tenant_access_token":"t-x","expire":"7200"})"}) {
    EXPECT_EQ(read(200, bad), "not_now unreadable_answer") << bad;
  }
}

TEST(FeishuAppTest, ATelephoneNumberIsTurnedIntoAnIdFirst) {
  SendContext context;
  const auto app = App();
  const auto notification = To("phone:+8613800000000");
  context.supplies.insert_or_assign(NeedOf(app->BuildRequest(notification, context)).key, Secret("t-1"));
  const Need need = NeedOf(app->BuildRequest(notification, context));
  EXPECT_FALSE(need.is_token);
  EXPECT_TRUE(need.counts);
  EXPECT_EQ(need.request.url.Reveal(),
            "https://open.feishu.cn/open-apis/contact/v3/users/batch_get_id?user_id_type=open_id");
  EXPECT_EQ(Json::parse(need.request.body), (Json{{"mobiles", {"+8613800000000"}}, {"include_resigned", false}}));
  context.supplies.insert_or_assign(need.key, Secret("ou_7"));
  const auto plan = app->BuildRequest(notification, context);
  const auto& request = std::get<http::HttpRequest>(plan);
  EXPECT_THAT(request.url.Reveal(), ::testing::EndsWith("receive_id_type=open_id"));
  EXPECT_EQ(Json::parse(request.body)["receive_id"], "ou_7");
}

TEST(FeishuAppTest, AnAddressIsLookedUpWhereTheChannelSaysSo) {
  const auto need = NeedOf(Plan(*App({{"lookup_email", "true"}}), To("email:a@example.com")));
  EXPECT_EQ(Json::parse(need.request.body), (Json{{"emails", {"a@example.com"}}, {"include_resigned", false}}));
}

TEST(FeishuAppTest, WhoIsntFoundIsUnreachableAndABrokenAnswerIsNobodysFault) {
  const Need need = NeedOf(Plan(*App(), To("phone:+8613800000000")));
  const auto read = [&](int status, const std::string& body) {
    return TokenStory(need.read({.status = status, .headers = {}, .body = body}));
  };
  EXPECT_EQ(read(200, R"({"code":0,"data":{"user_list":[{"user_id":"ou_7","mobile":"+8613800000000"}]}})"),
            "ou_7 43200 43200");
  EXPECT_EQ(read(200, R"({"code":0,"data":{"user_list":[{"mobile":"+8613800000000"}]}})"),
            "unreachable recipient_unknown");
  EXPECT_EQ(read(200, R"({"code":0,"data":{"user_list":[]}})"), "unreachable recipient_unknown");
  EXPECT_EQ(read(200, R"({"code":0,"data":{}})"), "not_now unreadable_answer");
  EXPECT_EQ(read(200, R"({"code":0,"data":{"user_list":[7,null,{"user_id":8},{"user_id":"a b"}]}})"),
            "unreachable recipient_unknown");
  EXPECT_EQ(read(400, R"({"code":99991672,"msg":"scope"})"), "channel_down feishu_99991672");
  EXPECT_EQ(read(400, R"({"code":99992402,"msg":"field validation failed"})"), "refused feishu_99992402");
}

TEST(FeishuAppTest, AnAcceptedMessageHasItsIdAndARefusedOneItsLogId) {
  const auto taken = App()->ReadResponse({.status = 200,
                                          .headers = {{"x-tt-logid", "log1"}},
                                          .body = R"({"code":0,"msg":"success","data":{"message_id":"om_1"}})"});
  EXPECT_EQ(taken.verdict, SendVerdict::kAccepted);
  EXPECT_EQ(taken.provider_message_id, "om_1");
  EXPECT_EQ(taken.provider_log_id, "log1");
  const auto refused = App()->ReadResponse(
      {.status = 400, .headers = {{"x-tt-logid", "log1"}}, .body = R"({"code":230001,"msg":"ext=invalid receive_id.",
                                                        "error":{"log_id":"20240911"}})"});
  EXPECT_EQ(refused.verdict, SendVerdict::kRefused);
  EXPECT_EQ(refused.reason, "feishu_230001");
  EXPECT_EQ(refused.provider_code, "230001");
  EXPECT_EQ(refused.provider_log_id, "20240911");
}

TEST(FeishuAppTest, SuccessNeedsProof) {
  const auto read = [](int status, const std::string& body) {
    const auto outcome = App()->ReadResponse({.status = status, .headers = {}, .body = body});
    return std::string(ToString(outcome.verdict)) + " " + outcome.reason;
  };
  EXPECT_EQ(read(200, R"({"code":0})"), "accepted ");
  EXPECT_EQ(read(200, R"({"code":"0"})"), "no_answer unreadable_answer");
  EXPECT_EQ(read(200, "<html>"), "no_answer unreadable_answer");
  EXPECT_EQ(read(200, ""), "no_answer unreadable_answer");
  EXPECT_EQ(read(504, R"({"code":0})"), "no_answer contradictory_answer");
  EXPECT_EQ(read(504, "<html>"), "no_answer http_504");
  EXPECT_EQ(read(429, R"({"code":99991400,"msg":"request trigger frequency limit"})"), "not_now feishu_99991400");
  EXPECT_EQ(read(404, "404 page not found"), "channel_down http_404");
  EXPECT_EQ(read(302, ""), "channel_down http_302");
  EXPECT_EQ(read(400, R"({"code":123456789})"), "not_now feishu_unknown_code");
  EXPECT_EQ(read(502, R"({"code":123456789})"), "no_answer feishu_unknown_code");
}

TEST(FeishuAppTest, EachRowOfTheTableDecidesItsCode) {
  std::set<std::pair<std::int64_t, std::string_view>> seen;
  for (const AnswerCode& row : kFeishuAppCodes) {
    EXPECT_TRUE(seen.emplace(row.code, row.text).second) << row.code << " stands twice";
    const Json body = {{"code", row.code}, {"msg", "Failed, ext=" + std::string(row.text) + "; x"}};
    const auto outcome = App()->ReadResponse({.status = 400, .headers = {}, .body = body.dump()});
    EXPECT_EQ(outcome.verdict, row.verdict) << row.code;
    EXPECT_EQ(outcome.downgrade, row.downgrade) << row.code;
    EXPECT_EQ(outcome.stale_token, row.stale_token) << row.code;
    EXPECT_EQ(outcome.alert, row.alert) << row.code;
    EXPECT_THAT(outcome.detail, HasSubstr(std::string(row.meaning))) << row.code;
  }
}

TEST(FeishuAppTest, TheTextDecidesWhereTheCodeDoesnt) {
  const auto read = [](const std::string& body) {
    return App()->ReadResponse({.status = 400, .headers = {}, .body = body});
  };
  EXPECT_EQ(read(R"({"code":230001,"msg":"ext=Internal Error"})").verdict, SendVerdict::kNoAnswer);
  const auto tables = read(R"({"code":230099,"msg":"Failed to create card content, ext=ErrCode: 11310; )"
                           R"(ErrMsg: card table number over limit; ErrorValue: table;"})");
  EXPECT_TRUE(tables.downgrade);
  EXPECT_THAT(tables.detail, HasSubstr("too many elements or tables"));
}

TEST(FeishuAppTest, WhoHasLeftOrDoesntWantItIsSkippedWithoutAnAlarm) {
  for (const int code : {230013, 230029, 230053}) {
    const auto outcome =
        App()->ReadResponse({.status = 400, .headers = {}, .body = Json{{"code", code}, {"msg", "no"}}.dump()});
    EXPECT_EQ(outcome.verdict, SendVerdict::kUnreachable) << code;
    EXPECT_FALSE(outcome.alert) << code;
  }
}

TEST(FeishuAppTest, SettingsAreCheckedWithoutShowingTheSecret) {
  EXPECT_THAT(FeishuApp::Check(Channel()), IsEmpty());
  EXPECT_THAT(FeishuApp::Check(Channel({{"host", "open.larksuite.com"}, {"recipient", "open_id:ou_1"}})), IsEmpty());
  EXPECT_THAT(FeishuApp::Check(Channel({{"app_id", "a b"}})), ElementsAre(HasSubstr("app_id")));
  EXPECT_THAT(FeishuApp::Check(Channel({{"app_secret", "CANARY x"}})),
              ElementsAre(::testing::AllOf(HasSubstr("app_secret"), Not(HasSubstr("CANARY")))));
  EXPECT_THAT(FeishuApp::Check(Channel({{"host", "http://127.0.0.1:80"}})), ElementsAre(HasSubstr("host")));
  EXPECT_THAT(FeishuApp::Check(Channel({{"host", "open.feishu.cn.evil.example"}})), ElementsAre(HasSubstr("host")));
  EXPECT_THAT(FeishuApp::Check(Channel({{"recipient", "oc_1"}})), ElementsAre(HasSubstr("recipient")));
  EXPECT_THAT(FeishuApp::Check(Channel({{"max_card_bytes", "1"}})), ElementsAre(HasSubstr("max_card_bytes")));
  EXPECT_THAT(FeishuApp::Check(Channel({{"lookup_email", "yes"}})), ElementsAre(HasSubstr("lookup_email")));
  ChannelSettings local = Channel({{"host", "http://127.0.0.1:8080"}});
  local.allow_insecure_targets = true;
  EXPECT_THAT(FeishuApp::Check(local), IsEmpty());
}

// Bytes near an answer: a good one that was cut, spliced or sprinkled.
std::string SomeBody() {
  static const std::vector<std::string> kBodies = {
      R"({"code":0,"msg":"ok","tenant_access_token":"t-x","expire":7200})",
      R"({"code":0,"data":{"user_list":[{"user_id":"ou_7","mobile":"1"}]}})",
      R"({"code":0,"msg":"success","data":{"message_id":"om_1"}})",
      R"({"code":230099,"msg":"ext=ErrCode: 11310; APPSECRETCANARY","error":{"log_id":"1"}})",
      R"({"code":99991663,"msg":"Invalid access token","error":{"log_id":{"a":[1]}}})"};
  std::string body = *rc::gen::elementOf(kBodies);
  const auto bytes = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      return body;
    case 1:
      return bytes;
    case 2:
      return body.substr(0, *rc::gen::inRange<std::size_t>(0, body.size()));
    default:
      return body.insert(*rc::gen::inRange<std::size_t>(0, body.size()), bytes);
  }
}

void IsSound(const SendOutcome& outcome) {
  RC_ASSERT((outcome.verdict == SendVerdict::kAccepted) == outcome.reason.empty());
  RC_ASSERT(std::ranges::all_of(outcome.reason,
                                [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }));
  for (const std::string& text : {outcome.reason, outcome.detail, outcome.answer, outcome.provider_message_id,
                                  outcome.provider_log_id, outcome.provider_code}) {
    RC_ASSERT(text.find(kSecret) == std::string::npos);
  }
}

TEST(FeishuAppTest, AnyBytesUnderAnyStatusAreRead) {
  const auto app = App();
  const Need token = NeedOf(app->BuildRequest(To("phone:+1"), {}));
  const Need user = NeedOf(Plan(*app, To("phone:+1")));
  EXPECT_TRUE(rc::check("any bytes under any status are read", [&] {
    const http::HttpResponse response{
        .status = *rc::gen::element(200, 201, 302, 400, 401, 404, 429, 500, 504, 0, 999),
        .headers = {{"x-tt-logid", *rc::gen::container<std::string>(rc::gen::arbitrary<char>())}},
        .body = SomeBody()};
    IsSound(app->ReadResponse(response));
    for (const Need& need : {token, user}) {
      const SupplyReading reading = need.read(response);
      if (const auto* supply = std::get_if<Supply>(&reading)) {
        RC_ASSERT(response.status >= 200 && response.status < 300);
        RC_ASSERT(supply->life.count() >= 0 && supply->fresh <= supply->life);
        RC_ASSERT(std::ranges::all_of(supply->value.Reveal(), [](unsigned char c) { return c > 0x20 && c < 0x7F; }));
      } else {
        RC_ASSERT(std::get<SendOutcome>(reading).verdict != SendVerdict::kAccepted);
        IsSound(std::get<SendOutcome>(reading));
      }
    }
  }));
}

}  // namespace
}  // namespace outrider::providers
