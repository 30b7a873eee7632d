#include "providers/rate_share.h"

#include <algorithm>
#include <limits>
#include <map>
#include <vector>

namespace outrider::providers {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using Time = RateShare::Time;

constexpr milliseconds kPressedTick{250};  // while somebody waits, or others might
constexpr milliseconds kCalmTick{500};
constexpr milliseconds kUnlimitedTick{1'000};  // to hear of closures
constexpr milliseconds kShortestTick{10};
constexpr milliseconds kPressedFor{1'500};  // beyond the wait
// How long what can't be divided stays where it is.
constexpr std::array<std::chrono::seconds, kWindows.size()> kTurn = {std::chrono::seconds{5}, std::chrono::seconds{30}};
constexpr std::size_t kDebtsAtOnce = 4;
constexpr std::size_t kMostDebts = 16;  // of a window

// How much more than it uses a process asks for while somebody waits. Of a minute's places only what a few visits need:
// the share of a process that is killed counts until its window is over, and a new one would have to wait for all of
// it.
int StepOf(Window window, int limit) { return window == Window::kSecond ? limit : std::max(1, limit / 10); }

// One tick more than the window: both ends belong to it, so that no vendor's way of counting sees one too many.
Time Forgotten(Time used, Window window) { return used + Length(window) + Time::duration{1}; }

milliseconds Until(Time at, Time now) { return std::max(std::chrono::ceil<milliseconds>(at - now), milliseconds{0}); }

// Merges debts until they are few; what is merged ends with the last.
void KeepFew(std::vector<SharedLimit::Debt>& debts, Window window) {
  std::ranges::sort(debts, {}, [](const auto& debt) { return std::pair(debt.window, debt.until); });
  const auto is_of = [&](const SharedLimit::Debt& debt) { return debt.window == window; };
  while (static_cast<std::size_t>(std::ranges::count_if(debts, is_of)) > kMostDebts) {
    auto closest = debts.end();
    for (auto debt = debts.begin(); debt + 1 != debts.end(); ++debt) {
      if (!is_of(*debt) || !is_of(debt[1])) continue;
      if (closest == debts.end() || debt[1].until - debt->until < closest[1].until - closest->until) closest = debt;
    }
    closest[1].count += closest->count;
    debts.erase(closest);
  }
}

}  // namespace

// What one window allows: the places that are left, and the first moment at which one more may be given.
struct RateShare::Allowance {
  std::size_t places = std::numeric_limits<std::size_t>::max();
  Time open = Time::min();
};

RateShare::RateShare(RateLimit limit, bool shared) : shared_(shared) { SetLimit(limit); }

void RateShare::SetLimit(RateLimit limit) {
  limit_ = Limits(limit);
  if (!shared_) share_ = limit_;
}

Time RateShare::Advance(Time now) { return last_ = std::max(now, last_); }

std::size_t RateShare::FirstCounted(Window window, Time now) const {
  const auto fresh =
      std::partition_point(used_.begin(), used_.end(), [&](Time at) { return Forgotten(at, window) <= now; });
  const std::uint64_t from = counted_from_[At(window)];
  const std::size_t skipped = from > first_ ? static_cast<std::size_t>(from - first_) : 0;
  return std::max(static_cast<std::size_t>(fresh - used_.begin()), std::min(skipped, used_.size()));
}

RateShare::Allowance RateShare::Allow(Window window, int most, Time now) const {
  if (limit_[At(window)] <= 0) return {};
  const int counted = Counted(window, now);
  if (open_ + counted < most) return {static_cast<std::size_t>(most - open_ - counted), Time::min()};
  if (most == 0) return {0, now + kPressedTick};
  // What is open counts at least until now.
  if (open_ >= most) return {0, Forgotten(now, window)};
  return {0, Forgotten(used_[used_.size() - static_cast<std::size_t>(most - open_)], window)};
}

RateShare::Outlook RateShare::Look(Time now) {
  now = Advance(now);
  const PerWindow& most = IsHeld(now) ? share_ : limit_;
  Outlook outlook{std::numeric_limits<std::size_t>::max(), milliseconds{0}};
  Time open = closed_until_;
  for (const Window window : kWindows) {
    const Allowance allowed = Allow(window, most[At(window)], now);
    outlook.places = std::min(outlook.places, allowed.places);
    open = std::max(open, allowed.open);
  }
  if (open > now) return {0, Until(open, now)};
  return outlook;
}

std::uint64_t RateShare::Take(Time now) {
  Touch(now);
  if (limited()) ++open_;
  return epoch_;
}

bool RateShare::MayLeave(std::uint64_t epoch, Time now) const {
  return (epoch == epoch_ || !limited()) && IsHeld(now) && !IsClosed(now);
}

void RateShare::Use(Time now) {
  if (open_ == 0) return;
  --open_;
  used_.push_back(Advance(now));
  const Window longest = limit_[At(Window::kMinute)] > 0 ? Window::kMinute : Window::kSecond;
  while (Forgotten(used_.front(), longest) <= last_) {
    used_.pop_front();
    ++first_;
  }
}

void RateShare::GiveBack() {
  if (open_ > 0) --open_;
}

void RateShare::CloseUntil(Time until, Time now) {
  until = std::min(until, now + kLongestClosure);
  if (until <= closed_until_ || until <= now) return;
  closed_until_ = until;
  tells_closure_ = true;
}

void RateShare::Touch(Time now) { touched_ = std::max(touched_, now); }

void RateShare::Press(Time now, milliseconds wait) {
  Touch(now);
  pressed_until_ = std::max(pressed_until_, now + wait + kPressedFor);
}

void RateShare::LetGo() { touched_ = pressed_until_ = Time::min(); }

bool RateShare::IsIdle(Time now) const { return !IsPressed(now) && open_ == 0 && now >= touched_ + kIdle; }

bool RateShare::IsForgettable(Time now) const {
  if (!IsIdle(now) || IsClosed(now) || (shared_ && limited() && now < until_)) return false;
  return std::ranges::all_of(kWindows, [&](Window window) { return Counted(window, now) == 0; });
}

void RateShare::Book(std::size_t count, Time now) {
  booked_from_.reset();
  booking_ = count;
  if (shared_) return;
  const Time from = std::max(now + Look(now).wait, booked_until_);
  booked_until_ = from + IntervalOf({limit_[0], limit_[1]}) * static_cast<std::int64_t>(count);
  booked_from_ = from;
  booking_ = 0;
}

Time RateShare::Due(Time now) const {
  if (!shared_) return Time::max();
  if (tells_closure_ || booking_ > 0) return Time::min();
  if (limited() && now < until_) return tick_at_;
  if (IsIdle(now)) return Time::max();
  return limited() && released_ ? Time::min() : tick_at_;
}

void RateShare::Owe(Window window, int count, SharedLimit& row, const Terms& terms, Time now) {
  const std::size_t first = FirstCounted(window, now);
  const auto total = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < kDebtsAtOnce; ++i) {
    const std::size_t begin = total * i / kDebtsAtOnce;
    const std::size_t end = total * (i + 1) / kDebtsAtOnce;
    if (begin == end) continue;
    // Counted from before the database was asked, which is late rather than early.
    const auto left = Forgotten(used_[first + end - 1], window) - terms.asked_at;
    row.debts.push_back(
        {window, static_cast<int>(end - begin), terms.now + std::chrono::ceil<microseconds>(left) + Slack(window)});
  }
  counted_from_[At(window)] = first_ + first + total;
  KeepFew(row.debts, window);
}

int RateShare::PlanWindow(Window window, SharedLimit& row, const Terms& terms, PerWindow& want, bool release,
                          Time now) {
  const std::size_t at = At(window);
  const int limit = limit_[at];
  const int counted = Counted(window, now);
  const int soon = std::min(limit, open_ + counted + StepOf(window, limit));
  want[at] = IsPressed(now) ? soon : std::min(limit, open_ + counted);
  std::map<std::string_view, const SharedLimit::Holder*> live = {{terms.owner, nullptr}};
  for (const SharedLimit::Holder& holder : row.holders) {
    if (holder.owner != terms.owner && holder.until > terms.now) live.emplace(holder.owner, &holder);
  }
  std::vector<int> wants;
  for (const auto& [owner, holder] : live) wants.push_back(holder == nullptr ? want[at] : holder->want[at]);
  const auto turn = static_cast<std::uint64_t>(terms.now.time_since_epoch() / kTurn[at]);
  const std::vector<int> shares = FairShares(limit, wants, turn);
  int fair = 0;
  bool others_lack = false;
  auto share = shares.begin();
  for (const auto& [owner, holder] : live) {
    if (holder == nullptr) {
      fair = *share;
    } else {
      others_lack = others_lack || holder->share[at] < std::min(*share, holder->want[at]);
    }
    ++share;
  }
  const int before = share_[at];
  const int room = limit - row.Counted(window, terms.now, terms.owner);
  int after = before;
  if (release) {
    after = 0;
  } else if (before > room || (before > fair && others_lack)) {
    after = std::min(before, std::max(fair, open_));
  } else if (before < fair) {
    after = std::max(before, std::min({fair, room, soon}));
  }
  if (const int excess = std::min(open_ + counted - after, counted); excess > 0) {
    Owe(window, excess, row, terms, now);
  }
  return after;
}

std::optional<SharedLimit> RateShare::Plan(const SharedLimit* read, const Terms& terms, Time now) {
  now = Advance(now);
  if (read != nullptr) known_ = *read;
  SharedLimit row = known_.value_or(SharedLimit{});
  if (row.closed_until > terms.now) closed_until_ = std::max(closed_until_, now + (row.closed_until - terms.now));
  row.DropWhatEnded(terms.now);
  Planned planned;
  planned.counted_from = counted_from_;
  planned.until = until_;
  if (tells_closure_) {
    row.closed_until =
        std::max(row.closed_until, terms.now + std::chrono::ceil<microseconds>(closed_until_ - terms.asked_at));
    planned.writes_closure = true;
  }
  if (booking_ > 0) {
    const Timestamp from = std::max(terms.now + Look(now).wait, row.booked_until);
    planned.booked_from = terms.asked_at + (from - terms.now);
    row.booked_until = from + IntervalOf({limit_[0], limit_[1]}) * static_cast<std::int64_t>(booking_);
  }
  milliseconds tick = kUnlimitedTick;
  bool changes = planned.writes_closure || planned.booked_from;
  if (limited()) changes = PlanShares(row, planned, terms, tick, now) || changes;
  tick_at_ = now + tick;
  if (!changes) return std::nullopt;
  row.version = row.version == 0 ? static_cast<std::uint64_t>(terms.now.time_since_epoch().count()) : row.version + 1;
  planned.row = row;
  planned_ = std::move(planned);
  return row;
}

bool RateShare::PlanShares(SharedLimit& row, Planned& planned, const Terms& terms, milliseconds& tick, Time now) {
  const SharedLimit::Holder* found = row.Find(terms.owner);
  const bool in_row = found != nullptr;
  const SharedLimit::Holder own = in_row ? *found : SharedLimit::Holder{};
  if (!in_row) until_ = std::min(until_, now);
  for (const Window window : kWindows) {
    const bool counts = in_row && SharedLimit::DrainedAt(own, window) > terms.now;
    share_[At(window)] = counts ? own.share[At(window)] : 0;
  }
  planned.before = share_;
  planned.releases = IsIdle(now);
  const auto counted_from = counted_from_;
  PerWindow want{};
  for (const Window window : kWindows) {
    if (limit_[At(window)] > 0) {
      planned.after[At(window)] = PlanWindow(window, row, terms, want, planned.releases, now);
    }
    share_[At(window)] = std::min(planned.before[At(window)], planned.after[At(window)]);
  }
  std::erase_if(row.holders, [&](const SharedLimit::Holder& holder) { return holder.owner == terms.owner; });
  const bool alone = std::ranges::none_of(row.holders, [&](const auto& holder) { return holder.until > terms.now; });
  tick = IsPressed(now) || !alone ? kPressedTick : kCalmTick;
  planned.until = now;
  if (planned.releases) return in_row;
  row.holders.push_back({std::string(terms.owner), planned.after, want, terms.now + terms.lease, terms.drain});
  planned.until = terms.asked_at + terms.lease;
  if (IsPressed(now) && planned.after != limit_) {
    // Something may come free before the next look.
    Timestamp next = terms.now + kPressedTick;
    for (const SharedLimit::Debt& debt : row.debts) next = std::min(next, debt.until);
    tick = std::max(kShortestTick, std::chrono::ceil<milliseconds>(next - terms.now));
  }
  const bool renews = own.until < terms.now + terms.lease / 2 || until_ < now + terms.lease / 2;
  return renews || planned.after != planned.before || counted_from_ != counted_from ||
         (want == limit_) != (own.want == limit_);
}

void RateShare::Finish(Written written, Time now) {
  if (!planned_) return;
  Planned planned = std::move(*planned_);
  planned_.reset();
  if (written != Written::kYes) {
    // The row says what it said, or nobody knows what it says: what may not be in it as a debt counts here.
    counted_from_ = planned.counted_from;
    if (written == Written::kNo && limited()) share_ = planned.before;
    known_.reset();
    tick_at_ = now;
    return;
  }
  known_ = std::move(planned.row);
  if (planned.writes_closure) tells_closure_ = false;
  if (planned.booked_from) {
    booked_from_ = planned.booked_from;
    booking_ = 0;
  }
  if (!limited()) return;
  if (now >= until_) ++epoch_;
  share_ = planned.after;
  until_ = planned.until;
  released_ = planned.releases;
}

}  // namespace outrider::providers
