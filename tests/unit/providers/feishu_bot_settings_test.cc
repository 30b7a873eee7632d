#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "providers/feishu_bot.h"

namespace outrider::providers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kToken[] = "0f1e2d3c-aaaa-bbbb-cccc-001122334455";

std::vector<std::string> Check(const std::string& url, bool insecure = false, const std::string& secret = "") {
  ChannelSettings channel;
  channel.code = "ops";
  channel.provider = "feishu_bot";
  channel.allow_insecure_targets = insecure;
  if (!url.empty()) channel.settings.emplace("webhook_url", Secret(url));
  if (!secret.empty()) channel.settings.emplace("secret", Secret(secret));
  return FeishuBot::Check(channel);
}

std::string Hook(const std::string& origin) { return origin + "/open-apis/bot/v2/hook/" + kToken; }

TEST(FeishuBotSettingsTest, BothVendorsHostsAreAccepted) {
  EXPECT_THAT(Check(Hook("https://open.feishu.cn")), IsEmpty());
  EXPECT_THAT(Check(Hook("https://open.larksuite.com")), IsEmpty());
  EXPECT_THAT(Check(Hook("HTTPS://Open.Feishu.CN:443")), IsEmpty());
}

TEST(FeishuBotSettingsTest, WhatIsntTheVendorsAddressIsAFault) {
  const std::vector<std::string> bad = {
      Hook("http://open.feishu.cn"),
      Hook("https://open.feishu.cn.evil.example"),
      Hook("https://evil.example"),
      Hook("https://127.0.0.1"),
      Hook("https://[::1]"),
      Hook("https://open.feishu.cn:8443"),
      Hook("https://open.feishu.cn:443@evil.example"),
      Hook("https://user:password@open.feishu.cn"),
      Hook("https://open.feishu.cn@evil.example"),
      Hook("https://evil.example\\@open.feishu.cn"),
      Hook("https://open.feishu.cn\t"),
      Hook("ftp://open.feishu.cn"),
      Hook("//open.feishu.cn"),
      Hook("https:/open.feishu.cn"),
      Hook("https://open。feishu.cn"),
      "https://open.feishu.cn",
      "https://open.feishu.cn/",
      "https://open.feishu.cn/open-apis/bot/v2/hook/",
      "https://open.feishu.cn/open-apis/bot/v2/hook/a/b",
      "https://open.feishu.cn/open-apis/bot/v2/hook/../x",
      "https://open.feishu.cn/open-apis/bot/v2/hook/a%2fb",
      "https://open.feishu.cn/open-apis/bot/v1/hook/" + std::string(kToken),
      Hook("https://open.feishu.cn") + "?a=b",
      Hook("https://open.feishu.cn") + "?",
      Hook("https://open.feishu.cn") + "#f",
      Hook("https://open.feishu.cn") + "\r\nX: y",
      Hook(" https://open.feishu.cn"),
      "https://open.feishu.cn/open-apis/bot/v2/hook/" + std::string(4000, 'a'),
      "nonsense",
  };
  for (const std::string& url : bad) EXPECT_THAT(Check(url), Not(IsEmpty())) << url;
}

TEST(FeishuBotSettingsTest, AFaultNamesTheKeyAndNeverTheValue) {
  for (const std::string& url : {Hook("http://evil.example:81") + "?q=1", Hook("https://user:hunter22@open.feishu.cn"),
                                 std::string("https://www.feishu.cn/flow/api/trigger-webhook/") + kToken}) {
    for (const std::string& fault : Check(url)) {
      EXPECT_THAT(fault, ::testing::StartsWith("webhook_url: "));
      EXPECT_THAT(fault, Not(HasSubstr(kToken)));
      EXPECT_THAT(fault, Not(HasSubstr("hunter22")));
    }
  }
  EXPECT_EQ(Check(Hook("http://evil.example:81") + "?q=1").size(), 4u) << "scheme, host, port and query, all at once";
}

TEST(FeishuBotSettingsTest, AFlowsAddressIsRecognised) {
  EXPECT_THAT(Check(std::string("https://www.feishu.cn/flow/api/trigger-webhook/") + kToken),
              ElementsAre(HasSubstr("Feishu flow")));
  EXPECT_THAT(Check(std::string("https://www.feishu.cn/flow/api/trigger-webhook/") + kToken, true),
              ElementsAre(HasSubstr("Feishu flow")));
}

TEST(FeishuBotSettingsTest, InsecureTargetsStillNeedTheBotsPath) {
  EXPECT_THAT(Check(Hook("http://127.0.0.1:8123"), true), IsEmpty());
  EXPECT_THAT(Check(Hook("http://[::1]:8123"), true), IsEmpty());
  EXPECT_THAT(Check("http://127.0.0.1:8123/hook", true), Not(IsEmpty()));
  EXPECT_THAT(Check(Hook("http://a:b@127.0.0.1:8123"), true), Not(IsEmpty()));
  EXPECT_THAT(Check(Hook("http://127.0.0.1:8123") + "?x", true), Not(IsEmpty()));
}

TEST(FeishuBotSettingsTest, AMissingAddressIsAFault) { EXPECT_THAT(Check(""), ElementsAre("webhook_url: is missing")); }

TEST(FeishuBotSettingsTest, ASecretWithALineBreakIsAFault) {
  EXPECT_THAT(Check(Hook("https://open.feishu.cn"), false, "demo\n"), ElementsAre(HasSubstr("secret: ")));
}

}  // namespace
}  // namespace outrider::providers
