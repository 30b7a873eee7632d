// One limit that several processes share: whatever crashes, pauses, clocks, demands and lost answers there are, no
// window that the vendor sees holds more than the limit; and when nothing goes wrong, little of it is lost.
#include "providers/shared_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "providers/rate_share.h"

namespace outrider::providers {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using Time = RateShare::Time;

constexpr milliseconds kLease{3'000};
constexpr milliseconds kDeadline{2'000};

std::size_t MostInAnyWindow(std::vector<microseconds> seen, microseconds window) {
  std::ranges::sort(seen);
  std::size_t most = 0;
  for (std::size_t first = 0, last = 0; first < seen.size(); ++first) {
    while (last < seen.size() && seen[last] - seen[first] <= window) ++last;
    most = std::max(most, last - first);
  }
  return most;
}

// The row, as a database keeps it: text, and a write that counts only if nobody wrote before.
class Table {
 public:
  std::optional<SharedLimit> Read(std::uint64_t known) const {
    if (row_.version == known) return std::nullopt;
    SharedLimit row = row_;
    EXPECT_TRUE(SharesFromJson(text_, row));
    return row;
  }
  bool Write(const SharedLimit& row, std::uint64_t known) {
    if (row_.version != known) return false;
    row_ = row;
    text_ = SharesToJson(row);
    return true;
  }

 private:
  SharedLimit row_;
  std::string text_ = R"({"holders":[],"debts":[]})";
};

struct Message {
  std::uint64_t epoch = 0;
  std::optional<microseconds> seen;  // by the vendor; nothing: it hasn't left
};

// A process, whose clock started anywhere and runs a little wrong.
struct Process {
  Process(std::string the_name, RateLimit limit, microseconds the_offset, int parts)
      : name(std::move(the_name)), share(limit, true), offset(the_offset), parts_per_million(parts) {}

  Time Now(microseconds real) const {
    return Time{} + std::chrono::hours{10} + offset + real + real * parts_per_million / 1'000'000;
  }

  std::string name;
  RateShare share;
  microseconds offset;
  int parts_per_million;
  std::vector<Message> messages;
  // A visit of the keeper, step by step.
  enum class Step { kIdle, kAsked, kRead, kPlanned } step = Step::kIdle;
  Time asked_at{};
  Timestamp row_now{};
  std::uint64_t known = 0;
  std::optional<SharedLimit> read;
  std::optional<SharedLimit> planned;
};

class World {
 public:
  explicit World(RateLimit limit) : limit_(limit) {}

  void AddProcess(microseconds offset, int parts) {
    processes_.push_back(std::make_unique<Process>("p" + std::to_string(++names_), limit_, offset, parts));
  }
  std::size_t processes() const { return processes_.size(); }
  void Pass(microseconds time) { real_ += time; }
  microseconds real() const { return real_; }
  const std::vector<microseconds>& seen() const { return seen_; }

  void Crash(std::size_t at) {
    const microseconds offset = processes_[at]->offset + seconds{77};
    processes_[at] = std::make_unique<Process>("p" + std::to_string(++names_), limit_, offset, 0);
  }
  void Wait(std::size_t at) { At(at).share.Press(Now(at), milliseconds{0}); }
  bool Take(std::size_t at) {
    RateShare& share = At(at).share;
    share.Touch(Now(at));
    if (!share.IsHeld(Now(at)) || share.Look(Now(at)).places == 0) return false;
    At(at).messages.push_back({share.Take(Now(at)), std::nullopt});
    return true;
  }
  // The oldest message that hasn't left leaves, to be seen `travel` later; false: it may not.
  bool Leave(std::size_t at, microseconds travel) {
    auto& messages = At(at).messages;
    const auto message = std::ranges::find_if(messages, [](const Message& waiting) { return !waiting.seen; });
    if (message == messages.end()) return false;
    if (!At(at).share.MayLeave(message->epoch, Now(at))) {
      messages.erase(message);
      At(at).share.GiveBack();
      return false;
    }
    message->seen = real_ + travel;
    seen_.push_back(*message->seen);
    return true;
  }
  void Answer(std::size_t at) {
    std::erase_if(At(at).messages, [&](const Message& message) {
      if (!message.seen || *message.seen > real_) return false;
      At(at).share.Use(Now(at));
      return true;
    });
  }
  bool IsDue(std::size_t at) { return At(at).share.Due(Now(at)) <= Now(at); }
  // One step of a visit. `luck`: what becomes of a write.
  void Visit(std::size_t at, int luck) {
    Process& process = At(at);
    switch (process.step) {
      case Process::Step::kIdle:
        process.asked_at = Now(at);
        process.known = process.share.known_version();
        process.step = Process::Step::kAsked;
        return;
      case Process::Step::kAsked:
        process.row_now = kStart + real_;
        process.read = table_.Read(process.known);
        process.step = Process::Step::kRead;
        return;
      case Process::Step::kRead: {
        const RateShare::Terms terms{process.name, kLease, kDeadline, process.asked_at, process.row_now};
        const std::uint64_t before = process.read ? process.read->version : process.known;
        process.planned = process.share.Plan(process.read ? &*process.read : nullptr, terms, Now(at));
        process.known = before;
        process.step = process.planned ? Process::Step::kPlanned : Process::Step::kIdle;
        return;
      }
      case Process::Step::kPlanned: {
        process.step = Process::Step::kIdle;
        if (luck == 1) {  // it never came to the database
          process.share.Finish(RateShare::Written::kUnknown, Now(at));
          return;
        }
        const bool written = table_.Write(*process.planned, process.known);
        if (luck == 2) {
          process.share.Finish(RateShare::Written::kUnknown, Now(at));
        } else {
          process.share.Finish(written ? RateShare::Written::kYes : RateShare::Written::kNo, Now(at));
        }
        return;
      }
    }
  }
  void VisitWhole(std::size_t at) {
    do {
      Visit(at, 0);
    } while (At(at).step != Process::Step::kIdle);
  }

 private:
  static constexpr Timestamp kStart = std::chrono::sys_days{std::chrono::year{2026} / 11 / 24};
  Process& At(std::size_t at) { return *processes_[at]; }
  Time Now(std::size_t at) { return At(at).Now(real_); }

  const RateLimit limit_;
  Table table_;
  microseconds real_{0};
  int names_ = 0;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<microseconds> seen_;
};

void ExpectNoWindowAbove(const World& world, RateLimit limit) {
  if (limit.per_second > 0) {
    RC_ASSERT(MostInAnyWindow(world.seen(), seconds{1}) <= static_cast<std::size_t>(limit.per_second));
  }
  if (limit.per_minute > 0) {
    RC_ASSERT(MostInAnyWindow(world.seen(), seconds{60}) <= static_cast<std::size_t>(limit.per_minute));
  }
}

TEST(SharedLimitTest, WhateverHappensNoWindowHoldsMoreThanTheLimit) {
  const auto world_holds = [] {
    RateLimit limit{*rc::gen::inRange(0, 7), *rc::gen::inRange(0, 30)};
    if (limit.per_second == 0 && limit.per_minute == 0) limit.per_second = 1;
    World world(limit);
    const auto count = *rc::gen::inRange<std::size_t>(1, 5);
    for (std::size_t i = 0; i < count; ++i) {
      world.AddProcess(seconds{*rc::gen::inRange(-30'000, 30'000)}, *rc::gen::inRange(-400, 400));
    }
    const auto steps =
        *rc::gen::container<std::vector<unsigned>>(*rc::gen::inRange(200, 3000), rc::gen::inRange(0u, 1u << 24));
    std::vector<int> stands_still(count, 0);  // for so many steps
    for (const unsigned step : steps) {
      const std::size_t who = step % count;
      const unsigned amount = step / 64 % 1000;
      for (int& left : stands_still) left = std::max(left - 1, 0);
      const unsigned kind = step / 4 % 16;
      if (kind == 0) world.Pass(milliseconds{amount});
      if (kind == 1) world.Pass(milliseconds{amount / 10});
      if (stands_still[who] > 0) {
        if (kind == 2) world.Pass(milliseconds{amount * 3});
        continue;
      }
      switch (kind) {
        case 2:
          if (amount < 300) stands_still[who] = static_cast<int>(amount / 4);
          break;
        case 3:
          world.Wait(who);
          break;
        case 4:
        case 5:
          while (world.Take(who) && amount > 500) continue;
          break;
        case 6:
        case 7:
          while (world.Leave(who, milliseconds{amount * 2}) && amount % 2 == 0) continue;
          break;
        case 8:
          world.Answer(who);
          break;
        case 9:
          if (amount < 30) world.Crash(who);
          break;
        case 10:
          world.Visit(who, static_cast<int>(amount % 12));
          break;
        case 11:
        case 12:
          world.Wait(who);
          world.VisitWhole(who);
          break;
        default:
          if (world.Take(who)) world.Leave(who, milliseconds{amount % 20});
      }
    }
    ExpectNoWindowAbove(world, limit);
  };
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(rc::check(world_holds));
}

// Of what the limit allows in `time`, the part that processes with endless backlogs sent.
double PartReached(RateLimit limit, std::size_t count, seconds time) {
  World world(limit);
  for (std::size_t i = 0; i < count; ++i) world.AddProcess(seconds{i * 100}, 0);
  while (world.real() < time) {
    for (std::size_t i = 0; i < count; ++i) {
      world.Wait(i);
      if (world.IsDue(i)) world.VisitWhole(i);
      while (world.Take(i)) world.Leave(i, milliseconds{8});
      world.Answer(i);
    }
    world.Pass(milliseconds{5});
  }
  EXPECT_LE(MostInAnyWindow(world.seen(), seconds{1}), static_cast<std::size_t>(limit.per_second));
  return static_cast<double>(world.seen().size()) / (limit.per_second * static_cast<double>(time.count()));
}

TEST(SharedLimitTest, LittleOfTheLimitIsLostHoweverManyShareIt) {
  EXPECT_GT(PartReached({.per_second = 5}, 1, seconds{120}), 0.97);
  EXPECT_GT(PartReached({.per_second = 50}, 4, seconds{120}), 0.95);
  EXPECT_GT(PartReached({.per_second = 5}, 4, seconds{120}), 0.90);
  EXPECT_GT(PartReached({.per_second = 1}, 4, seconds{120}), 0.80);
}

TEST(SharedLimitTest, AKilledProcessLeavesMostOfAMinutesPlacesToItsSuccessor) {
  constexpr int kLimit = 100;
  World world({.per_minute = kLimit});
  world.AddProcess(seconds{0}, 0);
  world.Wait(0);
  world.VisitWhole(0);
  ASSERT_TRUE(world.Take(0));
  world.Leave(0, milliseconds{0});
  world.Crash(0);
  while (world.real() < seconds{5}) {
    world.Pass(milliseconds{250});
    world.Wait(0);
    world.VisitWhole(0);
    while (world.Take(0)) world.Leave(0, milliseconds{0});
    world.Answer(0);
  }
  EXPECT_GE(world.seen().size(), 9 * kLimit / 10);
  EXPECT_LE(world.seen().size(), kLimit);
}

// Two processes; the first holds the whole limit.
class TwoProcessesTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kFirst = 0;
  static constexpr std::size_t kSecond = 1;
  TwoProcessesTest() {
    world_.AddProcess(seconds{0}, 0);
    world_.AddProcess(seconds{500}, 0);
    world_.Wait(kFirst);
    world_.VisitWhole(kFirst);
  }
  int TakeAll(std::size_t who) {
    int taken = 0;
    while (world_.Take(who)) ++taken;
    return taken;
  }
  // The second process asks until it is given a place, and gives the time.
  microseconds WaitForAPlace() {
    do {
      world_.Pass(milliseconds{10});
      world_.Wait(kSecond);
      if (world_.IsDue(kSecond)) world_.VisitWhole(kSecond);
    } while (!world_.Take(kSecond) && world_.real() < seconds{100});
    return world_.real();
  }
  World world_{{.per_second = 4}};
};

TEST_F(TwoProcessesTest, ADeadOnesShareComesBackAfterItsLeaseTheLongestCallAndTheWindow) {
  TakeAll(kFirst);
  world_.Pass(kLease - milliseconds{1});
  while (world_.Leave(kFirst, kDeadline)) continue;
  world_.Crash(kFirst);
  const microseconds at = WaitForAPlace();
  EXPECT_GE(at, kLease + kDeadline + seconds{1});
  EXPECT_LE(at, kLease + kDeadline + seconds{1} + milliseconds{300});
  world_.Leave(kSecond, milliseconds{0});
  while (world_.Take(kSecond)) world_.Leave(kSecond, milliseconds{0});
  EXPECT_EQ(world_.seen().size(), 8u);
  EXPECT_EQ(MostInAnyWindow(world_.seen(), seconds{1}), 4u);
}

TEST_F(TwoProcessesTest, WhatWasTakenUnderALeaseThatEndedNeverLeaves) {
  ASSERT_EQ(TakeAll(kFirst), 4);
  world_.Pass(kLease);
  EXPECT_FALSE(world_.Leave(kFirst, milliseconds{0}));
  WaitForAPlace();
  world_.VisitWhole(kFirst);
  EXPECT_FALSE(world_.Leave(kFirst, milliseconds{0})) << "under the next lease neither";
  EXPECT_TRUE(world_.Leave(kSecond, milliseconds{0}));
}

TEST_F(TwoProcessesTest, WhatIsGivenUpIsntTakenWhileTheRowIsWritten) {
  world_.Wait(kSecond);
  world_.VisitWhole(kSecond);
  world_.Wait(kFirst);
  for (int step = 0; step < 3; ++step) world_.Visit(kFirst, 0);
  EXPECT_EQ(TakeAll(kFirst), 2);
  world_.Visit(kFirst, 0);
  world_.VisitWhole(kSecond);
  EXPECT_EQ(TakeAll(kSecond), 2);
}

TEST_F(TwoProcessesTest, ALeaseCountsFromBeforeTheRowWasAskedFor) {
  world_.Pass(seconds{20});
  world_.Wait(kFirst);
  for (int step = 0; step < 2; ++step) world_.Visit(kFirst, 0);
  world_.Pass(kLease);
  world_.Wait(kFirst);
  for (int step = 0; step < 2; ++step) world_.Visit(kFirst, 0);
  EXPECT_FALSE(world_.Take(kFirst));
}

TEST_F(TwoProcessesTest, WhatSomebodyElsesWriteKeptOutOfTheRowStillCountsHere) {
  while (world_.Take(kFirst)) world_.Leave(kFirst, milliseconds{0});
  world_.Answer(kFirst);
  world_.Wait(kSecond);
  world_.VisitWhole(kSecond);
  world_.Wait(kFirst);
  for (int step = 0; step < 3; ++step) world_.Visit(kFirst, 0);
  world_.Crash(kSecond);
  world_.Wait(kSecond);
  world_.VisitWhole(kSecond);
  world_.Visit(kFirst, 0);
  EXPECT_FALSE(world_.Take(kFirst)) << "its four are in the window, and its debts aren't in the row";
}

TEST_F(TwoProcessesTest, ALostAnswerCostsPlacesButGivesNone) {
  while (world_.Take(kFirst)) world_.Leave(kFirst, milliseconds{0});
  world_.Answer(kFirst);
  world_.Wait(kSecond);
  world_.VisitWhole(kSecond);
  world_.Wait(kFirst);
  for (int step = 0; step < 3; ++step) world_.Visit(kFirst, 0);
  world_.Visit(kFirst, 2);
  EXPECT_FALSE(world_.Take(kFirst));
  world_.VisitWhole(kFirst);
  EXPECT_FALSE(world_.Take(kFirst));
  world_.VisitWhole(kSecond);
  EXPECT_FALSE(world_.Take(kSecond)) << "the four are in the window still";
}

TEST(SharedLimitTest, APlaceThatCantBeDividedGoesRound) {
  const std::vector<int> wants = {2, 2, 2};
  EXPECT_THAT(FairShares(1, wants, 0), ElementsAre(1, 0, 0));
  EXPECT_THAT(FairShares(1, wants, 1), ElementsAre(0, 1, 0));
  EXPECT_THAT(FairShares(1, wants, 5), ElementsAre(0, 0, 1));
}

TEST(SharedLimitTest, WhoWantsLittleGetsItAndTheOthersShareTheRest) {
  const std::vector<int> wants = {1, 10, 10, 0};
  EXPECT_THAT(FairShares(9, wants, 0), ElementsAre(1, 4, 4, 0));
}

TEST(SharedLimitTest, WhatNobodyWantsIsSharedToo) {
  const std::vector<int> wants = {0, 3};
  EXPECT_THAT(FairShares(9, wants, 0), ElementsAre(3, 6));
}

TEST(SharedLimitTest, SharesAreNeverMoreThanTheLimitAndLoseNothing) {
  const bool held = rc::check([](std::vector<std::uint8_t> numbers, std::uint16_t limit, std::uint64_t turn) {
    const std::vector<int> wants(numbers.begin(), numbers.end());
    const std::vector<int> shares = FairShares(limit, wants, turn);
    RC_ASSERT(shares.size() == wants.size());
    RC_ASSERT(std::ranges::all_of(shares, [](int share) { return share >= 0; }));
    RC_ASSERT(std::accumulate(shares.begin(), shares.end(), 0) == (wants.empty() ? 0 : limit));
  });
  EXPECT_TRUE(held);
}

TEST(SharedLimitTest, WhatIsntARowIsToldFromOne) {
  SharedLimit limit;
  EXPECT_FALSE(SharesFromJson("", limit));
  EXPECT_FALSE(SharesFromJson("[]", limit));
  EXPECT_FALSE(SharesFromJson(R"({"holders":[{"owner":1}],"debts":[]})", limit));
  EXPECT_FALSE(SharesFromJson(R"({"holders":[],"debts":[[2,1,1]]})", limit));
  EXPECT_TRUE(SharesFromJson(R"({"holders":[],"debts":[[1,1,1]]})", limit));
}

}  // namespace
}  // namespace outrider::providers
