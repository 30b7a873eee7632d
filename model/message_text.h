// SmartFlow's text rules, which the `smartflow` profile reproduces; the fallback is cleaned like
// the summary. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace outrider {

inline constexpr std::size_t kDefaultSummaryMaxCharacters = 180;
// "我为你生成了一份日程调整建议，请回到系统确认是否应用。" (with the full-width comma).
extern const std::string_view kDefaultFallbackText;

struct SummaryChoice {
  std::string summary;   // empty when the fallback is used
  std::string fallback;  // never empty
  bool fallback_used = false;
};

// True when the lower-cased text contains "://" or "www.".
bool HasExternalLink(std::string_view text);
// The choice made once, when the record is created.
SummaryChoice ChooseSummary(std::string_view summary, std::string_view fallback,
                            std::size_t max_characters = kDefaultSummaryMaxCharacters);
// The text of an attempt: summary or fallback, with the target URL on a line of its own unless the text contains it.
std::string BuildMessageText(const SummaryChoice& choice, std::string_view target_url);

}  // namespace outrider
