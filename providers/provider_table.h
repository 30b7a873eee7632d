// The vendors there are: adding one is one file, one table of codes, one line here.
// Pure; no registration at static-initialisation time.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "providers/channel.h"
#include "providers/provider.h"

namespace outrider::providers {

struct SettingInfo {
  std::string_view key;  // in the configuration; a secret one also takes `<key>_file`
  bool required = false;
  bool secret = false;
};

struct ProviderInfo {
  std::string_view name;
  std::span<const SettingInfo> settings;
  RateLimit default_rate;            // the vendor's own limits
  RateLimit default_recipient_rate;  // of each of its recipients
  std::string_view address_setting;  // what the vendor counts by; empty: each channel for itself
  bool avoids_full_hours = false;    // the vendor asks for it, so low priority does by default
  bool has_send_key = false;         // requests carry a key of ours, by which the vendor dedupes
  // Where the vendor's pages don't say that it does: whether the channel's settings do. Null: has_send_key holds.
  bool (*trusts_send_key)(const ChannelSettings& channel) = nullptr;
  bool can_reconcile = false;  // the vendor can be asked whether it took a send key
  OnUncertain default_on_uncertain = OnUncertain::kRetry;
  // Faults in `settings` as sentences; empty when usable. Never shows a secret's value.
  std::vector<std::string> (*check)(const ChannelSettings& channel);
  std::unique_ptr<Provider> (*make)(const ChannelSettings& channel);  // REQUIRES: check found nothing
};

std::span<const ProviderInfo> AllProviders();
const ProviderInfo* FindProvider(std::string_view name);

}  // namespace outrider::providers
