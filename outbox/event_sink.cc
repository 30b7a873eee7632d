#include "outbox/event_sink.h"

namespace outrider::outbox {

std::string_view ToString(PoisonReason reason) {
  switch (reason) {
    case PoisonReason::kCannotBePublished:
      return "cannot_be_published";
    case PoisonReason::kIllegalTopic:
      return "illegal_topic";
    case PoisonReason::kTopicNotAllowed:
      return "topic_not_allowed";
    case PoisonReason::kTooLarge:
      return "too_large";
    case PoisonReason::kRefusedByBroker:
      return "refused_by_broker";
  }
  return "";
}

}  // namespace outrider::outbox
