#include "outbox/event_sink.h"

namespace outrider::outbox {

std::string TopicOf(const OutboxRow& row) { return "outbox.event." + row.aggregatetype; }

}  // namespace outrider::outbox
