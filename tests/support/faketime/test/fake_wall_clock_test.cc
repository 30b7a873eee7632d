#include "tests/support/faketime/fake_wall_clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>

#include "tests/support/process/child_process.h"
#include "tests/support/process/wait_until.h"

namespace outrider::testing {
namespace {

using std::chrono::duration_cast;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

microseconds Monotonic() { return duration_cast<microseconds>(steady_clock::now().time_since_epoch()); }

// How far this program's wall clock is ahead of the monotonic one; a child with a wrong wall clock sees another
// distance.
microseconds TrueDistance() {
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()) - Monotonic();
}

struct Waits {
  long count = 0;            // of the slowest waiter
  microseconds shortest{0};  // of all
};

struct Reading {
  microseconds offset;     // of the child's wall clock from the true one
  microseconds monotonic;  // the child's
  Waits on_monotonic;
  Waits on_wall;
};

class ClockReader {
 public:
  explicit ClockReader(const FakeWallClock& clock)
      : process_({.command = {CLOCK_READER}, .environment = clock.Environment()}) {}

  // What the child saw at a moment that lies wholly after this call began.
  Reading Read() {
    const microseconds now = Monotonic();
    std::optional<Reading> reading;
    const bool read = WaitUntil([&] {
      reading = Last();
      return reading && reading->monotonic > now;
    });
    if (!read) throw std::runtime_error("the child says nothing: " + process_.Stderr());
    return *reading;
  }
  ChildProcess& process() { return process_; }

 private:
  std::optional<Reading> Last() const {
    const std::string text = process_.Stdout();
    const std::size_t end = text.rfind('\n');
    if (end == std::string::npos) return std::nullopt;
    const std::size_t before = text.rfind('\n', end - 1);
    std::istringstream line(text.substr(before == std::string::npos ? 0 : before + 1, end));
    std::int64_t wall = 0, monotonic = 0, shortest_on_monotonic = 0, shortest_on_wall = 0;
    Waits on_monotonic, on_wall;
    line >> wall >> monotonic >> on_monotonic.count >> shortest_on_monotonic >> on_wall.count >> shortest_on_wall;
    on_monotonic.shortest = microseconds(shortest_on_monotonic);
    on_wall.shortest = microseconds(shortest_on_wall);
    return Reading{microseconds(wall - monotonic) - TrueDistance(), microseconds(monotonic), on_monotonic, on_wall};
  }

  ChildProcess process_;
};

// The child may be put aside between its looks at its two clocks.
::testing::AssertionResult Near(microseconds offset, microseconds expected) {
  if (offset > expected - milliseconds{500} && offset < expected + milliseconds{500}) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << offset.count() << " us, not " << expected.count() << " us";
}

TEST(FakeWallClockTest, ShiftsTheWallClockAndLeavesTheMonotonicOneTrue) {
  for (const microseconds offset : {microseconds{0}, microseconds{hours{1}}, -microseconds{milliseconds{3'601'500}}}) {
    const FakeWallClock clock(offset);
    ClockReader child(clock);
    const microseconds before = Monotonic();
    const Reading reading = child.Read();
    EXPECT_TRUE(Near(reading.offset, offset));
    EXPECT_GT(reading.monotonic, before);
    EXPECT_LT(reading.monotonic, Monotonic());
  }
}

TEST(FakeWallClockTest, StepsWhileTheChildRuns) {
  FakeWallClock clock;
  ClockReader child(clock);
  for (const microseconds offset : {microseconds{hours{1}}, microseconds{-hours{1}}, microseconds{0}}) {
    clock.Set(offset);
    EXPECT_EQ(clock.offset(), offset);
    EXPECT_TRUE(Near(child.Read().offset, offset));
  }
}

TEST(FakeWallClockTest, WaitsOfManyThreadsLastAsLongAsTheyShould) {
  const FakeWallClock clock(hours{1});
  ClockReader child(clock);
  ASSERT_TRUE(WaitUntil([&] {
    const Reading reading = child.Read();
    return reading.on_monotonic.count > 10 && reading.on_wall.count > 10;
  })) << "a waiter is stuck";
  EXPECT_GE(child.Read().on_monotonic.shortest, milliseconds{4});
  EXPECT_GE(child.Read().on_wall.shortest, milliseconds{4});
}

TEST(FakeWallClockTest, StepsDoNotDisturbWaitsOnTheMonotonicClock) {
  FakeWallClock clock(hours{1});
  ClockReader child(clock);
  for (const microseconds offset : {microseconds{-hours{1}}, microseconds{hours{2}}, microseconds{0}}) {
    const long waits = child.Read().on_monotonic.count;
    clock.Set(offset);
    ASSERT_TRUE(WaitUntil([&] { return child.Read().on_monotonic.count > waits + 10; })) << "a waiter is stuck";
  }
  EXPECT_GE(child.Read().on_monotonic.shortest, milliseconds{4});
}

TEST(FakeWallClockTest, DriftsUntilItIsSet) {
  FakeWallClock clock(hours{1});
  ClockReader child(clock);
  clock.Drift(10.0);
  const microseconds start = child.Read().offset;
  ASSERT_TRUE(WaitUntil([&] { return child.Read().offset > start + seconds{2}; }));
  const Reading one = child.Read();
  ASSERT_TRUE(WaitUntil([&] { return child.Read().monotonic > one.monotonic + milliseconds{300}; }));
  const Reading two = child.Read();
  const double passed = static_cast<double>((two.monotonic - one.monotonic).count());
  EXPECT_NEAR(static_cast<double>((two.offset - one.offset).count()) / passed, 10.0, 3.0);
  clock.Drift(-10.0);
  ASSERT_TRUE(WaitUntil([&] { return child.Read().offset < two.offset - seconds{1}; }));
  clock.Set(hours{1});
  EXPECT_TRUE(Near(child.Read().offset, hours{1}));
  const long waits = child.Read().on_monotonic.count;
  ASSERT_TRUE(WaitUntil([&] { return child.Read().on_monotonic.count > waits + 10; })) << "a waiter is stuck";
}

TEST(FakeWallClockTest, LeavesNothingBehindOfAKilledChild) {
  std::string pid;
  const auto left = [&] {
    return std::filesystem::exists("/dev/shm/faketime_shm_" + pid) ||
           std::filesystem::exists("/dev/shm/sem.faketime_sem_" + pid);
  };
  {
    const FakeWallClock clock(hours{1});
    ClockReader child(clock);
    child.Read();
    pid = std::to_string(child.process().pid());
    child.process().Kill();
    EXPECT_TRUE(left());
  }
  EXPECT_FALSE(left());
}

}  // namespace
}  // namespace outrider::testing
