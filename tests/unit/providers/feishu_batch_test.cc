#include "providers/feishu_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace outrider::providers {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ChannelSettings Channel(const std::string& recipient = "") {
  ChannelSettings channel;
  channel.code = "all";
  channel.provider = "feishu_batch";
  channel.settings = {{"app_id", Secret("cli_a1")}, {"app_secret", Secret("s3cret")}};
  if (!recipient.empty()) channel.settings.emplace("recipient", Secret(recipient));
  return channel;
}

Json Body(const Notification& notification, const std::string& recipient = "") {
  const auto provider = FeishuBatch::Make(Channel(recipient));
  SendContext context{.send_key = "ignored"};
  const SendPlan first = provider->BuildRequest(notification, context);
  context.supplies.emplace(std::get<Need>(first).key, Secret("t-1"));
  const SendPlan plan = provider->BuildRequest(notification, context);
  const auto& request = std::get<http::HttpRequest>(plan);
  EXPECT_EQ(request.url.Reveal(), "https://open.feishu.cn/open-apis/message/v4/batch_send/");
  return Json::parse(request.body);
}

std::string Refusal(const std::string& recipient) {
  Notification notification;
  notification.recipient = recipient;
  notification.message.text = "hello";
  const SendPlan plan = FeishuBatch::Make(Channel())->BuildRequest(notification, {});
  const auto* outcome = std::get_if<SendOutcome>(&plan);
  return outcome == nullptr ? "none" : std::string(ToString(outcome->verdict)) + " " + outcome->reason;
}

TEST(FeishuBatchTest, ContentIsAnObjectAndACardHasItsOwnField) {
  Notification notification;
  notification.recipient = "open_ids:ou_a, ou_b";
  notification.message.text = "hello";
  EXPECT_EQ(Body(notification), Json::parse(R"({"msg_type":"text","content":{"text":"hello"},
                                               "open_ids":["ou_a","ou_b"]})"));
  notification.message = {.kind = Message::Kind::kTitledText, .title = "T", .text = "b"};
  EXPECT_EQ(Body(notification)["content"]["post"]["zh_cn"]["title"], "T");
  notification.message = {.kind = Message::Kind::kCard, .card = R"({"elements":[]})"};
  EXPECT_EQ(Body(notification)["card"], Json::parse(R"({"elements":[]})"));
}

TEST(FeishuBatchTest, WithoutARecipientTheChannelsHolds) {
  Notification notification;
  notification.message.text = "hello";
  EXPECT_EQ(Body(notification, "department_ids:od-1")["department_ids"], Json::array({"od-1"}));
  EXPECT_EQ(Refusal(""), "unreachable recipient_missing");
}

TEST(FeishuBatchTest, OtherFormsOfARecipientAreRefused) {
  for (const std::string bad : {"ou_a", "chat_id:oc_1", "open_ids:", "open_ids:ou_a,", "open_ids:a b"}) {
    EXPECT_EQ(Refusal(bad), "refused recipient_invalid") << bad;
  }
  std::string many = "open_ids:a";
  for (std::size_t i = 1; i < FeishuBatch::kMostRecipients; ++i) many += ",a";
  EXPECT_EQ(Refusal(many), "none");
  EXPECT_EQ(Refusal(many + ",a"), "refused recipient_invalid");
}

TEST(FeishuBatchTest, WhomTheVendorDidntTakeIsNamed) {
  const auto outcome = FeishuBatch::Make(Channel())->ReadResponse(
      {.status = 200,
       .headers = {},
       .body = R"({"code":0,"data":{"message_id":"bm-1","invalid_open_ids":["ou_a"],"invalid_user_ids":["u9",7]}})"});
  EXPECT_EQ(outcome.verdict, SendVerdict::kAccepted);
  EXPECT_EQ(outcome.provider_message_id, "bm-1");
  EXPECT_EQ(outcome.detail, "not taken for 2 of the recipients: ou_a, u9");
}

TEST(FeishuBatchTest, ErrorsComeWithStatus200) {
  const auto provider = FeishuBatch::Make(Channel());
  const auto read = [&](const std::string& body) {
    return provider->ReadResponse({.status = 200, .headers = {}, .body = body});
  };
  EXPECT_EQ(read(R"({"code":11225,"msg":"x"})").verdict, SendVerdict::kUnreachable);
  EXPECT_EQ(read(R"({"code":11232,"msg":"x"})").verdict, SendVerdict::kNotNow);
  EXPECT_EQ(read(R"({"code":11247,"msg":"x"})").retry_after, std::chrono::hours{1});
  EXPECT_EQ(read(R"({"data":{}})").verdict, SendVerdict::kNoAnswer);
}

TEST(FeishuBatchTest, SettingsAreChecked) {
  EXPECT_THAT(FeishuBatch::Check(Channel("user_ids:u1")), IsEmpty());
  EXPECT_THAT(FeishuBatch::Check(Channel("chat_id:oc_1")), SizeIs(1));
}

}  // namespace
}  // namespace outrider::providers
