// FeishuContent: what Feishu and Lark show of a message, as their bots and apps both take it.
//
// Text -> text; title and text -> post; Markdown -> a card 2.0 with one Markdown element; card -> that card. Data calls
// nobody (providers/mention.h). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/request.h"

namespace outrider::providers {

struct FeishuContent {
  std::string_view type;  // msg_type: "text", "post", "interactive"
  std::string json;       // {"text": ...}, {"zh_cn": {"title", "content"}}, the card
};

// Nothing for what they can't show: HTML, an empty text, a card that isn't a JSON object.
std::optional<FeishuContent> FeishuContentOf(const Message& message);
// The same as webhooks and batches take it: {"msg_type", "content"} with an object, or {"msg_type", "card"}.
std::optional<std::string> FeishuObjectBody(const Message& message);

}  // namespace outrider::providers
