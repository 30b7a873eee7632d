#include "tests/support/fake_im/endpoint.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

namespace outrider::fake_im {

bool IsOverRate(Robot& robot, Timestamp now) {
  while (!robot.taken.empty() && now - robot.taken.front() >= std::chrono::minutes{1}) robot.taken.pop_front();
  const auto inside = [&](std::chrono::microseconds window) {
    return std::ranges::count_if(robot.taken, [&](Timestamp time) { return now - time < window; });
  };
  const BotSettings& limits = robot.settings;
  return (limits.per_second > 0 && inside(std::chrono::seconds{1}) >= limits.per_second) ||
         (limits.per_minute > 0 && inside(std::chrono::minutes{1}) >= limits.per_minute);
}

bool HasKeyword(const BotSettings& settings, std::string_view text) {
  return settings.keywords.empty() || std::ranges::any_of(settings.keywords, [&](const std::string& keyword) {
           return text.find(keyword) != std::string_view::npos;
         });
}

std::string Parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (!pair.starts_with(name) || pair.substr(name.size(), 1) != "=") continue;
    const std::string_view value = pair.substr(name.size() + 1);
    std::string decoded;
    for (std::size_t at = 0; at < value.size(); ++at) {
      int byte = 0;
      const bool escaped =
          value[at] == '%' && at + 2 < value.size() &&
          std::from_chars(value.data() + at + 1, value.data() + at + 3, byte, 16).ptr == value.data() + at + 3;
      decoded += escaped ? static_cast<char>(byte) : value[at] == '+' ? ' ' : value[at];
      if (escaped) at += 2;
    }
    return decoded;
  }
  return {};
}

void Deliver(const Call& call, const Robot& robot, std::string msg_type, std::string text,
             std::vector<Delivery>& deliveries) {
  Delivery delivery;
  delivery.sequence = deliveries.size() + 1;
  delivery.time = call.now;
  delivery.token = robot.settings.token;
  delivery.msg_type = std::move(msg_type);
  delivery.text = std::move(text);
  delivery.body = call.body;
  deliveries.push_back(std::move(delivery));
}

Answer ErrcodeAnswer(std::int64_t code, std::string_view text) {
  Answer answer;
  answer.body = nlohmann::json{{"errcode", code}, {"errmsg", text}}.dump(-1, ' ', false,
                                                                         nlohmann::json::error_handler_t::replace);
  return answer;
}

}  // namespace outrider::fake_im
