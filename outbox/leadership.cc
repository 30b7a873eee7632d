#include "outbox/leadership.h"

#include <algorithm>
#include <utility>

namespace outrider::outbox {
namespace {

using std::chrono::milliseconds;

// A lease that was given back is found within this.
constexpr milliseconds kLongestLook{500};

}  // namespace

Leadership::Leadership(std::string source, std::string owner, milliseconds duration, SourceShare& share,
                       const Clock& clock, RelayProbe& probe, Log& log)
    : source_(source),
      lease_(std::move(source), std::move(owner), duration),
      share_(share),
      clock_(clock),
      probe_(probe),
      log_(log) {}

Result<Leadership::Look> Leadership::TakeIfFree(mysql::MysqlConnection& connection) {
  const Time now = clock_.SteadyNow();
  if (now < look_at_) return Look::kNothingNew;
  auto holder = lease_.Acquire(connection);
  if (!holder) return std::unexpected(holder.error());
  if (!holder->mine) {
    const auto remaining = std::chrono::ceil<milliseconds>(holder->remaining);
    look_at_ = now + std::clamp(remaining, milliseconds{1}, std::min(lease_.duration() / 3, kLongestLook));
    if (leader_ != holder->owner && !holder->owner.empty()) {
      leader_ = holder->owner;
      log_.Info("relay.stands_by", {{"source", source_}, {"leader", leader_}, {"epoch", holder->epoch}});
    }
    return Look::kNothingNew;
  }
  const bool from_somebody = holder->epoch != epoch_ + 1;
  leading_ = true;
  epoch_ = holder->epoch;
  renewed_at_ = now;
  leader_.clear();
  share_.Gained();
  compare_at_ = now + lease_.duration() / 3;
  (void)lease_.StandAside(connection);
  probe_.Leading(true);
  probe_.TookOver();
  log_.Info("relay.leads", {{"source", source_}, {"epoch", epoch_}});
  return from_somebody ? Look::kTookOverFromSomebody : Look::kTookOver;
}

bool Leadership::renewal_due() const { return clock_.SteadyNow() - renewed_at_ >= lease_.duration() / 3; }
bool Leadership::half_gone() const { return clock_.SteadyNow() - renewed_at_ >= lease_.duration() / 2; }

Result<void> Leadership::RenewIfDue(mysql::MysqlConnection& connection) {
  if (!renewal_due()) return {};
  const Time now = clock_.SteadyNow();
  auto renewed = lease_.Renew(connection, epoch_);
  if (renewed) {
    Renewed(now);
  } else if (renewed.error().code == ErrorCode::kConflict) {
    Lose();
    return {};
  }
  return renewed;
}

void Leadership::Renewed(Time asked) { renewed_at_ = std::max(renewed_at_, asked); }

void Leadership::StepDownWhenOver() {
  if (leading_ && clock_.SteadyNow() - renewed_at_ >= lease_.duration()) {
    StepDown("the lease ran out without renewal");
  }
}

void Leadership::Lose() {
  if (!leading_) return;
  probe_.LostLease();
  StepDown("another relay has taken over");
}

void Leadership::StepDown(std::string_view why) {
  leading_ = false;
  look_at_ = {};
  if (!std::exchange(hands_over_, false)) share_.Lost();
  probe_.Leading(false);
  log_.Warn("relay.steps_down", {{"source", source_}, {"epoch", epoch_}, {"why", why}});
}

Result<void> Leadership::CompareIfDue(mysql::MysqlConnection& connection) {
  const Time now = clock_.SteadyNow();
  if (now < compare_at_ || hands_over_) return {};
  compare_at_ = now + lease_.duration() / 3;
  if (!leading_) return lease_.StandBy(connection, share_.leads());
  if (share_.leads() < 2) return {};
  auto fewest = lease_.FewestOfStandBys(connection);
  if (!fewest) return std::unexpected(fewest.error());
  if (!*fewest || !share_.GiveOne(**fewest, now, lease_.duration())) return {};
  hands_over_ = true;
  log_.Info("relay.hands_over", {{"source", source_}, {"leads", share_.leads()}, {"other_leads", **fewest}});
  return {};
}

void Leadership::GiveBack(mysql::MysqlConnection& connection) {
  if (!leading_) {
    (void)lease_.StandAside(connection);
    return;
  }
  leading_ = false;
  // Whoever is to have it looks sooner.
  if (hands_over_) look_at_ = clock_.SteadyNow() + lease_.duration();
  if (!std::exchange(hands_over_, false)) share_.Lost();
  probe_.Leading(false);
  if (lease_.Release(connection, epoch_)) {
    log_.Info("relay.gives_back", {{"source", source_}, {"epoch", epoch_}});
  }
}

}  // namespace outrider::outbox
