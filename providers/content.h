// Content: how a message is fitted to what a vendor can carry, before anything is sent.
//
// A vendor renders its own forms; what is common is the ladder (the message, else its fallback text, else a refusal
// that says why), the keywords that a robot may ask for, and titles that go into Markdown. Pure.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/secret.h"
#include "providers/provider.h"

namespace outrider::providers {

// Why a form of the message can't be sent.
struct Unfit {
  std::string_view reason;  // "payload_invalid", "payload_too_large", "keyword_missing"
  std::string detail;       // for people; nothing of the content
};
using Rendering = std::expected<std::string, Unfit>;  // the request's body

std::unexpected<Unfit> CantCarry(std::string_view vendor);
std::unexpected<Unfit> TooLarge(std::string_view vendor, std::string_view what, std::size_t size, std::size_t most,
                                std::string_view unit);

// Neither the request nor the channel names anybody.
SendOutcome RecipientMissing();
SendOutcome RefusedBeforeSending(std::string_view reason, std::string detail);

// The body of the message, of its fallback text as a plain text where that can't be sent, or the refusal.
std::variant<std::string, SendOutcome> RenderOrFallBack(const Notification& notification,
                                                        const std::function<Rendering(const Message&)>& render);

// What comes of it: a POST of JSON to `url`, or the refusal.
SendPlan PostJson(const Secret& url, std::variant<std::string, SendOutcome> body);

// Title and text of kText and kTitledText, one below the other; empty when nothing can be read in it.
std::string PlainText(const Message& message);
// One line that stays what it is between Markdown's signs: no link, no tag, no line of its own. Brackets become their
// full-width forms, which read the same.
std::string AsMarkdownTitle(std::string_view title);
// The first line of a text in which anything stands, of at most `most` characters.
std::string FirstLine(std::string_view text, std::size_t most);

// A robot's keywords as its settings hold them: up to ten, one of which must occur in what it is sent.
class Keywords final {
 public:
  static constexpr std::size_t kMost = 10;  // of a robot

  Keywords() = default;
  explicit Keywords(std::string_view comma_separated);
  std::size_t size() const { return words_.size(); }
  // Nothing is asked for, or one of them occurs in it.
  bool AllowsText(std::string_view text) const;

 private:
  std::vector<std::string> words_;
};

std::unexpected<Unfit> KeywordMissing(std::string_view vendor);

// As signatures take it.
std::string UnixSeconds(Timestamp time);

}  // namespace outrider::providers
