// ParseRequest, CanonicalJson and ToJson. The input is the payload.
#include <string>

#include "model/request.h"
#include "model/text.h"
#include "tests/fuzz/fuzz.h"

namespace outrider::fuzz {
namespace {

void HoldsColumn(std::string_view text, std::size_t limit, std::string_view what) {
  Claim(IsValidUtf8(text) && text.find('\0') == std::string_view::npos && CountCodePoints(text) <= limit, what);
}

void ReadPayload(std::string_view payload) {
  const RequestReading reading = ParseRequest(payload);
  Claim(reading.request.has_value() == reading.faults.empty(), "either a request or faults");
  Claim(reading.faults.size() <= kMaxFaults + 1, "the faults are bounded");
  for (const RequestFault& fault : reading.faults) {
    Claim(!fault.problem.empty() && IsValidUtf8(fault.problem), "a fault says what is wrong");
    Claim(IsValidUtf8(fault.pointer), "a fault says where");
  }
  const std::string line = Describe(reading.faults);
  Claim(line.find('\n') == std::string::npos, "the faults are one line");

  const auto canonical = CanonicalJson(payload);
  if (canonical) {
    Claim(CanonicalJson(*canonical) == canonical, "the canonical form is its own canonical form");
    if (payload.size() <= kMaxPayloadBytes) {
      Claim(reading.content_hash == Sha256(*canonical), "the content's hash is the canonical form's");
    }
  } else {
    Claim(!reading.request.has_value(), "what isn't JSON is no request");
  }
  if (!reading.request) return;

  const NotificationRequest& request = *reading.request;
  Claim(!request.dedupe_key.empty() && TrimSpace(request.dedupe_key) == request.dedupe_key, "a key is trimmed");
  HoldsColumn(request.dedupe_key, kMaxDedupeKey, "the dedupe key fits its column");
  HoldsColumn(request.channel, kMaxChannel, "the channel fits its column");
  HoldsColumn(request.tenant, kMaxTenant, "the tenant fits its column");
  HoldsColumn(request.recipient, kMaxRecipient, "the recipient fits its column");
  HoldsColumn(request.ordering_key, kMaxOrderingKey, "the ordering key fits its column");
  Claim(request.message.has_value() != !request.template_code.empty(), "a message or a template, never both");
  const RequestReading again = ParseRequest(ToJson(request));
  Claim(again.request == reading.request, "what is written is read back");
}

}  // namespace
}  // namespace outrider::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  outrider::fuzz::ReadPayload(outrider::fuzz::InputText(data, size));
  return 0;
}
