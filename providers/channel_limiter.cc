#include "providers/channel_limiter.h"

#include <algorithm>
#include <limits>

namespace outrider::providers {
namespace {

using Time = ChannelLimiter::Time;

constexpr Time::duration kSecond = std::chrono::seconds{1};
constexpr Time::duration kMinute = std::chrono::minutes{1};

// One tick more than the window: both ends belong to it, so that no vendor's way of counting sees one too many.
Time Forgotten(Time used, Time::duration window) { return used + window + Time::duration{1}; }

// What one window allows: the places that are left, and the first moment at which one more may be given.
struct Allowance {
  std::size_t places = std::numeric_limits<std::size_t>::max();
  Time open = Time::min();
};

Allowance Allow(const std::deque<Time>& used, std::size_t open, int limit, Time::duration window, Time now) {
  if (limit <= 0) return {};
  const auto most = static_cast<std::size_t>(limit);
  const auto counted = std::find_if(used.begin(), used.end(), [&](Time at) { return Forgotten(at, window) > now; });
  const std::size_t taken = open + static_cast<std::size_t>(used.end() - counted);
  if (taken < most) return {most - taken, Time::min()};
  // What is open counts at least until now.
  if (open >= most) return {0, Forgotten(now, window)};
  return {0, Forgotten(used[used.size() - (most - open)], window)};
}

}  // namespace

ChannelLimiter::ChannelLimiter(RateLimit limit) : limit_(limit), last_(Time::min()), closed_until_(Time::min()) {}

ChannelLimiter::Outlook ChannelLimiter::LookLocked(Time now) {
  now = std::max(now, last_);
  last_ = now;
  const Allowance second = Allow(used_, open_, limit_.per_second, kSecond, now);
  const Allowance minute = Allow(used_, open_, limit_.per_minute, kMinute, now);
  const Time open = std::max({closed_until_, second.open, minute.open});
  if (open > now) return {0, std::chrono::ceil<std::chrono::milliseconds>(open - now)};
  return {std::min(second.places, minute.places), std::chrono::milliseconds{0}};
}

ChannelLimiter::Outlook ChannelLimiter::Look(Time now) {
  const std::lock_guard lock(mutex_);
  return LookLocked(now);
}

std::chrono::milliseconds ChannelLimiter::TakePlace(Time now) {
  const std::lock_guard lock(mutex_);
  const Outlook outlook = LookLocked(now);
  if (outlook.places > 0) ++open_;
  return outlook.wait;
}

void ChannelLimiter::UsePlace(Time now) {
  const std::lock_guard lock(mutex_);
  if (open_ > 0) --open_;
  last_ = std::max(now, last_);
  used_.push_back(last_);
  const auto remembered = static_cast<std::size_t>(std::max({limit_.per_second, limit_.per_minute, 0}));
  while (used_.size() > remembered) used_.pop_front();
}

void ChannelLimiter::GivePlaceBack() {
  const std::lock_guard lock(mutex_);
  if (open_ > 0) --open_;
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
