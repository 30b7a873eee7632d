#include "providers/channel_limiter.h"

#include <algorithm>

namespace outrider::providers {
namespace {

constexpr ChannelLimiter::Time::duration kSecond = std::chrono::seconds{1};
constexpr ChannelLimiter::Time::duration kMinute = std::chrono::minutes{1};

// The first moment at which one more place keeps every window of that length within `limit`.
ChannelLimiter::Time FirstMoment(const std::deque<ChannelLimiter::Time>& places, int limit,
                                 ChannelLimiter::Time::duration window) {
  const auto count = static_cast<std::size_t>(std::max(limit, 0));
  if (count == 0 || places.size() < count) return ChannelLimiter::Time::min();
  // One tick more: both ends of a window belong to it, so that no vendor's way of counting sees one too many.
  return places[places.size() - count] + window + ChannelLimiter::Time::duration{1};
}

}  // namespace

ChannelLimiter::ChannelLimiter(RateLimit limit) : limit_(limit), last_(Time::min()), closed_until_(Time::min()) {}

std::chrono::milliseconds ChannelLimiter::TakePlace(Time now) {
  const std::lock_guard lock(mutex_);
  now = std::max(now, last_);
  last_ = now;
  const Time open = std::max({closed_until_, FirstMoment(places_, limit_.per_second, kSecond),
                              FirstMoment(places_, limit_.per_minute, kMinute)});
  if (open > now) return std::chrono::ceil<std::chrono::milliseconds>(open - now);
  places_.push_back(now);
  const auto remembered = static_cast<std::size_t>(std::max({limit_.per_second, limit_.per_minute, 0}));
  while (places_.size() > remembered) places_.pop_front();
  return std::chrono::milliseconds{0};
}

void ChannelLimiter::CloseUntil(Time until) {
  const std::lock_guard lock(mutex_);
  closed_until_ = std::max(closed_until_, until);
}

void ChannelLimiter::SetLimit(RateLimit limit) {
  const std::lock_guard lock(mutex_);
  limit_ = limit;
}

}  // namespace outrider::providers
