// Settlement: what an outcome makes of a record. The status table decides what may follow (model/delivery_status.h);
// here stand the rules that choose the event, the next due time, what it costs and what stays in doubt.
//
// Pure (but for RandomShare): the clock is in the record, the random number is a parameter.
#pragma once

#include <chrono>
#include <optional>

#include "consumer/record.h"
#include "model/outcome.h"
#include "model/retry_policy.h"
#include "providers/channel.h"

namespace outrider::consumer {

struct SettleRules {
  SettleRules() = default;
  SettleRules(const providers::ChannelSettings& channel, std::chrono::hours longest_hold);

  RetryPolicy retry;
  providers::OnUncertain on_uncertain = providers::OnUncertain::kRetry;
  bool key_dedupes = false;    // the vendor takes one of all requests with the same send key, inside its window
  bool can_reconcile = false;  // the vendor can be asked whether it took a send key
  std::chrono::hours max_age{72};
};

// Inside it the same send key is believed to be recognised: Feishu's hour, less five minutes.
inline constexpr std::chrono::minutes kSendKeyWindow{55};
// The reason of a failed record whose vendor was asked and couldn't say.
inline constexpr std::string_view kNotReconciled = "not_reconciled";

// Certainly no byte left, for reasons of our own: the claim is given back as if it hadn't been.
bool NeverLeft(const SendOutcome& outcome);
// The channel's fault or limit, not this message's: nothing is spent.
bool IsChannelsFault(const SendOutcome& outcome);

// REQUIRES: the record as it was claimed (status sending, this attempt counted). `hold`: how long the channel is left
// alone, for outcomes that are the channel's fault. `random` is in [0, 1).
Change Settle(const Record& record, const SendOutcome& outcome, const SettleRules& rules,
              std::chrono::milliseconds hold, double random);

// A failed record in doubt is not to be sent but asked about: its key doesn't hold any more (or its attempts are used
// up), and the vendor wasn't asked yet. Costs no attempt, and happens once even if the process that asks dies of it.
bool ShallReconcile(const Record& record, const SettleRules& rules);

// What the vendor's word on a record in doubt makes of it: sent and certain, failed and certain (it goes on under a new
// key), or failed and as doubtful as before. REQUIRES: as for Settle().
Change SettleReconciled(const Record& record, const SendOutcome& outcome, const SettleRules& rules,
                        std::chrono::milliseconds hold, double random);

// What ends a pending or failed record before it is sent again: it has expired, or it is in doubt and the policy is to
// leave that to a person.
std::optional<Change> EndUnsent(const Record& record, const SettleRules& rules);

// REQUIRES: the record is sending and its lease has expired. Its bytes may have left.
Change Recover(const Record& record, const SettleRules& rules, double random);

// In [0, 1), for the jitter of delays. Thread-safe.
double RandomShare();

}  // namespace outrider::consumer
