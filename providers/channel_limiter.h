// ChannelLimiter: how many messages a channel may send, as exact sliding windows of one second and of one minute.
//
// No window of one second, and none of one minute, wherever it begins, holds more places than the limit: place n is
// given only when place n - per_second is more than a second old and place n - per_minute more than a minute. (A token
// bucket would let twice the limit through around a refill.) A vendor's own "not before" closes it for everybody.
//
// Threads: safe from several; the clock is a parameter, and a time before the last one counts as the last one.
// Remembers as many places as the larger limit, so memory is bounded by the configuration. Lost on a crash: a new
// process starts with an empty window.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <mutex>

#include "providers/channel.h"

namespace outrider::providers {

class ChannelLimiter final {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit ChannelLimiter(RateLimit limit);
  ChannelLimiter(const ChannelLimiter&) = delete;
  ChannelLimiter& operator=(const ChannelLimiter&) = delete;

  // Zero when a place was taken; else how long to wait before asking again (nothing was taken then).
  std::chrono::milliseconds TakePlace(Time now);
  // No place before `until`; the later of two closures holds.
  void CloseUntil(Time until);
  // Places already given count against the new limit, as far as the old one made them be remembered.
  void SetLimit(RateLimit limit);

 private:
  std::mutex mutex_;
  RateLimit limit_;
  std::deque<Time> places_;  // oldest first
  Time last_{};
  Time closed_until_{};
};

}  // namespace outrider::providers
