#include "consumer/settlement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>
#include <string_view>

#include "providers/provider.h"
#include "providers/provider_table.h"

namespace outrider::consumer {
namespace {

using std::chrono::milliseconds;

// Of a vendor that recognises a repetition, inside its window: soon, because the answer may only have been late.
constexpr std::array<milliseconds, 7> kRepeats = {
    std::chrono::seconds{10}, std::chrono::seconds{30}, std::chrono::minutes{2}, std::chrono::minutes{5},
    std::chrono::minutes{10}, std::chrono::minutes{15}, std::chrono::minutes{20}};

int MostAttempts(const Record& record, const SettleRules& rules) {
  return record.max_attempts > 0 ? record.max_attempts : rules.retry.max_attempts;
}

bool AttemptsLeft(const Record& record, const SettleRules& rules) {
  return record.attempts_spent < MostAttempts(record, rules);
}

bool KeyHolds(const Record& record, const SettleRules& rules, milliseconds from_now) {
  return rules.key_dedupes && record.send_key_age && *record.send_key_age + from_now < kSendKeyWindow;
}

Change Held(const Record& record, const SettleRules& rules, milliseconds due_in) {
  if (record.held_for && *record.held_for >= rules.max_age) {
    Change change = MakeChange(record, DeliveryEvent::kHeldTooLong, kRecordSettled);
    change.reason = "held_too_long";
    return change;
  }
  Change change = MakeChange(record, DeliveryEvent::kHeld, kRecordSettled);
  change.due_in = due_in;
  change.give_attempt_back = true;
  change.held = Change::Held::kYes;
  return change;
}

bool MayRepeat(const Record& record, const SettleRules& rules, milliseconds from_now) {
  return rules.on_uncertain == providers::OnUncertain::kRetry || KeyHolds(record, rules, from_now);
}

// One question a key, one extra claim a record: who died while asking has spent it.
bool MayAsk(const Record& record, const SettleRules& rules) {
  return rules.can_reconcile && !record.send_key.empty() && record.reason != kNotReconciled &&
         record.attempts_spent <= MostAttempts(record, rules);
}

milliseconds RepeatDelay(const Record& record, const SettleRules& rules, double random,
                         std::optional<milliseconds> retry_after) {
  if (!KeyHolds(record, rules, milliseconds{0})) {
    return RetryDelay(rules.retry, record.attempts_spent, random, retry_after);
  }
  RetryPolicy repeats = rules.retry;
  repeats.schedule.assign(kRepeats.begin(), kRepeats.end());
  return RetryDelay(repeats, record.attempts_spent, random, retry_after);
}

// Nobody knows whether it was taken.
Change InDoubt(const Record& record, const SettleRules& rules, DeliveryEvent again, std::string_view what,
               std::optional<milliseconds> retry_after, double random) {
  const milliseconds delay = RepeatDelay(record, rules, random, retry_after);
  const bool may_repeat = MayRepeat(record, rules, delay);
  if (may_repeat && !AttemptsLeft(record, rules) && !MayAsk(record, rules)) {
    Change change = MakeChange(record, DeliveryEvent::kAttemptsExhausted, what);
    change.uncertain = true;
    change.reason = "attempts_exhausted";
    return change;
  }
  Change change = MakeChange(record, again, what);
  change.uncertain = true;
  // What may not be repeated is asked about, or ended, at the next look (ShallReconcile, EndUnsent).
  const bool repeats = AttemptsLeft(record, rules) && KeyHolds(record, rules, delay);
  const bool asks = !repeats && MayAsk(record, rules);
  change.due_in = may_repeat && !asks ? delay : milliseconds{0};
  return change;
}

AttemptRow RowOf(const Record& record, const SendOutcome& outcome) {
  AttemptRow row;
  row.attempt_no = record.attempt_no;
  row.verdict = ToString(outcome.verdict);
  row.reason = outcome.reason;
  row.http_status = outcome.http_status;
  row.provider_code = outcome.provider_code;
  row.provider_log_id = outcome.provider_log_id;
  row.detail = outcome.detail;
  row.answer = outcome.answer;
  return row;
}

// The message's form was refused, not the message: its next one is another content, sent at once and for nothing.
Change Simplified(const Record& record) {
  Change change = MakeChange(record, DeliveryEvent::kNotNow, kRecordSettled);
  change.due_in = milliseconds{0};
  change.give_attempt_back = true;
  change.new_send_key = true;
  change.simpler_form = true;
  return change;
}

Change Choose(const Record& record, const SendOutcome& outcome, const SettleRules& rules, milliseconds hold,
              double random) {
  if (NeverLeft(outcome)) {
    Change change = MakeChange(record, DeliveryEvent::kHeld, kRecordReturned);
    change.due_in = milliseconds{0};
    change.give_attempt_back = true;
    return change;
  }
  if (IsChannelsFault(outcome)) return Held(record, rules, std::max(hold, outcome.retry_after.value_or(hold)));
  switch (outcome.verdict) {
    case SendVerdict::kAccepted: {
      Change change = MakeChange(record, DeliveryEvent::kAccepted, kRecordSettled);
      // An earlier request may have been taken too, unless this success is proof that both are the same one.
      change.uncertain = record.uncertain && !KeyHolds(record, rules, milliseconds{0});
      return change;
    }
    case SendVerdict::kRefused:
      // Under a new key, so never while an earlier request may have been taken.
      if (outcome.downgrade && record.has_simpler && !record.uncertain) return Simplified(record);
      return MakeChange(record, DeliveryEvent::kRefused, kRecordSettled);
    case SendVerdict::kUnreachable:
      return MakeChange(record, DeliveryEvent::kUnreachable, kRecordSettled);
    case SendVerdict::kNotNow:
    case SendVerdict::kChannelDown:
      break;
    case SendVerdict::kNoAnswer:
      return InDoubt(record, rules, DeliveryEvent::kNotNow, kRecordSettled, outcome.retry_after, random);
  }
  if (!AttemptsLeft(record, rules)) {
    Change change = MakeChange(record, DeliveryEvent::kAttemptsExhausted, kRecordSettled);
    change.reason = "attempts_exhausted";
    return change;
  }
  Change change = MakeChange(record, DeliveryEvent::kNotNow, kRecordSettled);
  change.due_in = RetryDelay(rules.retry, record.attempts_spent, random, outcome.retry_after);
  return change;
}

}  // namespace

double RandomShare() {
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(random);
}

SettleRules::SettleRules(const providers::ChannelSettings& channel, std::chrono::hours longest_hold)
    : retry(channel.retry), on_uncertain(channel.on_uncertain), max_age(longest_hold) {
  const providers::ProviderInfo* provider = providers::FindProvider(channel.provider);
  key_dedupes = provider != nullptr && provider->has_send_key &&
                (provider->trusts_send_key == nullptr || provider->trusts_send_key(channel));
  can_reconcile = provider != nullptr && provider->can_reconcile;
}

bool NeverLeft(const SendOutcome& outcome) {
  return outcome.verdict == SendVerdict::kNotNow &&
         std::ranges::find(providers::kOwnReasons, outcome.reason) != providers::kOwnReasons.end();
}

bool IsChannelsFault(const SendOutcome& outcome) {
  if (outcome.verdict == SendVerdict::kChannelDown) return true;
  return outcome.verdict == SendVerdict::kNotNow && (outcome.throttled || outcome.retry_after.has_value());
}

Change Settle(const Record& record, const SendOutcome& outcome, const SettleRules& rules, milliseconds hold,
              double random) {
  Change change = Choose(record, outcome, rules, hold, random);
  if (NeverLeft(outcome)) return change;
  if (!IsChannelsFault(outcome)) change.held = Change::Held::kNo;
  const bool accepted = outcome.verdict == SendVerdict::kAccepted;
  if (!accepted && change.reason.empty()) change.reason = outcome.reason;
  change.writes_answer = true;
  if (!accepted) change.last_error = fmt::format("{}: {}", outcome.reason, outcome.detail);
  change.provider_message_id = outcome.provider_message_id;
  change.provider_log_id = outcome.provider_log_id;
  change.attempt = RowOf(record, outcome);
  return change;
}

std::optional<Change> EndUnsent(const Record& record, const SettleRules& rules) {
  if (record.expires_in && record.expires_in->count() <= 0) {
    Change change = MakeChange(record, DeliveryEvent::kExpired, kRecordEnded);
    change.reason = "expired";
    return change;
  }
  if (record.status != DeliveryStatus::kFailed || !record.uncertain || ShallReconcile(record, rules)) {
    return std::nullopt;
  }
  const bool may_repeat = MayRepeat(record, rules, milliseconds{0});
  if (may_repeat && AttemptsLeft(record, rules)) return std::nullopt;
  Change change = MakeChange(record, DeliveryEvent::kUncertainHeld, kRecordEnded);
  change.reason = may_repeat ? "attempts_exhausted" : "uncertain";
  return change;
}

bool ShallReconcile(const Record& record, const SettleRules& rules) {
  if (record.status != DeliveryStatus::kFailed || !record.uncertain || !MayAsk(record, rules)) return false;
  return !AttemptsLeft(record, rules) || !KeyHolds(record, rules, milliseconds{0});
}

Change SettleReconciled(const Record& record, const SendOutcome& outcome, const SettleRules& rules, milliseconds hold,
                        double random) {
  if (NeverLeft(outcome) || IsChannelsFault(outcome)) return Settle(record, outcome, rules, hold, random);
  const bool taken = outcome.verdict == SendVerdict::kAccepted;
  const bool not_taken = outcome.verdict == SendVerdict::kNotNow && outcome.reason == kNotTaken;
  Record before = record;  // the question cost nothing
  --before.attempts_spent;
  DeliveryEvent event = DeliveryEvent::kNotNow;
  if (taken) event = DeliveryEvent::kAccepted;
  if (not_taken && !AttemptsLeft(before, rules)) event = DeliveryEvent::kAttemptsExhausted;
  Change change = MakeChange(record, event, kRecordSettled);
  change.give_attempt_back = true;
  change.held = Change::Held::kNo;
  change.writes_answer = true;
  change.provider_message_id = outcome.provider_message_id;
  change.provider_log_id = outcome.provider_log_id;
  change.uncertain = !taken && !not_taken;
  if (!taken) {
    change.reason = not_taken ? kNotTaken : kNotReconciled;
    change.last_error = fmt::format("{}: {}", outcome.reason, outcome.detail);
  }
  if (event == DeliveryEvent::kAttemptsExhausted) change.reason = "attempts_exhausted";
  if (event == DeliveryEvent::kNotNow) {
    change.due_in =
        not_taken ? RetryDelay(rules.retry, before.attempts_spent, random, outcome.retry_after) : milliseconds{0};
    change.new_send_key = not_taken;
  }
  change.attempt = RowOf(record, outcome);
  change.attempt->verdict = kReconciledVerdict;
  change.attempt->reason = taken ? "taken" : change.reason;
  return change;
}

Change Recover(const Record& record, const SettleRules& rules, double random) {
  Change change = InDoubt(record, rules, DeliveryEvent::kLeaseExpired, kRecordRecovered, std::nullopt, random);
  if (change.reason.empty()) change.reason = kLeaseExpired;
  AttemptRow row;
  row.attempt_no = record.attempt_no;
  row.started_ago = record.unchanged_for;
  row.duration = record.unchanged_for;
  row.worker = record.lease_owner;
  row.verdict = kLeaseExpired;
  row.reason = kLeaseExpired;
  row.detail = "the process that sent it vanished, or was paused for too long; whether it was taken is unknown";
  change.attempt = std::move(row);
  return change;
}

}  // namespace outrider::consumer
