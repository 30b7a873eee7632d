#include "outbox/routes.h"

#include <fmt/format.h>

#include <algorithm>

#include "outbox/event_sink.h"

namespace outrider::outbox {
namespace {

constexpr std::size_t kMaxTopicLength = 249;

bool IsTopicCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

}  // namespace

std::string TopicFault(std::string_view topic) {
  if (topic.empty()) return "is empty";
  if (topic == "." || topic == "..") return "may not be \".\" or \"..\"";
  if (topic.size() > kMaxTopicLength) return fmt::format("has more than {} characters", kMaxTopicLength);
  if (!std::ranges::all_of(topic, IsTopicCharacter)) {
    return "has another character than a-z, A-Z, 0-9, '.', '_' and '-'";
  }
  return "";
}

Result<void> FindTopic(const Routes& routes, std::string_view aggregatetype, std::string& topic) {
  const auto refuse = [](PoisonReason reason, std::string why) {
    return Fail(ErrorCode::kInvalid, std::move(why), static_cast<int>(reason));
  };
  if (const auto route = routes.topics.find(aggregatetype); route != routes.topics.end()) {
    topic = route->second;
    return {};
  }
  if (routes.only) {
    return refuse(PoisonReason::kTopicNotAllowed,
                  "no route is configured for its aggregatetype, and routes_only leaves out all others");
  }
  if (aggregatetype.empty()) {
    return refuse(PoisonReason::kIllegalTopic, "aggregatetype is empty, so the row has no topic");
  }
  topic.assign(kTopicPrefix).append(aggregatetype);
  if (const std::string fault = TopicFault(topic); !fault.empty()) {
    return refuse(PoisonReason::kIllegalTopic,
                  fmt::format("aggregatetype doesn't make a legal topic name: with the prefix it {}", fault));
  }
  return {};
}

}  // namespace outrider::outbox
