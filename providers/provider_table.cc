#include "providers/provider_table.h"

#include <array>

#include "providers/feishu_bot.h"
#include "providers/feishu_flow.h"
#include "providers/mock.h"

namespace outrider::providers {

std::span<const ProviderInfo> AllProviders() {
  static const std::array kProviders = {
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
