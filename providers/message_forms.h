// MessageForms: a message as it was asked for, and simpler ones of the same content, for when a vendor refuses the
// form.
//
// A card becomes a title and a text (what a person would read of its JSON), Markdown the same, that becomes a text, and
// a long text a shorter one. Where the request has a fallback text, it stands for the text. Each form is a content of
// its own: it is sent under a send key of its own. Pure.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "model/request.h"

namespace outrider::providers {

inline constexpr std::size_t kShortTextCharacters = 500;

// The first is the message itself; no two neighbours are equal.
std::vector<Message> FormsOf(const Message& message, std::string_view fallback_text);

}  // namespace outrider::providers
