#include "providers/content.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "model/text.h"

namespace outrider::providers {

std::unexpected<Unfit> CantCarry(std::string_view vendor) {
  return std::unexpected(Unfit{
      "payload_invalid",
      fmt::format("{} can't carry this message (HTML, an empty text, or a card that isn't one of its own)", vendor)});
}

std::unexpected<Unfit> TooLarge(std::string_view vendor, std::string_view what, std::size_t size, std::size_t most,
                                std::string_view unit) {
  return std::unexpected(
      Unfit{"payload_too_large", fmt::format("the {} has {} {} and {} takes {}", what, size, unit, vendor, most)});
}

std::unexpected<Unfit> KeywordMissing(std::string_view vendor) {
  return std::unexpected(Unfit{
      "keyword_missing", fmt::format("none of the channel's keywords occurs in it, so {} would refuse it", vendor)});
}

SendOutcome RecipientMissing() {
  SendOutcome outcome;
  outcome.verdict = SendVerdict::kUnreachable;
  outcome.reason = "recipient_missing";
  outcome.detail = "neither the request nor the channel names a recipient";
  return outcome;
}

SendOutcome RefusedBeforeSending(std::string_view reason, std::string detail) {
  SendOutcome outcome;
  outcome.verdict = SendVerdict::kRefused;
  outcome.reason = reason;
  outcome.detail = std::move(detail);
  return outcome;
}

std::variant<std::string, SendOutcome> RenderOrFallBack(const Notification& notification,
                                                        const std::function<Rendering(const Message&)>& render) {
  Rendering body = render(notification.message);
  if (body) return std::move(*body);
  if (TrimSpace(notification.fallback_text).empty()) {
    return RefusedBeforeSending(body.error().reason, body.error().detail + "; there is no fallback_text");
  }
  body = render(Message{.kind = Message::Kind::kText, .title = "", .text = notification.fallback_text, .card = ""});
  if (body) return std::move(*body);
  return RefusedBeforeSending(body.error().reason, body.error().detail + ", with the fallback_text too");
}

SendPlan PostJson(const Secret& url, std::variant<std::string, SendOutcome> body) {
  if (auto* refused = std::get_if<SendOutcome>(&body)) return std::move(*refused);
  http::HttpRequest request;
  request.method = "POST";
  request.url = url;
  request.headers = {{"Content-Type", "application/json"}};
  request.body = std::get<std::string>(std::move(body));
  return request;
}

std::string UnixSeconds(Timestamp time) {
  return std::to_string(std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count());
}

std::string PlainText(const Message& message) {
  const bool titled = message.kind == Message::Kind::kTitledText && !TrimSpace(message.title).empty();
  const bool blank = TrimSpace(message.text).empty();
  if (!titled) return blank ? std::string() : message.text;
  return blank ? message.title : fmt::format("{}\n{}", message.title, message.text);
}

std::string AsMarkdownTitle(std::string_view title) {
  std::string line;
  for (const char c : TrimSpace(title)) {
    switch (c) {
      case '\n':
      case '\r':
        line += ' ';
        break;
      case '[':
        line += "［";
        break;
      case ']':
        line += "］";
        break;
      case '<':
        line += "＜";
        break;
      default:
        line += c;
    }
  }
  return line;
}

std::string FirstLine(std::string_view text, std::size_t most) {
  const std::string_view trimmed = TrimSpace(text);
  return std::string(CutCodePoints(TrimSpace(trimmed.substr(0, trimmed.find_first_of("\r\n"))), most));
}

Keywords::Keywords(std::string_view comma_separated) {
  while (!comma_separated.empty()) {
    const std::size_t comma = comma_separated.find(',');
    const std::string_view word = TrimSpace(comma_separated.substr(0, comma));
    if (!word.empty()) words_.emplace_back(word);
    if (comma == std::string_view::npos) break;
    comma_separated.remove_prefix(comma + 1);
  }
}

bool Keywords::AllowsText(std::string_view text) const {
  return words_.empty() || std::ranges::any_of(words_, [text](const std::string& word) {
           return text.find(word) != std::string_view::npos;
         });
}

}  // namespace outrider::providers
