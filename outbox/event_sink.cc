#include "outbox/event_sink.h"

namespace outrider::outbox {

std::string TopicOf(const OutboxRow& row) { return std::string(kTopicPrefix) + row.aggregatetype; }

}  // namespace outrider::outbox
