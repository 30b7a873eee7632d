// LimitScope: what a limit is about: a bot, the channels of one app, a tenant, a recipient. A value.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "model/digest.h"
#include "providers/channel.h"

namespace outrider::providers {

enum class LimitKind { kChannel, kApp, kTenant, kRecipient };
inline constexpr std::array kLimitKinds = {LimitKind::kChannel, LimitKind::kApp, LimitKind::kTenant,
                                           LimitKind::kRecipient};
std::string_view ToString(LimitKind kind);

// One limit and what it allows. All processes with the same configuration have the same key for it.
struct LimitRule {
  LimitKind kind = LimitKind::kChannel;
  Digest key{};
  std::string shown;  // for people; a recipient's is never kept
  RateLimit rate;
};

// Only some of a channel's messages fall under it.
inline bool IsNarrow(const LimitRule& rule) {
  return rule.kind == LimitKind::kTenant || rule.kind == LimitKind::kRecipient;
}

LimitRule MakeLimitRule(LimitKind kind, std::string_view name, std::string shown, RateLimit rate);

}  // namespace outrider::providers
