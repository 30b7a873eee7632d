#include "model/retry_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "model/time.h"

namespace outrider {
namespace {

using std::chrono::milliseconds;

milliseconds BackOff(const RetryPolicy& policy, int attempt) {
  if (!policy.schedule.empty()) {
    const auto index = static_cast<std::size_t>(attempt) - 1;
    return policy.schedule[std::min(index, policy.schedule.size() - 1)];
  }
  milliseconds delay = policy.base;
  for (int doubled = 1; doubled < attempt; ++doubled) {
    if (delay <= milliseconds{0} || delay > policy.max / 2) return policy.max;
    delay *= 2;
  }
  return std::min(delay, policy.max);
}

milliseconds WithJitter(milliseconds delay, double jitter, double random) {
  const double factor = 1 + jitter * (2 * std::clamp(random, 0.0, 1.0) - 1);
  const double product = std::round(static_cast<double>(delay.count()) * factor);
  // The largest number that both types can hold.
  constexpr double kMost = 9'223'372'036'854'774'784.0;
  return milliseconds{static_cast<milliseconds::rep>(std::clamp(product, 0.0, kMost))};
}

}  // namespace

std::vector<std::string> Validate(const RetryPolicy& policy) {
  std::vector<std::string> faults;
  if (policy.max_attempts < 1) {
    faults.push_back(fmt::format("max_attempts is {}; it must be at least 1", policy.max_attempts));
  }
  if (policy.base <= milliseconds{0}) {
    faults.push_back(fmt::format("base is {}; it must be longer than 0s", FormatDuration(policy.base)));
  }
  if (policy.max < policy.base) {
    faults.push_back(fmt::format("max is {}, below base, which is {}; raise max or lower base",
                                 FormatDuration(policy.max), FormatDuration(policy.base)));
  }
  if (!(policy.jitter >= 0 && policy.jitter <= 1)) {
    faults.push_back(fmt::format("jitter is {}; it must be from 0 to 1", policy.jitter));
  }
  for (std::size_t i = 0; i < policy.schedule.size(); ++i) {
    if (policy.schedule[i] > milliseconds{0}) continue;
    faults.push_back(
        fmt::format("schedule[{}] is {}; it must be longer than 0s", i, FormatDuration(policy.schedule[i])));
  }
  return faults;
}

milliseconds RetryDelay(const RetryPolicy& policy, int attempt, double random,
                        std::optional<milliseconds> retry_after) {
  const milliseconds delay = WithJitter(BackOff(policy, std::max(attempt, 1)), policy.jitter, random);
  return std::max(delay, std::min(retry_after.value_or(milliseconds{0}), kMaxRetryAfter));
}

}  // namespace outrider
