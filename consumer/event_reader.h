// Event reader: what an event of the log says, whichever of the accepted envelopes it comes in.
//
// Outrider's and Debezium's records (headers id, eventType, createdAt, traceparent, tracestate), those of any producer
// with this key and value, CloudEvents 1.0 (binary and structured), and SmartFlow's envelope. Structure alone decides:
// whether a channel exists isn't looked at. Pure, total, bounded: any bytes give a reading, and what has no request has
// a stable reason and every fault.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/digest.h"
#include "model/event.h"
#include "model/request.h"
#include "model/time.h"

namespace outrider::consumer {

struct EventReading {
  std::optional<NotificationRequest> request;  // set when there is no fault
  // Why there is none: tombstone, headers_too_large, invalid_headers, too_large, not_json, invalid_request,
  // invalid_envelope, unsupported_content_type, unknown_event_type, unknown_event_version.
  std::string reason;
  // The pointer is the payload's JSON pointer, or "headers/NAME".
  std::vector<RequestFault> faults;
  std::string
      event_id;  // 1 to 64 characters: given, made from topic, partition and offset, or the SHA-256 of a longer one
  std::optional<Timestamp> created_at;
  std::string traceparent, tracestate;  // empty when there are none, or none that can be used
  Digest content_hash{};
  std::vector<std::string> unknown_fields;
};

// All names and values together, each header counted with 16 bytes more.
inline constexpr std::size_t kMaxHeaderBytes = 64 * 1024;
inline constexpr std::size_t kMaxEventId = 64;

EventReading ReadEvent(const Event& event);

}  // namespace outrider::consumer
