// Reads its clocks for ever, while several threads wait on every clock that there is to wait on. Each line on stdout:
// wall clock and monotonic clock in microseconds; then of those that wait on the monotonic clock and of those that wait
// on the wall clock: waits so far of the slowest, shortest wait of all in microseconds.
#include <fmt/format.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr std::chrono::milliseconds kWait{5};

void WaitByCondition(const std::function<void(std::condition_variable&, std::unique_lock<std::mutex>&)>& wait) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  wait(never, lock);
}

// What C libraries do, librdkafka among them.
void WaitByMonotonicCondition() {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_t never;
  pthread_cond_init(&never, &attributes);
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  timespec until{};
  clock_gettime(CLOCK_MONOTONIC, &until);
  const auto nanoseconds = until.tv_nsec + std::chrono::nanoseconds(kWait).count();
  until.tv_sec += nanoseconds / 1'000'000'000;
  until.tv_nsec = nanoseconds % 1'000'000'000;
  pthread_cond_timedwait(&never, &mutex, &until);
  pthread_mutex_unlock(&mutex);
  pthread_cond_destroy(&never);
}

struct Waiter {
  std::function<void()> wait;
  std::atomic<long> waits{0};
  std::atomic<long> shortest{1'000'000};
};

[[noreturn]] void WaitForEver(Waiter& waiter) {
  while (true) {
    const auto start = steady_clock::now();
    waiter.wait();
    const auto took = std::chrono::duration_cast<microseconds>(steady_clock::now() - start).count();
    waiter.shortest = std::min<long>(waiter.shortest, took);
    ++waiter.waits;
  }
}

std::string Summary(std::span<const Waiter> waiters) {
  long waits = waiters[0].waits;
  long shortest = waiters[0].shortest;
  for (const Waiter& waiter : waiters) {
    waits = std::min<long>(waits, waiter.waits);
    shortest = std::min<long>(shortest, waiter.shortest);
  }
  return fmt::format("{} {}", waits, shortest);
}

}  // namespace

int main() {
  std::array<Waiter, 3> monotonic;
  monotonic[0].wait = [] { WaitByCondition([](auto& never, auto& lock) { never.wait_for(lock, kWait); }); };
  monotonic[1].wait = WaitByMonotonicCondition;
  monotonic[2].wait = [] { std::this_thread::sleep_for(kWait); };
  std::array<Waiter, 2> wall;
  wall[0].wait = [] {
    WaitByCondition([](auto& never, auto& lock) { never.wait_until(lock, system_clock::now() + kWait); });
  };
  wall[1].wait = [] { std::this_thread::sleep_until(system_clock::now() + kWait); };

  std::vector<std::jthread> threads;
  for (Waiter& waiter : monotonic) threads.emplace_back([&waiter] { WaitForEver(waiter); });
  for (Waiter& waiter : wall) threads.emplace_back([&waiter] { WaitForEver(waiter); });
  while (true) {
    WaitByMonotonicCondition();
    // In this order, so that the wall clock was surely looked at after the time that the monotonic one shows.
    const auto passed = std::chrono::duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
    const auto time = std::chrono::duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
    fmt::print("{} {} {} {}\n", time, passed, Summary(monotonic), Summary(wall));
    std::fflush(stdout);
  }
}
