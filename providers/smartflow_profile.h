// The profile `smartflow`: retries and reasons as SmartFlow's notification service has them. Pure.
#pragma once

#include <chrono>

#include "providers/channel.h"

namespace outrider::providers {

inline void ApplySmartFlowProfile(ChannelSettings& channel) {
  channel.retry = RetryPolicy{};
  channel.retry.max_attempts = 5;
  channel.retry.base = std::chrono::minutes{5};
  channel.retry.max = std::chrono::minutes{30};
  channel.retry.jitter = 0;
  channel.disabled_reason = "recipient_missing";
}

}  // namespace outrider::providers
