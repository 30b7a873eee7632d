// When a failed notification is tried again.
//
// Exponential back-off with jitter, or an explicit list; a vendor's hint wins, clamped.
// Pure: the random number is a parameter.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace outrider {

struct RetryPolicy {
  int max_attempts = 5;
  std::chrono::milliseconds base = std::chrono::minutes{5};
  std::chrono::milliseconds max = std::chrono::minutes{30};
  double jitter = 0.2;                              // 0.2: the delay is multiplied by 0.8 .. 1.2
  std::vector<std::chrono::milliseconds> schedule;  // not empty: wait n is schedule[n - 1], the last one repeats
  friend bool operator==(const RetryPolicy&, const RetryPolicy&) = default;
};

// Hints above this are cut.
inline constexpr std::chrono::milliseconds kMaxRetryAfter = std::chrono::minutes{15};

// Every fault of the settings, as sentences that name both values (a maximum below the base is refused).
std::vector<std::string> Validate(const RetryPolicy& policy);

// Jitter comes after the maximum, so that waits at the maximum are spread too: with 0.2 the longest is 1.2 * max.
// The wait after attempt `attempt` (1 is the first; less counts as 1). `random` is in [0, 1); 0.5 means no jitter.
// A hint replaces the back-off when it is longer, and is clamped to kMaxRetryAfter.
std::chrono::milliseconds RetryDelay(const RetryPolicy& policy, int attempt, double random,
                                     std::optional<std::chrono::milliseconds> retry_after = std::nullopt);

}  // namespace outrider
