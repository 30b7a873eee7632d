// The redactor. The input: a letter that chooses how a secret is written, the text in front of it up to byte 0x1E, the
// text behind it. The secret is planted between the two.
#include <array>
#include <string>

#include "model/text.h"
#include "providers/redact.h"
#include "tests/fuzz/fuzz.h"

namespace outrider::fuzz {
namespace {

struct Frame {
  std::string_view before;
  std::string_view after;
};

// Shapes by which a secret is known in any text. A space in front keeps a name from being part of a longer one.
constexpr std::array kFrames = {
    Frame{" /hook/", " "},
    Frame{" \\/hook\\/", "\""},
    Frame{" %2Fhook%2F", " "},
    Frame{" /services/T0/B0/", " "},
    Frame{" /bot12345:", "/sendMessage"},
    Frame{" ?access_token=", "&a=b"},
    Frame{" sign=", "\""},
    Frame{" key: ", ", "},
    Frame{" \"app_secret\":\"", "\""},
    Frame{" \\\"tenant_access_token\\\":\\\"", "\\\""},
    Frame{" Authorization: Bearer ", "\n"},
    Frame{" x ://user:", "@host/"},
};

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

void RedactInput(std::string_view input) {
  if (input.empty()) return;
  const Frame& frame = kFrames[static_cast<unsigned char>(input.front()) % kFrames.size()];
  input.remove_prefix(1);
  const std::string before(TakePart(input, "\x1E"));
  const std::string after(input);
  if (Contains(before + after, "CANARY")) return;
  const std::string canary(kCanary);

  const std::string framed = before + std::string(frame.before) + canary + std::string(frame.after) + after;
  const std::string clean = providers::Redact(framed, providers::kMaxAnswerCharacters);
  Claim(!Contains(clean, canary), "a secret is known by its shape");
  Claim(IsValidUtf8(clean) && !Contains(clean, std::string_view("\0", 1)), "the result can be stored");
  Claim(CountCodePoints(clean) <= providers::kMaxAnswerCharacters, "the result is capped");

  const std::array<std::string_view, 1> known = {canary};
  const std::string told = providers::Redact(before + canary + after, providers::kMaxAnswerCharacters, known);
  Claim(!Contains(told, canary), "a known secret disappears wherever it stands");
  const std::string id = providers::RedactId(before + after);
  Claim(id.size() <= 128 && IsValidUtf8(id), "an id fits its column");
}

}  // namespace
}  // namespace outrider::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  outrider::fuzz::RedactInput(outrider::fuzz::InputText(data, size));
  return 0;
}
