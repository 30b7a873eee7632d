// SmartFlow's event as a request: channel `feishu`, recipient `user:<user_id>`, the text made of summary, fallback and
// target by its own rules (model/message_text.h), everything else as metadata. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "consumer/event_reader.h"

namespace outrider::consumer {

// Nothing when the value isn't SmartFlow's envelope. `event_id` stays empty when the envelope has none. The caller adds
// what stands in headers.
std::optional<EventReading> ReadSmartFlowEvent(std::string_view value);

}  // namespace outrider::consumer
