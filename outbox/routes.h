// Routes: to which topic a row goes, by its aggregatetype. A value; pure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "model/result.h"

namespace outrider::outbox {

struct Routes {
  std::map<std::string, std::string, std::less<>> topics;  // by aggregatetype
  bool only = false;                                       // what isn't listed can't be published
  friend bool operator==(const Routes&, const Routes&) = default;
};

// What makes a text no name of a Kafka topic ("is empty", "has a character ..."); empty: it is one.
std::string TopicFault(std::string_view topic);

// The route's topic, or outbox.event.<aggregatetype>, in `topic`. kInvalid: there is none; native_code is a
// PoisonReason.
Result<void> FindTopic(const Routes& routes, std::string_view aggregatetype, std::string& topic);

}  // namespace outrider::outbox
