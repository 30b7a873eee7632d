// Builds events for the tests of the event reader.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "model/event.h"

namespace outrider::consumer {

inline constexpr std::string_view kPlainRequest =
    R"({"dedupe_key": "order-1", "channel": "ops-alerts", "message": {"text": "hello"}})";

class EventBuilder {
 public:
  EventBuilder() {
    event_.position = {"outbox.event.notification", 3, 41};
    event_.key = "order-1";
    event_.value = std::string(kPlainRequest);
  }
  EventBuilder& Value(std::optional<std::string> value) {
    event_.value = std::move(value);
    return *this;
  }
  EventBuilder& Header(std::string name, std::optional<std::string> value) {
    event_.headers.push_back({std::move(name), std::move(value)});
    return *this;
  }
  EventBuilder& Topic(std::string topic) {
    event_.position.topic = std::move(topic);
    return *this;
  }
  // The headers that a CloudEvent in binary mode must have.
  EventBuilder& CloudEvent() {
    return Header("ce_specversion", "1.0")
        .Header("ce_id", "ce-7")
        .Header("ce_source", "/shop")
        .Header("ce_type", "paid");
  }
  const Event& event() const { return event_; }

 private:
  Event event_;
};

}  // namespace outrider::consumer
