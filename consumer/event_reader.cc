#include "consumer/event_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "consumer/smartflow_event.h"
#include "model/text.h"
#include "platform/crypto/hmac.h"

namespace outrider::consumer {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kHeaderOverhead = 16;
constexpr std::size_t kMaxTraceparent = 64;
constexpr std::size_t kMaxTracestate = 512;
constexpr std::string_view kStructuredType = "application/cloudevents+json";
constexpr std::string_view kCloudEventsTypes = "application/cloudevents";
constexpr std::string_view kCloudEventsVersion = "1.0";
constexpr std::string_view kCloudEventsPrefix = "ce_";

void AddFault(EventReading& reading, std::string_view reason, std::string pointer, std::string problem) {
  if (reading.reason.empty()) reading.reason = reason;
  reading.faults.push_back({std::move(pointer), std::move(problem)});
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return lower;
}

// "application/json" of "Application/JSON; charset=utf-8".
std::string MediaType(std::string_view content_type) {
  return Lower(TrimSpace(content_type.substr(0, content_type.find(';'))));
}

bool IsJsonType(std::string_view media_type) {
  return media_type.empty() || media_type == "application/json" || media_type == "text/json" ||
         media_type.ends_with("+json");
}

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
}

class EventReader {
 public:
  explicit EventReader(const Event& event) : event_(event) {}

  EventReading Read() && {
    CheckHeaderSize();
    const std::string content_type = headers_usable_ ? MediaType(Header("content-type").value_or("")) : "";
    if (!event_.value) {
      AddFault(reading_, "tombstone", "", "is a tombstone: the record has no value");
      ReadOutriderHeaders();
    } else if (content_type == kStructuredType) {
      ReadStructured();
    } else if (content_type.starts_with(kCloudEventsTypes)) {
      AddFault(reading_, "unsupported_content_type", "headers/content-type",
               fmt::format("must be {} for a CloudEvent in structured mode", kStructuredType));
    } else if (Header("ce_specversion") || Header("ce_id")) {
      ReadBinary(content_type);
    } else if (auto smartflow = ReadSmartFlowEvent(*event_.value)) {
      Adopt(std::move(*smartflow));
      ReadTrace("traceparent", "tracestate");
    } else {
      ReadOutriderHeaders();
      ReadPayload(*event_.value, "");
    }
    Finish();
    return std::move(reading_);
  }

 private:
  // ---- Headers ----

  void CheckHeaderSize() {
    std::size_t bytes = 0;
    for (const EventHeader& header : event_.headers) {
      bytes += header.name.size() + (header.value ? header.value->size() : 0) + kHeaderOverhead;
    }
    headers_usable_ = bytes <= kMaxHeaderBytes;
    if (headers_usable_) return;
    AddFault(reading_, "headers_too_large", "headers",
             fmt::format("have {} bytes; at most {} are allowed", bytes, kMaxHeaderBytes));
  }

  // The last one of that name; a null one and a blank one are absent. A value that isn't text is a fault and absent.
  std::optional<std::string> Header(std::string_view name) {
    if (!headers_usable_) return std::nullopt;
    for (auto header = event_.headers.rbegin(); header != event_.headers.rend(); ++header) {
      if (!header->value || header->name.size() != name.size() || Lower(header->name) != Lower(name)) continue;
      if (!IsValidUtf8(*header->value)) {
        NoteUnreadable(name);
        return std::nullopt;
      }
      const std::string_view value = TrimSpace(*header->value);
      if (value.empty()) return std::nullopt;
      return std::string(value);
    }
    return std::nullopt;
  }

  void NoteUnreadable(std::string_view name) {
    const std::string pointer = fmt::format("headers/{}", name);
    if (std::ranges::find(reading_.faults, pointer, &RequestFault::pointer) != reading_.faults.end()) return;
    AddFault(reading_, "invalid_headers", pointer, "is not valid UTF-8");
  }

  void ReadOutriderHeaders() {
    reading_.event_id = Header("id").value_or("");
    ReadTime(Header("createdAt"), "headers/createdAt", "invalid_headers");
    ReadTrace("traceparent", "tracestate");
  }

  void ReadTime(const std::optional<std::string>& text, std::string pointer, std::string_view reason) {
    if (!text) return;
    reading_.created_at = ParseRfc3339(*text);
    if (!reading_.created_at) {
      AddFault(reading_, reason, std::move(pointer),
               "must be an RFC 3339 time with an offset, from 1970 to 9999, such as 2026-11-24T05:11:41Z");
    }
  }

  // A trace that can't be used is left out: it says nothing about the notification.
  void ReadTrace(std::string_view parent, std::string_view state) {
    const auto usable = [](const std::optional<std::string>& text, std::size_t limit) {
      return text && text->size() <= limit && IsPrintable(*text);
    };
    const auto traceparent = Header(parent);
    const auto tracestate = Header(state);
    if (!usable(traceparent, kMaxTraceparent)) return;
    reading_.traceparent = *traceparent;
    if (usable(tracestate, kMaxTracestate)) reading_.tracestate = *tracestate;
  }

  // ---- CloudEvents ----

