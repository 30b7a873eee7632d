#include "providers/message_forms.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "model/text.h"
#include "providers/content.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

// Depth and size are bounded by the request's.
void CollectText(const Json& json, std::string& text) {
  if (json.is_array()) {
    for (const Json& item : json) CollectText(item, text);
    return;
  }
  if (!json.is_object()) return;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      CollectText(value, text);
    } else if (key == "text" || key == "content") {
      const auto& words = value.get_ref<const std::string&>();
      if (!TrimSpace(words).empty()) text += fmt::format("{}{}", text.empty() ? "" : "\n", words);
    }
  }
}

Message TextOf(std::string_view text) {
  return {.kind = Message::Kind::kText, .title = "", .text = std::string(text), .card = ""};
}

Message Titled(std::string title, std::string text) {
  return {.kind = Message::Kind::kTitledText, .title = std::move(title), .text = std::move(text), .card = ""};
}

Message ReadableCard(const std::string& card) {
  Json json = Json::parse(card, nullptr, false);
  std::string title;
  std::string text;
  if (json.is_object() && json.contains("header")) {
    CollectText(json["header"], title);
    json.erase("header");
  }
  CollectText(json, text);
  return Titled(std::move(title), std::move(text));
}

}  // namespace

std::vector<Message> FormsOf(const Message& message, std::string_view fallback_text) {
  std::vector<Message> forms = {message};
  const auto add = [&](Message form) {
    const bool blank = TrimSpace(form.title).empty() && TrimSpace(form.text).empty();
    if (!blank && form != forms.back()) forms.push_back(std::move(form));
  };
  const bool has_fallback = !TrimSpace(fallback_text).empty();
  switch (message.kind) {
    case Message::Kind::kCard:
      if (!has_fallback) add(ReadableCard(message.card));
      break;
    case Message::Kind::kMarkdown:
      add(Titled(message.title, message.text));
      break;
    case Message::Kind::kText:
    case Message::Kind::kTitledText:
    case Message::Kind::kHtml:
      break;
  }
  // Markup isn't for people's eyes.
  const bool readable = message.kind != Message::Kind::kHtml;
  if (has_fallback || readable) add(TextOf(has_fallback ? std::string(fallback_text) : PlainText(forms.back())));
  const std::string& last = forms.back().text;
  const std::string_view start = CutCodePoints(last, kShortTextCharacters);
  if (forms.back().kind == Message::Kind::kText && start.size() < last.size()) add(TextOf(fmt::format("{}…", start)));
  return forms;
}

}  // namespace outrider::providers
