#include "providers/provider_table.h"

#include <array>

#include "providers/dingtalk_robot.h"
#include "providers/feishu_app.h"
#include "providers/feishu_batch.h"
#include "providers/feishu_bot.h"
#include "providers/feishu_flow.h"
#include "providers/mock.h"
#include "providers/slack_webhook.h"
#include "providers/wecom_app.h"
#include "providers/wecom_robot.h"

namespace outrider::providers {

std::span<const ProviderInfo> AllProviders() {
  static const std::array kProviders = {
      ProviderInfo{.name = FeishuApp::kName,
                   .settings = FeishuApp::Settings(),
                   .default_rate = {.per_second = 50, .per_minute = 1000},
                   // The vendor says five, and a chat's other bots use them too.
                   .default_recipient_rate = {.per_second = 4, .per_minute = 0},
                   .address_setting = "app_id",
                   .has_send_key = true,
                   .default_on_uncertain = OnUncertain::kHold,
                   .check = &FeishuApp::Check,
                   .make = &FeishuApp::Make},
      ProviderInfo{.name = FeishuBatch::kName,
                   .settings = FeishuBatch::Settings(),
                   .default_rate = {.per_second = 50, .per_minute = 1000},
                   .address_setting = "app_id",
                   .avoids_full_hours = false,
                   .has_send_key = false,
                   .default_on_uncertain = OnUncertain::kRetry,
                   .check = &FeishuBatch::Check,
                   .make = &FeishuBatch::Make},
      ProviderInfo{.name = FeishuBot::kName,
                   .settings = FeishuBot::Settings(),
                   .default_rate = {.per_second = 5, .per_minute = 100},
                   .address_setting = "webhook_url",
                   .avoids_full_hours = true,
                   .has_send_key = false,
                   .default_on_uncertain = OnUncertain::kRetry,
                   .check = &FeishuBot::Check,
                   .make = &FeishuBot::Make},
      ProviderInfo{.name = FeishuFlow::kName,
                   .settings = FeishuFlow::Settings(),
                   .default_rate = {},
                   .address_setting = "webhook_url",
                   .avoids_full_hours = false,
                   .has_send_key = false,
                   .default_on_uncertain = OnUncertain::kRetry,
                   .check = &FeishuFlow::Check,
                   .make = &FeishuFlow::Make},
      ProviderInfo{.name = DingtalkRobot::kName,
                   .settings = DingtalkRobot::Settings(),
                   .default_rate = {.per_second = 0, .per_minute = 20},
                   .address_setting = "webhook_url",
                   .has_send_key = true,
                   .trusts_send_key = &DingtalkRobot::TrustsSendKey,
                   .check = &DingtalkRobot::Check,
                   .make = &DingtalkRobot::Make},
      ProviderInfo{.name = WecomApp::kName,
                   .settings = WecomApp::Settings(),
                   .default_rate = {},
                   // What is more is dropped without a word.
                   .default_recipient_rate = {.per_second = 0, .per_minute = 30},
                   .address_setting = "corp_secret",
                   .avoids_full_hours = true,
                   .check = &WecomApp::Check,
                   .make = &WecomApp::Make},
      ProviderInfo{.name = WecomRobot::kName,
                   .settings = WecomRobot::Settings(),
                   .default_rate = {.per_second = 0, .per_minute = 20},
                   .address_setting = "webhook_url",
                   .check = &WecomRobot::Check,
                   .make = &WecomRobot::Make},
      ProviderInfo{.name = SlackWebhook::kName,
                   .settings = SlackWebhook::Settings(),
                   .default_rate = {.per_second = 1, .per_minute = 0},
                   .address_setting = "webhook_url",
                   .check = &SlackWebhook::Check,
                   .make = &SlackWebhook::Make},
      ProviderInfo{.name = MockProvider::kName,
                   .settings = MockProvider::Settings(),
                   .default_rate = {},
                   .address_setting = "",
                   .avoids_full_hours = false,
                   .has_send_key = true,
                   .can_reconcile = true,
                   .default_on_uncertain = OnUncertain::kRetry,
                   .check = &MockProvider::Check,
                   .make = &MockProvider::Make},
  };
  return kProviders;
}

const ProviderInfo* FindProvider(std::string_view name) {
  for (const ProviderInfo& info : AllProviders()) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

}  // namespace outrider::providers
