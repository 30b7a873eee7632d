// FakeClock: a clock that moves only when a test moves it.
//
// Wall time and steady time move together, but steady time never goes back: setting the wall clock back leaves it where
// it is, as an operator's correction does. Thread-safe; nobody is woken when time moves.
#pragma once

#include <algorithm>
#include <chrono>
#include <mutex>

#include "model/time.h"

namespace outrider {

class FakeClock final : public Clock {
 public:
  static constexpr Timestamp kDefaultStart = std::chrono::sys_days{std::chrono::year{2026} / 11 / 24};

  explicit FakeClock(Timestamp start = kDefaultStart) : now_(start) {}

  Timestamp Now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }

  std::chrono::steady_clock::time_point SteadyNow() const override {
    const std::lock_guard lock(mutex_);
    return steady_now_;
  }

  void Advance(std::chrono::microseconds by) {
    const std::lock_guard lock(mutex_);
    Move(by);
  }

  void Set(Timestamp now) {
    const std::lock_guard lock(mutex_);
    Move(now - now_);
  }

 private:
  void Move(std::chrono::microseconds by) {
    now_ += by;
    steady_now_ += std::max(by, std::chrono::microseconds{0});
  }

  mutable std::mutex mutex_;
  Timestamp now_;
  // Not zero, which code may take for "never".
  std::chrono::steady_clock::time_point steady_now_{std::chrono::hours{1}};
};

}  // namespace outrider
