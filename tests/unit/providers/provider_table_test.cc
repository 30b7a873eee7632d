#include "providers/provider_table.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace outrider::providers {
namespace {

TEST(ProviderTableTest, EveryProviderHasANameOfItsOwnThatSuitsALabel) {
  std::set<std::string> names;
  for (const ProviderInfo& info : AllProviders()) {
    EXPECT_TRUE(names.emplace(info.name).second) << info.name;
    for (const char c : info.name) EXPECT_TRUE((c >= 'a' && c <= 'z') || c == '_') << info.name;
    EXPECT_LE(info.name.size(), 32u) << "the record's column";
    EXPECT_EQ(FindProvider(info.name), &info);
  }
  EXPECT_EQ(names, (std::set<std::string>{"feishu_app", "feishu_batch", "feishu_bot", "feishu_flow", "dingtalk_robot",
                                          "wecom_app", "wecom_robot", "slack_webhook", "mock"}));
}

TEST(ProviderTableTest, AnUnknownNameIsNothing) {
  EXPECT_EQ(FindProvider(""), nullptr);
  EXPECT_EQ(FindProvider("Feishu_bot"), nullptr);
}

TEST(ProviderTableTest, WhatIsMadeCarriesTheTablesName) {
  ChannelSettings channel;
  channel.settings.emplace("webhook_url", Secret("https://open.feishu.cn/open-apis/bot/v2/hook/t"));
  for (const ProviderInfo& info : AllProviders()) EXPECT_EQ(info.make(channel)->name(), info.name);
}

TEST(ProviderTableTest, TheBotsLimitsAreTheVendorsAndItsCredentialsAreSecret) {
  const ProviderInfo* bot = FindProvider("feishu_bot");
  ASSERT_NE(bot, nullptr);
  EXPECT_EQ(bot->default_rate, (RateLimit{5, 100}));
  EXPECT_FALSE(bot->has_send_key);
  EXPECT_EQ(bot->default_on_uncertain, OnUncertain::kRetry);
  for (const SettingInfo& setting : bot->settings) EXPECT_TRUE(setting.secret) << setting.key;
}

}  // namespace
}  // namespace outrider::providers
