#include "providers/feishu_flow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/message_text.h"

namespace outrider::providers {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

const std::string kUrl = "https://www.feishu.cn/flow/api/trigger-webhook/abc123";

ChannelSettings Channel(const std::string& url = kUrl) {
  ChannelSettings channel;
  channel.code = "feishu";
  channel.provider = "feishu_flow";
  channel.settings.emplace("webhook_url", Secret(url));
  return channel;
}

Notification Suggestion() {
  Notification notification;
  notification.record_id = 42;
  notification.message.text = "把会议移到周五\n/assistant/9";
  notification.metadata = {
      {"user_id", "7"},     {"trigger_id", "t1"}, {"preview_id", "p1"},          {"trigger_type", "task"},
      {"target_type", "x"}, {"target_id", "11"},  {"target_url", "/assistant/9"}};
  return notification;
}

http::HttpRequest Build(const Provider& provider, const Notification& notification) {
  return std::get<http::HttpRequest>(provider.BuildRequest(notification, {.now = Timestamp{std::chrono::hours{1}}}));
}

SendOutcome Read(int status, std::string body, http::Headers headers = {}) {
  return FeishuFlow::Make(Channel())->ReadResponse(
      {.status = status, .headers = std::move(headers), .body = std::move(body)});
}

std::string Story(const SendOutcome& outcome) { return std::string(ToString(outcome.verdict)) + " " + outcome.reason; }

TEST(FeishuFlowTest, TheBodyIsSmartFlows) {
  const auto request = Build(*FeishuFlow::Make(Channel()), Suggestion());
  EXPECT_EQ(request.url.Reveal(), kUrl);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(http::FindHeader({{"content-type", request.headers[0].second}}, "content-type"),
            "application/json; charset=utf-8");
  EXPECT_EQ(nlohmann::json::parse(request.body), nlohmann::json::parse(R"({
      "event": "smartflow.schedule_adjustment_ready", "version": "1", "notification_id": 42, "user_id": 7,
      "trigger_id": "t1", "preview_id": "p1", "trigger_type": "task", "target_type": "x", "target_id": 11,
      "message": {"title": "SmartFlow 日程调整建议", "summary": "把会议移到周五\n/assistant/9",
                  "action_text": "查看并确认调整", "action_url": "https://smartflow.example.com/assistant/9"},
      "sent_at": "1970-01-01T01:00:00Z"})"));
}

TEST(FeishuFlowTest, TheTraceStandsOnlyWhereThereIsOne) {
  Notification notification = Suggestion();
  notification.metadata["trace_id"] = "trace";
  const auto body = nlohmann::json::parse(Build(*FeishuFlow::Make(Channel()), notification).body);
  EXPECT_EQ(body["trace_id"], "trace");
}

TEST(FeishuFlowTest, PathsStandBehindTheFrontendAndLinksStay) {
  ChannelSettings channel = Channel();
  channel.settings.emplace("frontend_base_url", Secret("https://app.example.org/x///"));
  const auto url = [&](const std::string& target) {
    Notification notification = Suggestion();
    notification.metadata["target_url"] = target;
    return nlohmann::json::parse(Build(*FeishuFlow::Make(channel), notification).body)["message"]["action_url"]
        .get<std::string>();
  };
  EXPECT_EQ(url("/assistant/9"), "https://app.example.org/x/assistant/9");
  EXPECT_EQ(url("http://elsewhere.example/a"), "http://elsewhere.example/a");
}

TEST(FeishuFlowTest, ATokenIsSentAsBearer) {
  ChannelSettings channel = Channel();
  EXPECT_THAT(Build(*FeishuFlow::Make(channel), Suggestion()).headers, SizeIs(1));
  channel.settings.emplace("bearer_token", Secret("t0ken"));
  EXPECT_EQ(Build(*FeishuFlow::Make(channel), Suggestion()).headers.at(1).second, "Bearer t0ken");
}

TEST(FeishuFlowTest, AddressesOfOthersAreRefusedAndNotRepeated) {
  EXPECT_THAT(FeishuFlow::Check(Channel()), IsEmpty());
  EXPECT_THAT(FeishuFlow::Check(Channel("https://feishu.cn/flow/api/trigger-webhook/a")), IsEmpty());
  for (const char* url :
       {"http://www.feishu.cn/flow/api/trigger-webhook/a", "https://evil.example/flow/api/trigger-webhook/a",
        "https://www.feishu.cn@evil.example/flow/api/trigger-webhook/a", "https://www.feishu.cn/other/a",
        "https://www.feishu.cn:444/flow/api/trigger-webhook/a", "https://www.feishu.cn/flow/api/trigger-webhook/",
        "https://xfeishu.cn/flow/api/trigger-webhook/a", ""}) {
    const auto faults = FeishuFlow::Check(Channel(url));
    ASSERT_THAT(faults, SizeIs(1)) << url;
    EXPECT_THAT(faults[0], Not(HasSubstr("evil")));
  }
}

TEST(FeishuFlowTest, AnswersHaveSmartFlowsCodes) {
  EXPECT_EQ(Story(Read(200, R"({"code":0,"data":{},"msg":"success"})")), "accepted ");
  EXPECT_EQ(Story(Read(200, R"({"code":10003,"msg":"bad"})")), "refused payload_invalid");
  EXPECT_EQ(Story(Read(429, "")), "not_now provider_rate_limited");
  EXPECT_EQ(Story(Read(401, "")), "refused provider_auth_failed");
  EXPECT_EQ(Story(Read(403, R"({"code":1,"msg":"no"})")), "refused provider_auth_failed");
  EXPECT_EQ(Story(Read(404, "")), "refused payload_invalid");
  EXPECT_EQ(Story(Read(302, "")), "refused payload_invalid");
  EXPECT_EQ(Story(Read(408, "")), "not_now provider_timeout");
  for (const int status : {500, 502, 504, 599}) EXPECT_EQ(Story(Read(status, "")), "no_answer provider_5xx");
}

// SmartFlow's own service took these for a success.
TEST(FeishuFlowTest, SuccessNeedsProof) {
  for (const char* body :
       {"", "{}", R"({"code":"0"})", R"({"code":0)", R"({"StatusCode":0})", "<html>", R"({"code":0.0})"}) {
    EXPECT_EQ(Read(200, body).verdict, SendVerdict::kNoAnswer) << body;
  }
  EXPECT_EQ(Read(302, R"({"code":0})").verdict, SendVerdict::kRefused);
}

TEST(FeishuFlowTest, AVendorsHintIsRead) {
  EXPECT_EQ(Read(429, "", {{"retry-after", "7"}}).retry_after, std::chrono::seconds{7});
}

TEST(FeishuFlowTest, FailuresOfTheNetworkHaveSmartFlowsNames) {
  const auto provider = FeishuFlow::Make(Channel());
  EXPECT_EQ(provider->NameFailure("timeout"), "provider_timeout");
  EXPECT_EQ(provider->NameFailure("connect_failed"), "network_error");
}

TEST(FeishuFlowTest, WithoutATextNothingIsSent) {
  Notification notification = Suggestion();
  notification.message = {.kind = Message::Kind::kCard, .card = "{}"};
  const auto provider = FeishuFlow::Make(Channel());
  const auto plan = provider->BuildRequest(notification, {});
  ASSERT_TRUE(std::holds_alternative<SendOutcome>(plan));
  EXPECT_EQ(Story(std::get<SendOutcome>(plan)), "refused payload_invalid");
  notification.fallback_text = "instead";
  EXPECT_EQ(nlohmann::json::parse(Build(*provider, notification).body)["message"]["summary"], "instead");
}

}  // namespace
}  // namespace outrider::providers
