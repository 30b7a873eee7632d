// The record of the log, read by consumer/event_reader. The input: a line for the key, a line for each header ("name:
// value", or the name alone for a null one; byte 0x1F stands for a line feed), an empty line, the value. Without the
// empty line there is no value: a tombstone.
#include <algorithm>
#include <array>
#include <string>

#include "consumer/event_reader.h"
#include "model/text.h"
#include "tests/fuzz/fuzz.h"

namespace outrider::fuzz {
namespace {

constexpr std::array<std::string_view, 10> kReasons = {
    "tombstone",       "headers_too_large", "invalid_headers",          "too_large",          "not_json",
    "invalid_request", "invalid_envelope",  "unsupported_content_type", "unknown_event_type", "unknown_event_version"};
constexpr std::size_t kMaxTraceparent = 64;
constexpr std::size_t kMaxTracestate = 512;

std::string HeaderText(std::string_view text) {
  std::string with_lines(text);
  std::ranges::replace(with_lines, '\x1F', '\n');
  return with_lines;
}

Event EventOf(std::string_view input) {
  Event event;
  event.position = {.topic = "outbox.event.notification", .partition = 3, .offset = 41};
  const bool has_value = input.find("\n\n") != std::string_view::npos;
  std::string_view head = TakePart(input, "\n\n");
  if (has_value) event.value = std::string(input);
  event.key = std::string(TakePart(head, "\n"));
  while (!head.empty()) {
    std::string_view line = TakePart(head, "\n");
    const bool is_null = line.find(": ") == std::string_view::npos;
    EventHeader header{HeaderText(TakePart(line, ": ")), std::nullopt};
    if (!is_null) header.value = HeaderText(line);
    event.headers.push_back(std::move(header));
  }
  return event;
}

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; });
}

void ReadInput(std::string_view input) {
  const consumer::EventReading reading = consumer::ReadEvent(EventOf(input));
  Claim(reading.request.has_value() == reading.faults.empty(), "either a request or faults");
  Claim(reading.reason.empty() == reading.faults.empty(), "faults have a reason");
  Claim(reading.reason.empty() || std::ranges::find(kReasons, reading.reason) != kReasons.end(),
        "the reason is one of the list");
  Claim(reading.faults.size() <= 2 * kMaxFaults, "the faults are bounded");
  for (const RequestFault& fault : reading.faults) {
    Claim(!fault.problem.empty() && IsValidUtf8(fault.problem) && IsValidUtf8(fault.pointer), "a fault can be told");
  }
  Claim(!reading.event_id.empty() && IsValidUtf8(reading.event_id) &&
            CountCodePoints(reading.event_id) <= consumer::kMaxEventId,
        "there is an event id that fits its column");
  Claim(reading.traceparent.size() <= kMaxTraceparent && IsPrintable(reading.traceparent), "a trace can be used");
  Claim(reading.tracestate.size() <= kMaxTracestate && IsPrintable(reading.tracestate), "a trace's state can be used");
  for (const std::string& field : reading.unknown_fields) Claim(IsValidUtf8(field), "an unknown field can be told");
  if (!reading.request) return;
  Claim(reading.content_hash != Digest{}, "a request has a content");
  Claim(ParseRequest(ToJson(*reading.request)).request == reading.request, "what is recorded is read back");
}

}  // namespace
}  // namespace outrider::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  outrider::fuzz::ReadInput(outrider::fuzz::InputText(data, size));
  return 0;
}
