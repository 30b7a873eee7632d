#include "providers/rate_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>

namespace outrider::providers {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kWhenFull{250};
constexpr std::size_t kTakesBetweenCleanings = 256;
constexpr std::size_t kMostWords = 20;

std::string Words(const RateShare& share) {
  std::string words = "waits for places";
  for (const Window window : kWindows) {
    const int limit = share.limit()[At(window)];
    if (limit == 0) continue;
    words += fmt::format(", {} of {} a {} here", share.share()[At(window)], limit,
                         window == Window::kSecond ? "second" : "minute");
  }
  return words;
}

}  // namespace

struct RateLimits::State {
  struct Limit {
    Limit(const LimitRule& rule, bool shared) : kind(rule.kind), shown(rule.shown), share(rule.rate, shared) {}
    const LimitKind kind;
    const std::string shown;
    RateShare share;
  };

  explicit State(const Clock& the_clock) : clock(the_clock) {}

  // The limit of a rule; nothing when there are too many. Under the lock.
  std::shared_ptr<Limit> At(const LimitRule& rule) {
    const auto found = limits.find(rule.key);
    if (found != limits.end()) {
      found->second->share.SetLimit(rule.rate);
      return found->second;
    }
    const auto now = clock.SteadyNow();
    if (limits.size() >= kMost || ++made % kTakesBetweenCleanings == 0) Clean(now);
    const bool own = rule.kind == LimitKind::kChannel || rule.kind == LimitKind::kApp;
    if (limits.size() >= kMost && !own) return nullptr;
    return limits.emplace(rule.key, std::make_shared<Limit>(rule, !keeper.empty())).first->second;
  }

  void Clean(Time now) {
    std::erase_if(limits, [&](const auto& entry) {
      return entry.second.use_count() == 1 && entry.second->share.IsForgettable(now);
    });
  }

  const Clock& clock;
  mutable std::mutex mutex;
  std::map<Digest, std::shared_ptr<Limit>> limits;
  std::string keeper;
  std::size_t made = 0;
};

struct Place::Held {
  std::shared_ptr<RateLimits::State> state;
  std::shared_ptr<RateLimits::State::Limit> limit;
  std::uint64_t epoch = 0;
};

Place::Place() noexcept = default;
Place::Place(Place&& other) noexcept : held_(std::exchange(other.held_, {})) {}
Place::~Place() { GiveBack(); }
bool Place::empty() const { return held_.empty(); }

Place& Place::operator=(Place&& other) noexcept {
  GiveBack();
  held_ = std::exchange(other.held_, {});
  return *this;
}

bool Place::MayLeave() const {
  for (const Held& held : held_) {
    const std::lock_guard lock(held.state->mutex);
    if (!held.limit->share.MayLeave(held.epoch, held.state->clock.SteadyNow())) return false;
  }
  return true;
}

void Place::Use() {
  for (const Held& held : std::exchange(held_, {})) {
    const std::lock_guard lock(held.state->mutex);
    held.limit->share.Use(held.state->clock.SteadyNow());
  }
}

void Place::GiveBack() {
  for (const Held& held : std::exchange(held_, {})) {
    const std::lock_guard lock(held.state->mutex);
    held.limit->share.GiveBack();
  }
}

void Place::CloseFor(milliseconds wait) {
  for (const Held& held : held_) {
    if (held.limit->kind != LimitKind::kChannel && held.limit->kind != LimitKind::kApp) continue;
    const std::lock_guard lock(held.state->mutex);
    const auto now = held.state->clock.SteadyNow();
    held.limit->share.CloseUntil(now + std::min<milliseconds>(wait, RateShare::kLongestClosure), now);
  }
}

RateLimits::RateLimits(const Clock& clock) : state_(std::make_shared<State>(clock)) {}
RateLimits::~RateLimits() = default;

RateLimits::Outlook RateLimits::Look(std::span<const LimitRule> rules) const {
  const std::lock_guard lock(state_->mutex);
  const auto now = state_->clock.SteadyNow();
  Outlook all{std::numeric_limits<std::size_t>::max(), milliseconds{0}, 0};
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto limit = state_->At(rules[i]);
    const RateShare::Outlook one = limit ? limit->share.Look(now) : RateShare::Outlook{0, kWhenFull};
    if (one.places < all.places || (one.places == 0 && one.wait > all.wait)) all = {one.places, one.wait, i};
  }
  return all;
}

