#include "consumer/attempt_runner.h"

#include <algorithm>
#include <utility>

#include "consumer/settlement.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds kLargestMargin{1'000};

SendOutcome NotMine() {
  SendOutcome outcome;
  outcome.verdict = SendVerdict::kNotNow;
  outcome.reason = "not_mine";
  return outcome;
}

ChannelGates::Sign SignOf(const SendOutcome& outcome) {
  if (outcome.verdict == SendVerdict::kChannelDown) return ChannelGates::Sign::kDown;
  if (IsChannelsFault(outcome)) return ChannelGates::Sign::kThrottled;
  switch (outcome.verdict) {
    case SendVerdict::kAccepted:
    case SendVerdict::kRefused:
    case SendVerdict::kUnreachable:
      return ChannelGates::Sign::kWorks;
    default:
      return ChannelGates::Sign::kUnclear;
  }
}

}  // namespace

struct AttemptRunner::Flight {
  Claimed claimed;
  SettlementWriter& writer;
  std::chrono::steady_clock::time_point started;
};

AttemptRunner::AttemptRunner(AttemptOptions options, providers::Sender& sender, ChannelGates& gates, const Clock& clock,
                             DeliveryProbe& probe, std::function<void()> answered)
    : options_(std::move(options)),
      margin_(std::min(kLargestMargin, options_.lease / 10)),
      sender_(sender),
      gates_(gates),
      clock_(clock),
      probe_(probe),
      answered_(std::move(answered)) {}

void AttemptRunner::Start(Claimed claimed, SettlementWriter& writer) {
  {
    const std::lock_guard lock(mutex_);
    ++flights_;
    if (claimed.suspect) ++suspects_;
  }
  const auto now = clock_.SteadyNow();
  providers::Place place = std::move(claimed.place);
  auto flight = std::make_shared<const Flight>(Flight{std::move(claimed), writer, now});
  const Claimed& mine = flight->claimed;
  const bool too_late = now + options_.call_deadline + margin_ > mine.claimed_at + options_.lease;
  if (mine.known || too_late) {
    place.GiveBack();
    Finish(flight, mine.known ? *mine.known : NotMine());
    return;
  }
  probe_.InFlight(gates_.in_flight());
  sender_.Send(
      mine.notification, mine.record.send_key, std::move(place), options_.call_deadline,
      [this, flight] { return StillMine(*flight); },
      [this, flight](SendOutcome outcome) { Finish(flight, std::move(outcome)); });
}

bool AttemptRunner::StillMine(const Flight& flight) const {
  (void)PassFailpoint(Failpoint::kSendBeforeBytes);
  return !closed_ && clock_.SteadyNow() + margin_ < flight.claimed.claimed_at + options_.lease;
}

void AttemptRunner::Finish(const std::shared_ptr<const Flight>& flight, SendOutcome outcome) {
  (void)PassFailpoint(Failpoint::kSendAfterAnswer);
  const Claimed& claimed = flight->claimed;
  const Record& record = claimed.record;
  const auto now = clock_.SteadyNow();
  // Nothing was sent, because the configuration lost the channel meanwhile. The next look at the record parks it.
  if (outcome.verdict == SendVerdict::kUnreachable && outcome.provider_code.empty() && outcome.http_status == 0 &&
      !sender_.FindChannel(record.channel)) {
    outcome = NotMine();
  }
  milliseconds hold{0};
  if (NeverLeft(outcome) || claimed.known) {
    gates_.Ended(record.channel, claimed.probe);
  } else {
    hold = gates_.Answered(record.channel, claimed.probe, SignOf(outcome), outcome.reason, outcome.retry_after, now,
                           RandomShare());
  }

  const SettleRules rules(*claimed.channel, options_.max_age);
  Change change = claimed.notification.ask_only ? SettleReconciled(record, outcome, rules, hold, RandomShare())
                                                : Settle(record, outcome, rules, hold, RandomShare());
  change.provider = claimed.channel->provider;
  if (change.attempt) {
    change.attempt->worker = options_.owner;
    change.attempt->provider = claimed.channel->provider;
    change.attempt->duration = std::chrono::duration_cast<microseconds>(now - flight->started);
    change.attempt->started_ago = change.attempt->duration;
  }
  if (claimed.suspect) --suspects_;
  probe_.InFlight(gates_.in_flight());
  flight->writer.Add(std::move(change));
  answered_();
  // The last that is touched here: this object may be gone as soon as the lock is.
  const std::lock_guard lock(mutex_);
  if (--flights_ == 0) landed_.notify_all();
}

void AttemptRunner::WaitUntilIdle() {
  std::unique_lock lock(mutex_);
  landed_.wait(lock, [&] { return flights_ == 0; });
}

}  // namespace outrider::consumer
