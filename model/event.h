// An event on its way: one Kafka record, whoever produced it. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/time.h"

namespace outrider {

struct EventHeader {
  std::string name;
  std::optional<std::string> value;  // a null header and an absent one mean the same
};

// Where an event stands in a log. The direct transport uses topic "direct:<source>", partition 0 and the row's seq.
struct EventPosition {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  friend bool operator==(const EventPosition&, const EventPosition&) = default;
};

struct Event {
  EventPosition position;
  std::optional<std::string> key;
  std::optional<std::string> value;  // none: a tombstone
  std::vector<EventHeader> headers;
  Timestamp timestamp{};  // the broker's time of publishing
};

}  // namespace outrider