std::expected<Place, RateLimits::Refusal> RateLimits::Take(std::span<const LimitRule> rules) {
  const std::lock_guard lock(state_->mutex);
  const auto now = state_->clock.SteadyNow();
  std::vector<std::shared_ptr<State::Limit>> limits;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    auto limit = state_->At(rules[i]);
    if (!limit) return std::unexpected(Refusal{i, kWhenFull});
    RateShare::Outlook outlook = limit->share.Look(now);
    if (!limit->share.IsHeld(now)) outlook = {0, std::max(outlook.wait, milliseconds{1})};
    if (outlook.places == 0) {
      limit->share.Press(now, outlook.wait);
      return std::unexpected(Refusal{i, outlook.wait});
    }
    limits.push_back(std::move(limit));
  }
  Place place;
  for (auto& limit : limits) {
    const std::uint64_t epoch = limit->share.Take(now);
    place.held_.push_back({state_, std::move(limit), epoch});
  }
  return place;
}

bool RateLimits::Want(std::span<const LimitRule> rules) {
  const std::lock_guard lock(state_->mutex);
  const auto now = state_->clock.SteadyNow();
  bool lacks = false;
  for (const LimitRule& rule : rules) {
    const auto limit = state_->At(rule);
    if (!limit) continue;
    limit->share.Touch(now);
    lacks = lacks || !limit->share.IsHeld(now);
  }
  return lacks;
}

void RateLimits::Press(const LimitRule& rule, milliseconds wait) {
  const std::lock_guard lock(state_->mutex);
  if (const auto limit = state_->At(rule)) limit->share.Press(state_->clock.SteadyNow(), wait);
}

void RateLimits::Book(const LimitRule& rule, std::size_t count) {
  const std::lock_guard lock(state_->mutex);
  if (const auto limit = state_->At(rule)) limit->share.Book(count, state_->clock.SteadyNow());
}

std::optional<RateLimits::Time> RateLimits::BookedFrom(const LimitRule& rule) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->limits.find(rule.key);
  return found == state_->limits.end() ? std::nullopt : found->second->share.BookedFrom();
}

RateLimits::Waiting RateLimits::FindWaiting() const {
  const std::lock_guard lock(state_->mutex);
  const auto now = state_->clock.SteadyNow();
  Waiting waiting;
  for (const auto& [key, limit] : state_->limits) {
    if (!limit->share.IsPressed(now)) continue;
    ++waiting.limits[static_cast<std::size_t>(limit->kind)];
    if (limit->kind == LimitKind::kRecipient || waiting.words.size() >= kMostWords) continue;
    waiting.words.emplace(fmt::format("{} {}", ToString(limit->kind), limit->shown),
                          limit->share.IsClosed(now) ? "closed by the vendor" : Words(limit->share));
  }
  return waiting;
}

std::size_t RateLimits::size() const {
  const std::lock_guard lock(state_->mutex);
  return state_->limits.size();
}

bool RateLimits::Attach(const std::string& keeper) {
  const std::lock_guard lock(state_->mutex);
  if (state_->keeper == keeper) return true;
  if (!state_->keeper.empty()) return false;
  state_->keeper = keeper;
  // What was taken without a keeper isn't known to anybody else.
  state_->limits.clear();
  return true;
}

void RateLimits::Detach(const std::string& keeper) {
  const std::lock_guard lock(state_->mutex);
  if (state_->keeper != keeper) return;
  state_->keeper.clear();
  state_->limits.clear();
}

RateLimits::Time RateLimits::NextDue() const {
  const std::lock_guard lock(state_->mutex);
  const auto now = state_->clock.SteadyNow();
  Time next = Time::max();
  if (state_->keeper.empty()) return next;
  for (const auto& [key, limit] : state_->limits) next = std::min(next, limit->share.Due(now));
  return std::max(next, now);
}

std::vector<RateLimits::Visit> RateLimits::Due(Time now) {
  const std::lock_guard lock(state_->mutex);
  std::vector<Visit> visits;
  if (state_->keeper.empty()) return visits;
  state_->Clean(now);
  for (const auto& [key, limit] : state_->limits) {
    if (limit->share.Due(now) > now) continue;
    visits.push_back({key, limit->kind, limit->shown, limit->share.known_version()});
  }
  return visits;
}

std::optional<SharedLimit> RateLimits::Plan(const Digest& key, const SharedLimit* row, const RateShare::Terms& terms) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->limits.find(key);
  if (found == state_->limits.end()) return std::nullopt;
  return found->second->share.Plan(row, terms, state_->clock.SteadyNow());
}

void RateLimits::Finish(const Digest& key, RateShare::Written written) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->limits.find(key);
  if (found != state_->limits.end()) found->second->share.Finish(written, state_->clock.SteadyNow());
}

void RateLimits::LetGo() {
  const std::lock_guard lock(state_->mutex);
  for (const auto& [key, limit] : state_->limits) limit->share.LetGo();
}

}  // namespace outrider::providers