  void ReadStructured() {
    const std::string& value = *event_.value;
    auto canonical = value.size() <= kMaxPayloadBytes ? CanonicalJson(value) : std::nullopt;
    if (!canonical) {
      ReadPayload(value, "");
      return;
    }
    const Json envelope = Json::parse(*canonical);
    if (!envelope.is_object()) {
      AddFault(reading_, "invalid_envelope", "", "must be an object: a CloudEvent in structured mode");
      return;
    }
    ReadAttributes(envelope, "/");
    const auto type = Attribute(envelope, "datacontenttype");
    if (type && !IsJsonType(MediaType(*type))) RefuseContentType("/datacontenttype");
    if (envelope.contains("data_base64")) {
      const auto encoded = Attribute(envelope, "data_base64");
      const auto payload = encoded ? crypto::DecodeBase64(*encoded) : std::nullopt;
      if (!payload) {
        AddFault(reading_, "invalid_envelope", "/data_base64", "is not base64");
      } else {
        ReadPayload(*payload, "/data_base64");
      }
    } else if (!envelope.contains("data") || envelope["data"].is_null()) {
      AddFault(reading_, "invalid_envelope", "/data", "is missing");
    } else {
      ReadPayload(envelope["data"].dump(), "/data");
    }
  }

  void ReadBinary(std::string_view content_type) {
    Json attributes = Json::object();
    for (const EventHeader& header : event_.headers) {
      const std::string name = Lower(header.name);
      if (!name.starts_with(kCloudEventsPrefix) || !IsValidUtf8(name)) continue;
      if (auto value = Header(name)) attributes[name.substr(kCloudEventsPrefix.size())] = *value;
    }
    ReadAttributes(attributes, "headers/ce_");
    if (reading_.traceparent.empty()) ReadTrace("traceparent", "tracestate");
    if (!IsJsonType(content_type)) RefuseContentType("headers/content-type");
    ReadPayload(*event_.value, "");
  }

  static std::optional<std::string> Attribute(const Json& attributes, std::string_view name) {
    const auto found = attributes.find(name);
    if (found == attributes.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
  }

  void ReadAttributes(const Json& attributes, std::string_view where) {
    static constexpr std::array<std::string_view, 4> kRequired = {"specversion", "id", "source", "type"};
    for (const std::string_view name : kRequired) {
      if (!TrimSpace(Attribute(attributes, name).value_or("")).empty()) continue;
      AddFault(reading_, "invalid_envelope", fmt::format("{}{}", where, name), "must be a text that isn't blank");
    }
    const auto version = Attribute(attributes, "specversion");
    if (version && TrimSpace(*version) != kCloudEventsVersion) {
      AddFault(reading_, "unknown_event_version", fmt::format("{}specversion", where),
               fmt::format("must be {}", kCloudEventsVersion));
    }
    reading_.event_id = TrimSpace(Attribute(attributes, "id").value_or(""));
    if (attributes.contains("time")) {
      ReadTime(Attribute(attributes, "time").value_or(""), fmt::format("{}time", where), "invalid_envelope");
    }
    const std::string traceparent = Attribute(attributes, "traceparent").value_or("");
    const std::string tracestate = Attribute(attributes, "tracestate").value_or("");
    if (traceparent.size() <= kMaxTraceparent && IsPrintable(traceparent)) reading_.traceparent = traceparent;
    if (tracestate.size() <= kMaxTracestate && IsPrintable(tracestate)) reading_.tracestate = tracestate;
  }

  void RefuseContentType(std::string pointer) {
    AddFault(reading_, "unsupported_content_type", std::move(pointer), "must be application/json");
  }

  // ---- The request ----

  void ReadPayload(std::string_view payload, std::string_view prefix) {
    RequestReading request = ParseRequest(payload);
    std::string_view reason = "invalid_request";
    if (payload.size() > kMaxPayloadBytes) {
      reason = "too_large";
    } else if (request.content_hash == Digest{}) {
      reason = "not_json";
    }
    for (RequestFault& fault : request.faults) {
      AddFault(reading_, reason, std::string(prefix) + fault.pointer, std::move(fault.problem));
    }
    reading_.request = std::move(request.request);
    reading_.content_hash = request.content_hash;
    reading_.unknown_fields = std::move(request.unknown_fields);
  }

  // Faults of the headers' size are there already and stay.
  void Adopt(EventReading other) {
    for (RequestFault& fault : other.faults) {
      AddFault(reading_, other.reason, std::move(fault.pointer), std::move(fault.problem));
    }
    other.reason = std::move(reading_.reason);
    other.faults = std::move(reading_.faults);
    reading_ = std::move(other);
  }

  void Finish() {
    if (!reading_.faults.empty()) reading_.request.reset();
    std::string& id = reading_.event_id;
    const EventPosition& at = event_.position;
    if (id.empty()) id = fmt::format("{}/{}/{}", at.topic, at.partition, at.offset);
    if (CountCodePoints(id) > kMaxEventId) id = ToHex(AsBytes(Sha256(id)));
  }

  const Event& event_;
  bool headers_usable_ = true;
  EventReading reading_;
};

}  // namespace

EventReading ReadEvent(const Event& event) { return EventReader(event).Read(); }

}  // namespace outrider::consumer
