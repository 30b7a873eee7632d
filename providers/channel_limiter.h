// ChannelLimiter: how many messages a channel may send, as exact sliding windows of one second and of one minute.
//
// No window of one second, and none of one minute, wherever it begins, holds more messages than the limit, as the
// vendor sees them: a place counts from the moment it is taken until a whole window after its message was answered,
// because somewhere between the two the vendor counted it. (A token bucket would let twice the limit through around a
// refill, and so would a window over the moments at which places are taken, when some messages travel longer than
// others.) A vendor's own "not before" closes it for everybody.
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

  struct Outlook {
    std::size_t places = 0;             // that TakePlace() would give now
    std::chrono::milliseconds wait{0};  // when there are none: not sooner than this
  };

  explicit ChannelLimiter(RateLimit limit);
  ChannelLimiter(const ChannelLimiter&) = delete;
  ChannelLimiter& operator=(const ChannelLimiter&) = delete;

  Outlook Look(Time now);
  // Zero when a place was taken; else how long to wait before asking again (nothing was taken then). Each place that
  // was taken ends with exactly one of UsePlace() and GivePlaceBack().
  std::chrono::milliseconds TakePlace(Time now);
  void UsePlace(Time now);  // its message was answered, or given up on the way
  void GivePlaceBack();     // nothing left
  // No place before `until`; the later of two closures holds.
  void CloseUntil(Time until);
  // Places already given count against the new limit, as far as the old one made them be remembered.
  void SetLimit(RateLimit limit);

 private:
  Outlook LookLocked(Time now);

  std::mutex mutex_;
  RateLimit limit_;
  std::size_t open_ = 0;   // taken, and not ended yet
  std::deque<Time> used_;  // oldest first
  Time last_{};
  Time closed_until_{};
};

}  // namespace outrider::providers
