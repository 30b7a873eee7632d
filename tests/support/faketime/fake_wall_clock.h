// FakeWallClock: child processes whose wall clock is wrong, by a step or a drift, while their monotonic clock is true.
//
//   FakeWallClock clock(std::chrono::hours{1});
//   ChildProcess child({.command = {...}, .environment = clock.Environment()});
//   clock.Set(std::chrono::hours{-1});                  // the next look at the clock sees it
//
// By Debian's libfaketime, preloaded into the child and into what that starts; it works for dynamically linked C and
// C++ programs and for the JVM, not for Go. Timers and waits last as long as they should, on either clock, with one
// exception: pthread_mutex_timedlock on the wall clock. Times of files stay true.
//
// Threads: Set() and Drift() from any. Outlives its children, and removes what killed ones left in /dev/shm. Errors:
// std::runtime_error when libfaketime is missing.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "tests/support/process/temp_dir.h"

namespace outrider::testing {

class FakeWallClock final {
 public:
  explicit FakeWallClock(std::chrono::microseconds offset = {});
  ~FakeWallClock();
  FakeWallClock(const FakeWallClock&) = delete;
  FakeWallClock& operator=(const FakeWallClock&) = delete;

  // For ChildOptions::environment.
  std::map<std::string, std::string> Environment() const;

  // The children's wall clock is this much ahead of the true one (negative: behind). Ends a drift.
  void Set(std::chrono::microseconds offset);
  // The offset grows by so many seconds each second (negative: shrinks), in steps of 20 ms.
  void Drift(double seconds_per_second);
  std::chrono::microseconds offset() const;

 private:
  void Write(std::chrono::microseconds offset);
  void StopDrift();

  TempDir folder_;
  std::filesystem::path library_;
  mutable std::mutex mutex_;  // offset and file
  std::chrono::microseconds offset_{0};
  std::mutex drift_mutex_;
  std::jthread drift_;
};

}  // namespace outrider::testing
