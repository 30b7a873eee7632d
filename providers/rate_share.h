// RateShare: one limit, as far as this process may use it: exact sliding windows of one second and of one minute over
// the part of the limit that is this process's share.
//
// No window of one second, and none of one minute, wherever it begins, holds more messages than the share, as the
// vendor sees them: a place counts from the moment it is taken until a whole window after its message was answered,
// because somewhere between the two the vendor counted it. (A token bucket would let twice the limit through around a
// refill, and so would a window over the moments at which places are taken, when some messages travel longer than
// others.) A vendor's own "not before" closes it.
//
// Shared with other processes, the share comes with a lease from the row that all of them read and write
// (SharedLimit): it is lowered here before it is lowered there, and raised there before it is raised here; places that
// a lowered share doesn't cover any more become debts of the row until they have left the window. Without a keeper the
// whole limit is this process's.
//
// Threads: one at a time (RateLimits guards it); the clock is a parameter, and a time before the last one counts as the
// last one. Remembers as many places as the larger limit. Lost on a crash: the share counts in the row until it has
// drained.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "providers/channel.h"
#include "providers/shared_limit.h"

namespace outrider::providers {

class RateShare final {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // A limit that nobody used or waited for so long is given back.
  static constexpr std::chrono::milliseconds kIdle{2'000};
  static constexpr std::chrono::minutes kLongestClosure{60};

  struct Outlook {
    std::size_t places = 0;             // that could be taken now
    std::chrono::milliseconds wait{0};  // when there are none: not sooner than this
  };

  RateShare(RateLimit limit, bool shared);

  // Places that were taken count against the new limit, as far as the old one made them be remembered.
  void SetLimit(RateLimit limit);
  bool limited() const { return limit_[0] > 0 || limit_[1] > 0; }
  // False: no place can be taken until the keeper has been here, and Look() tells what the whole limit would give.
  bool IsHeld(Time now) const { return !shared_ || !limited() || now < until_; }
  Outlook Look(Time now);

  // Each place that was taken ends with exactly one of Use() and GiveBack(). Gives what MayLeave() wants to know.
  // REQUIRES: IsHeld(now) and Look(now) has places.
  std::uint64_t Take(Time now);
  // Right before the first byte leaves: whether the share that the place was taken under is still this process's.
  bool MayLeave(std::uint64_t epoch, Time now) const;
  void Use(Time now);  // its message was answered, or given up on the way
  void GiveBack();     // nothing left
  // No place before `until`, but for longer than kLongestClosure; the later of two closures holds.
  void CloseUntil(Time until, Time now);
  bool IsClosed(Time now) const { return closed_until_ > now; }

  void Touch(Time now);                                  // it will be used
  void Press(Time now, std::chrono::milliseconds wait);  // somebody waits for it, at least so long
  bool IsPressed(Time now) const { return pressed_until_ > now; }
  void LetGo();  // it won't be used
  // Nothing is lost when it is forgotten.
  bool IsForgettable(Time now) const;

  // Slots for `count` records, one after another along the rate; BookedFrom() tells when the first is, once the keeper
  // has been here (at once without one). REQUIRES: limited().
  void Book(std::size_t count, Time now);
  std::optional<Time> BookedFrom() const { return booked_from_; }

  // The keeper's part. When it should come by; max(): never.
  Time Due(Time now) const;
  std::uint64_t known_version() const { return known_ ? known_->version : 0; }
  struct Terms {
    std::string_view owner;  // of this process
    std::chrono::microseconds lease{0};
    std::chrono::microseconds drain{0};  // the longest call
    Time asked_at;                       // taken before the row was asked for
    Timestamp now{};                     // the database's clock, when it was read
  };
  // What this process makes of the row as it was read (nothing: it is as it was known); nothing when there is nothing
  // to change. What is given up is given up here already. REQUIRES: Finish() after each row that it gave.
  std::optional<SharedLimit> Plan(const SharedLimit* read, const Terms& terms, Time now);
  enum class Written {
    kYes,
    kNo,  // somebody else had changed the row
    kUnknown,
  };
  void Finish(Written written, Time now);

  PerWindow share() const { return share_; }
  PerWindow limit() const { return limit_; }

 private:
  struct Allowance;
  struct Planned {
    PerWindow before{};
    PerWindow after{};
    std::array<std::uint64_t, kWindows.size()> counted_from{};
    Time until{};
    SharedLimit row;
    bool releases = false;
    bool writes_closure = false;
    std::optional<Time> booked_from;
  };
  // Index of the first place of used_ that still counts in the window.
  std::size_t FirstCounted(Window window, Time now) const;
  int Counted(Window window, Time now) const { return static_cast<int>(used_.size() - FirstCounted(window, now)); }
  Allowance Allow(Window window, int most, Time now) const;
  bool IsIdle(Time now) const;
  Time Advance(Time now);
  // True when the row is to be written for it.
  bool PlanShares(SharedLimit& row, Planned& planned, const Terms& terms, std::chrono::milliseconds& tick, Time now);
  int PlanWindow(Window window, SharedLimit& row, const Terms& terms, PerWindow& want, bool release, Time now);
  // The oldest places, as debts of the row.
  void Owe(Window window, int count, SharedLimit& row, const Terms& terms, Time now);

  PerWindow limit_{};
  const bool shared_;
  PerWindow share_{};
  Time until_ = Time::min();
  std::uint64_t epoch_ = 0;  // grows when a lease begins anew
  int open_ = 0;             // taken, and not ended yet
  std::deque<Time> used_;    // oldest first
  std::uint64_t first_ = 0;  // the number of the oldest
  std::array<std::uint64_t, kWindows.size()> counted_from_{};
  Time last_ = Time::min();
  Time closed_until_ = Time::min();
  bool tells_closure_ = false;
  Time touched_ = Time::min();
  Time pressed_until_ = Time::min();
  std::size_t booking_ = 0;
  std::optional<Time> booked_from_;
  Time booked_until_ = Time::min();  // without a keeper

  std::optional<SharedLimit> known_;  // the row as it was read or written last
  bool released_ = true;
  Time tick_at_ = Time::min();
  std::optional<Planned> planned_;
};

}  // namespace outrider::providers
