// A channel: where notifications of one code go, and under which rules. A value; filled by the configuration.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "model/delivery_status.h"
#include "model/retry_policy.h"
#include "model/secret.h"

namespace outrider::providers {

// Zero: no such limit.
struct RateLimit {
  int per_second = 0;
  int per_minute = 0;
  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

enum class OnUncertain {
  kRetry,  // twice is better than never
  kHold,   // a person decides: dead, reason "uncertain"
};

// What the end of an ordering key's head means for those behind it, when that end is `dead`.
enum class OnDeadHead {
  kSkip,   // they go on without it
  kBlock,  // they wait until a person replays or discards it
};

// Of each tenant, over all channels.
struct TenantRates {
  RateLimit each;  // of those that have none of their own
  std::map<std::string, RateLimit> special;
  friend bool operator==(const TenantRates&, const TenantRates&) = default;
};

struct ChannelSettings {
  std::string code;
  std::string provider;  // a name of the table (providers/provider_table.h)
  bool enabled = true;
  std::string disabled_reason = "channel_disabled";  // of records that are skipped because it isn't enabled
  std::map<std::string, Secret> settings;            // the provider's own keys, as its ProviderInfo lists them
  RateLimit rate;
  std::string rate_group;      // channels with the same one share a limit beside their own; empty: none
  RateLimit group_rate;        // of the group
  RateLimit recipient_rate;    // of each recipient
  bool quiet_minutes = false;  // low priority keeps away from full and half hours
  RetryPolicy retry;
  OnUncertain on_uncertain = OnUncertain::kRetry;
  OnDeadHead ordering = OnDeadHead::kSkip;
  std::set<DeliveryStatus> reopen;      // finished states that a different event with the same key re-opens
  bool allow_insecure_targets = false;  // plain http and private addresses as targets: for tests

  // One of the provider's own keys in clear; `fallback` where it isn't set.
  std::string Setting(std::string_view key, std::string_view fallback = "") const;
  friend bool operator==(const ChannelSettings&, const ChannelSettings&) = default;
};

}  // namespace outrider::providers
