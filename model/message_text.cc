#include "model/message_text.h"

#include <algorithm>

#include "model/text.h"

namespace outrider {

const std::string_view kDefaultFallbackText = "我为你生成了一份日程调整建议，请回到系统确认是否应用。";

namespace {

// Empty when the text is blank or links to the outside.
std::string Clean(std::string_view text, std::size_t max_characters) {
  text = TrimSpace(text);
  if (HasExternalLink(text)) return "";
  return SanitizeUtf8(TrimSpace(CutCodePoints(text, max_characters)));
}

}  // namespace

bool HasExternalLink(std::string_view text) {
  // Only "W" has an upper case among the characters looked for, and no letter outside ASCII becomes "w".
  std::string lower(text);
  std::ranges::replace(lower, 'W', 'w');
  return lower.find("://") != std::string::npos || lower.find("www.") != std::string::npos;
}

SummaryChoice ChooseSummary(std::string_view summary, std::string_view fallback, std::size_t max_characters) {
  if (max_characters == 0) max_characters = kDefaultSummaryMaxCharacters;
  SummaryChoice choice;
  choice.summary = Clean(summary, max_characters);
  choice.fallback = Clean(fallback, max_characters);
  if (choice.fallback.empty()) choice.fallback = kDefaultFallbackText;
  choice.fallback_used = choice.summary.empty();
  return choice;
}

std::string BuildMessageText(const SummaryChoice& choice, std::string_view target_url) {
  std::string_view text = choice.fallback_used ? std::string_view{} : TrimSpace(choice.summary);
  if (text.empty()) text = TrimSpace(choice.fallback);
  if (text.empty()) text = kDefaultFallbackText;
  const std::string_view url = TrimSpace(target_url);
  std::string whole(text);
  if (whole.find(url) == std::string::npos) whole.append("\n").append(url);
  return whole;
}

}  // namespace outrider
