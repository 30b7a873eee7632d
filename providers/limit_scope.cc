#include "providers/limit_scope.h"

#include <fmt/format.h>

#include <utility>

namespace outrider::providers {

std::string_view ToString(LimitKind kind) {
  switch (kind) {
    case LimitKind::kChannel:
      return "channel";
    case LimitKind::kApp:
      return "app";
    case LimitKind::kTenant:
      return "tenant";
    case LimitKind::kRecipient:
      return "recipient";
  }
  return "";
}

LimitRule MakeLimitRule(LimitKind kind, std::string_view name, std::string shown, RateLimit rate) {
  LimitRule rule;
  rule.kind = kind;
  rule.key = Sha256(fmt::format("{}\n{}", ToString(kind), name));
  if (kind != LimitKind::kRecipient) rule.shown = std::move(shown);
  rule.rate = rate;
  return rule;
}

}  // namespace outrider::providers
