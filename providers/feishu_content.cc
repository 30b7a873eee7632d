#include "providers/feishu_content.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "model/text.h"
#include "providers/mention.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

FeishuContent TextContent(std::string_view text) { return {"text", Dump({{"text", NeutralizeMentions(text)}})}; }

FeishuContent PostContent(const Message& message) {
  const Json node = {{"tag", "text"}, {"text", NeutralizeMentions(message.text)}};
  const Json post = {{"title", NeutralizeMentions(message.title)}, {"content", Json::array({Json::array({node})})}};
  return {"post", Dump({{"zh_cn", post}})};
}

FeishuContent CardContent(const Json& card) { return {"interactive", Dump(card)}; }

FeishuContent MarkdownContent(const Message& message) {
  const Json element = {{"tag", "markdown"}, {"content", NeutralizeMentions(message.text)}};
  Json card = {{"schema", "2.0"}, {"body", {{"elements", Json::array({element})}}}};
  if (!message.title.empty()) {
    card["header"] = {{"title", {{"tag", "plain_text"}, {"content", NeutralizeMentions(message.title)}}}};
  }
  return CardContent(card);
}

}  // namespace

std::optional<FeishuContent> FeishuContentOf(const Message& message) {
  const bool blank = TrimSpace(message.text).empty();
  switch (message.kind) {
    case Message::Kind::kText:
      if (blank) return std::nullopt;
      return TextContent(message.text);
    case Message::Kind::kTitledText:
      if (blank && TrimSpace(message.title).empty()) return std::nullopt;
      return PostContent(message);
    case Message::Kind::kMarkdown:
      if (blank) return std::nullopt;
      return MarkdownContent(message);
    case Message::Kind::kCard: {
      const Json card = Json::parse(message.card, nullptr, false);
      if (!card.is_object()) return std::nullopt;
      return CardContent(card);
    }
    case Message::Kind::kHtml:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::string> FeishuObjectBody(const Message& message) {
  const auto content = FeishuContentOf(message);
  if (!content) return std::nullopt;
  Json json = Json::parse(content->json);
  if (content->type == "interactive") return Dump({{"msg_type", content->type}, {"card", std::move(json)}});
  if (content->type == "post") json = Json{{"post", std::move(json)}};
  return Dump({{"msg_type", content->type}, {"content", std::move(json)}});
}

}  // namespace outrider::providers
