// The life of one notification, and the only place that says what may follow what.
//
// Stores apply transitions, services ask for them, nobody writes a status by hand. model/README.md draws the table; a
// test compares the two. Pure.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace outrider {

enum class DeliveryStatus { kPending, kSending, kSent, kFailed, kDead, kSkipped };

enum class DeliveryEvent {
  kClaimed,            // a consumer takes it to send it
  kAccepted,           // positive proof that the provider took it
  kRefused,            // this message never will be taken
  kNotNow,             // not taken, attempts left
  kAttemptsExhausted,  // not taken (or lease expired), none left
  kHeld,               // the channel is at fault, not the message: no attempt spent
  kHeldTooLong,        // held, or parked before its first claim, for longer than max_age
  kUnreachable,        // the recipient can't or mustn't receive, or the channel is off
  kLeaseExpired,       // its sender vanished: failed, and uncertain if bytes may have left
  kExpired,            // expires_at has passed
  kQuotaUsedUp,
  kCancelled,      // by a person
  kRescheduled,    // parked, released, rescheduled, re-prioritised
  kUncertainHeld,  // failed and in doubt, and the policy is to hold
  kReplayed,       // by a person
  kReopened,       // by a different event with the same key, where the channel allows it
  kDiscarded,      // by a person
};

struct Transition {
  DeliveryStatus from;
  DeliveryEvent event;
  DeliveryStatus to;
};

inline constexpr std::array kTransitions = {
    Transition{DeliveryStatus::kPending, DeliveryEvent::kClaimed, DeliveryStatus::kSending},
    Transition{DeliveryStatus::kFailed, DeliveryEvent::kClaimed, DeliveryStatus::kSending},
    Transition{DeliveryStatus::kSending, DeliveryEvent::kAccepted, DeliveryStatus::kSent},
    Transition{DeliveryStatus::kSending, DeliveryEvent::kRefused, DeliveryStatus::kDead},
    Transition{DeliveryStatus::kSending, DeliveryEvent::kNotNow, DeliveryStatus::kFailed},
    Transition{DeliveryStatus::kSending, DeliveryEvent::kAttemptsExhausted, DeliveryStatus::kDead},
    Transition{DeliveryStatus::kSending, DeliveryEvent::kHeld, DeliveryStatus::kFailed},
    Transition{DeliveryStatus::kSending, DeliveryEvent::kHeldTooLong, DeliveryStatus::kDead},
    Transition{DeliveryStatus::kPending, DeliveryEvent::kHeldTooLong, DeliveryStatus::kDead},
    Transition{DeliveryStatus::kFailed, DeliveryEvent::kHeldTooLong, DeliveryStatus::kDead},
    Transition{DeliveryStatus::kSending, DeliveryEvent::kUnreachable, DeliveryStatus::kSkipped},
    Transition{DeliveryStatus::kSending, DeliveryEvent::kLeaseExpired, DeliveryStatus::kFailed},
    Transition{DeliveryStatus::kPending, DeliveryEvent::kExpired, DeliveryStatus::kSkipped},
    Transition{DeliveryStatus::kFailed, DeliveryEvent::kExpired, DeliveryStatus::kSkipped},
    Transition{DeliveryStatus::kPending, DeliveryEvent::kQuotaUsedUp, DeliveryStatus::kSkipped},
    Transition{DeliveryStatus::kFailed, DeliveryEvent::kQuotaUsedUp, DeliveryStatus::kSkipped},
    Transition{DeliveryStatus::kPending, DeliveryEvent::kCancelled, DeliveryStatus::kSkipped},
    Transition{DeliveryStatus::kFailed, DeliveryEvent::kCancelled, DeliveryStatus::kSkipped},
    Transition{DeliveryStatus::kPending, DeliveryEvent::kRescheduled, DeliveryStatus::kPending},
    Transition{DeliveryStatus::kFailed, DeliveryEvent::kRescheduled, DeliveryStatus::kFailed},
    Transition{DeliveryStatus::kFailed, DeliveryEvent::kUncertainHeld, DeliveryStatus::kDead},
    Transition{DeliveryStatus::kDead, DeliveryEvent::kReplayed, DeliveryStatus::kPending},
    Transition{DeliveryStatus::kSkipped, DeliveryEvent::kReplayed, DeliveryStatus::kPending},
    Transition{DeliveryStatus::kDead, DeliveryEvent::kReopened, DeliveryStatus::kPending},
    Transition{DeliveryStatus::kSkipped, DeliveryEvent::kReopened, DeliveryStatus::kPending},
    Transition{DeliveryStatus::kDead, DeliveryEvent::kDiscarded, DeliveryStatus::kSkipped},
};

// Nothing when the event isn't legal in that state.
constexpr std::optional<DeliveryStatus> Next(DeliveryStatus from, DeliveryEvent event) {
  for (const Transition& transition : kTransitions) {
    if (transition.from == from && transition.event == event) return transition.to;
  }
  return std::nullopt;
}

constexpr bool IsTerminal(DeliveryStatus status) {
  return status == DeliveryStatus::kSent || status == DeliveryStatus::kDead || status == DeliveryStatus::kSkipped;
}

// "pending", ... as the column holds it.
std::string_view ToString(DeliveryStatus status);
std::string_view ToString(DeliveryEvent event);
std::optional<DeliveryStatus> ParseDeliveryStatus(std::string_view text);

}  // namespace outrider
