#include "model/delivery_status.h"

namespace outrider {

std::string_view ToString(DeliveryStatus status) {
  switch (status) {
    case DeliveryStatus::kPending:
      return "pending";
    case DeliveryStatus::kSending:
      return "sending";
    case DeliveryStatus::kSent:
      return "sent";
    case DeliveryStatus::kFailed:
      return "failed";
    case DeliveryStatus::kDead:
      return "dead";
    case DeliveryStatus::kSkipped:
      return "skipped";
  }
  return "unknown";
}

std::string_view ToString(DeliveryEvent event) {
  switch (event) {
    case DeliveryEvent::kClaimed:
      return "claimed";
    case DeliveryEvent::kAccepted:
      return "accepted";
    case DeliveryEvent::kRefused:
      return "refused";
    case DeliveryEvent::kNotNow:
      return "not_now";
    case DeliveryEvent::kAttemptsExhausted:
      return "attempts_exhausted";
    case DeliveryEvent::kHeld:
      return "held";
    case DeliveryEvent::kHeldTooLong:
      return "held_too_long";
    case DeliveryEvent::kUnreachable:
      return "unreachable";
    case DeliveryEvent::kLeaseExpired:
      return "lease_expired";
    case DeliveryEvent::kExpired:
      return "expired";
    case DeliveryEvent::kQuotaUsedUp:
      return "quota_used_up";
    case DeliveryEvent::kCancelled:
      return "cancelled";
    case DeliveryEvent::kRescheduled:
      return "rescheduled";
    case DeliveryEvent::kUncertainHeld:
      return "uncertain_held";
    case DeliveryEvent::kReplayed:
      return "replayed";
    case DeliveryEvent::kReopened:
      return "reopened";
    case DeliveryEvent::kDiscarded:
      return "discarded";
  }
  return "unknown";
}

std::optional<DeliveryStatus> ParseDeliveryStatus(std::string_view text) {
  for (const DeliveryStatus status : {DeliveryStatus::kPending, DeliveryStatus::kSending, DeliveryStatus::kSent,
                                      DeliveryStatus::kFailed, DeliveryStatus::kDead, DeliveryStatus::kSkipped}) {
    if (ToString(status) == text) return status;
  }
  return std::nullopt;
}

}  // namespace outrider
