#include "providers/access_token.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "providers/coded_answer.h"

namespace outrider::providers {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// The vendor's clock may be ahead, and a request takes its time.
constexpr seconds kMargin = minutes{3};
// Feishu gives a new token within the last half hour of the old one, which stays good.
constexpr seconds kRenewBefore = minutes{20};
constexpr seconds kLongestLife = std::chrono::hours{24};

// It goes into headers and queries as it is.
bool IsTokenText(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return c > 0x20 && c < 0x7F && std::string_view("\"#&<>?\\^`{|}").find(static_cast<char>(c)) == std::string::npos;
  });
}

}  // namespace

SupplyReading ReadAccessToken(SendOutcome outcome, const http::HttpResponse& response, std::string_view token_key,
                              std::string_view life_key) {
  if (outcome.verdict == SendVerdict::kAccepted) {
    const auto fields = ReadAnswerFields(response.body);
    const std::string token = fields ? TextField(*fields, token_key) : std::string();
    const std::int64_t life = fields ? IntegerField(*fields, life_key).value_or(0) : 0;
    if (IsTokenText(token) && life > 0) {
      const seconds whole{std::min<std::int64_t>(life, kLongestLife.count())};
      Supply supply;
      supply.value = Secret(token);
      supply.life = std::max(whole - kMargin, whole / 2);
      supply.fresh = std::max(supply.life - kRenewBefore, supply.life / 2);
      return supply;
    }
    outcome.verdict = SendVerdict::kNotNow;
    outcome.reason = "unreadable_answer";
    outcome.detail = "the answer says that there is a token, and has none";
  }
  outcome.answer.clear();
  outcome.stale_token = false;
  if (outcome.verdict == SendVerdict::kRefused) outcome.verdict = SendVerdict::kChannelDown;
  return outcome;
}

}  // namespace outrider::providers
