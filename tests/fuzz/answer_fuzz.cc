// A vendor's answer, read by providers/feishu_bot. The input is an answer as a person writes one down: the status, a
// line for each header, an empty line, the body. Byte 0x01 stands for the webhook's token and byte 0x02 for the
// channel's secret: an answer may echo both.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string>

#include "model/retry_policy.h"
#include "model/text.h"
#include "providers/feishu_bot.h"
#include "providers/redact.h"
#include "tests/fuzz/fuzz.h"

namespace outrider::fuzz {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kToken = "CANARY0token";
constexpr std::size_t kMaxProviderCode = 64;
constexpr std::size_t kMaxReason = 64;

std::string WithEchoes(std::string_view text) {
  std::string echoed;
  for (const char c : text) {
    if (c == '\x01') {
      echoed += kToken;
    } else if (c == '\x02') {
      echoed += kCanary;
    } else {
      echoed += c;
    }
  }
  return echoed;
}

http::HttpResponse ResponseOf(std::string_view input) {
  http::HttpResponse response;
  std::string_view head = TakePart(input, "\n\n");
  const std::string_view status = TakePart(head, "\n");
  std::from_chars(status.data(), status.data() + status.size(), response.status);
  response.status = std::clamp(response.status, 0, 999);
  while (!head.empty()) {
    std::string_view line = TakePart(head, "\n");
    std::string name(TakePart(line, ": "));
    response.headers.emplace_back(std::move(name), WithEchoes(line));
  }
  response.body = WithEchoes(input);
  return response;
}

// Written apart from the product: a whole JSON object whose codes are there and are all the integer 0.
bool IsProof(const http::HttpResponse& response) {
  if (response.status < 200 || response.status > 299 || response.body.find('\0') != std::string::npos) return false;
  const Json body = Json::parse(response.body, nullptr, false);
  if (!body.is_object()) return false;
  int zeros = 0;
  for (const char* name : {"code", "StatusCode"}) {
    if (!body.contains(name)) continue;
    if (!body[name].is_number_integer() || body[name] != 0) return false;
    ++zeros;
  }
  return zeros > 0;
}

void ReadAnswer(std::string_view input) {
  if (input.find("CANARY") != std::string_view::npos) return;
  const providers::FeishuBot bot(Secret("https://open.feishu.cn/open-apis/bot/v2/hook/" + std::string(kToken)),
                                 Secret(std::string(kCanary)));
  const http::HttpResponse response = ResponseOf(input);
  const SendOutcome outcome = bot.ReadResponse(response);
  Claim(outcome.verdict != SendVerdict::kAccepted || IsProof(response), "nothing is accepted without proof");
  Claim((outcome.verdict == SendVerdict::kAccepted) == outcome.reason.empty(), "what isn't accepted has a reason");
  Claim(outcome.reason.size() <= kMaxReason &&
            std::ranges::all_of(outcome.reason,
                                [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }),
        "a reason can be a label");
  Claim(outcome.provider_code.size() <= kMaxProviderCode, "the code fits its column");
  Claim(!outcome.retry_after || (outcome.retry_after->count() >= 0 && *outcome.retry_after <= kMaxRetryAfter),
        "a hint is bounded");
  Claim(CountCodePoints(outcome.detail) <= providers::kMaxDetailCharacters, "the detail fits its column");
  Claim(CountCodePoints(outcome.answer) <= providers::kMaxAnswerCharacters, "the answer fits its column");
  for (const std::string& text : {outcome.reason, outcome.detail, outcome.provider_message_id, outcome.provider_log_id,
                                  outcome.provider_code, outcome.answer}) {
    Claim(IsValidUtf8(text), "the outcome can be stored");
    Claim(text.find(kToken) == std::string::npos && text.find(kCanary) == std::string::npos, "no secret comes back");
  }
}

}  // namespace
}  // namespace outrider::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  outrider::fuzz::ReadAnswer(outrider::fuzz::InputText(data, size));
  return 0;
}
