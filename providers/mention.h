// NeutralizeMentions: keeps data from calling people.
//
// Feishu and Lark turn `<at user_id="all">` in texts, and `<at id=all>` in Markdown, into a call of the whole group,
// and WeCom `<@all>`. A name or an order's remark may hold such a tag, and nothing in a request tells data from
// intention. The rule is the same in every format: the `<` of an opening or closing tag `at`, and of `<@`, becomes the
// full-width `＜` (U+FF1C), which reads the same and is never a tag. White space, control and zero-width characters
// between `<`, `/` and the name don't hide a tag; other names
// (`<attach>`) and other tags stay, and so does every other sign of Markdown: the application wrote it on purpose.
// Entities such as `&lt;at` stay: they are shown, not obeyed. Messages of kind card are the vendor's own JSON and are
// passed on as they are: who writes one decides whom it calls. Pure.
#pragma once

#include <string>
#include <string_view>

namespace outrider::providers {

std::string NeutralizeMentions(std::string_view text);

}  // namespace outrider::providers
