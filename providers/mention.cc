#include "providers/mention.h"

#include <array>

namespace outrider::providers {
namespace {

// What a lenient parser might skip: white space, controls, and the zero-width and no-break characters of Unicode.
std::size_t IgnorableLength(std::string_view text) {
  if (text.empty()) return 0;
  if (const auto c = static_cast<unsigned char>(text.front()); c <= 0x20 || c == 0x7f) return 1;
  constexpr std::array<std::string_view, 10> kInvisible = {"\u00a0", "\u00ad", "\u200b", "\u200c", "\u200d",
                                                           "\u200e", "\u200f", "\u2060", "\u3000", "\ufeff"};
  for (const std::string_view character : kInvisible) {
    if (text.starts_with(character)) return character.size();
  }
  return 0;
}

std::size_t SkipIgnorable(std::string_view text, std::size_t at) {
  for (std::size_t length = IgnorableLength(text.substr(at)); length > 0; length = IgnorableLength(text.substr(at))) {
    at += length;
  }
  return at;
}

bool IsAsciiWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// `text` begins right after a `<`.
bool BeginsMention(std::string_view text) {
  std::size_t at = SkipIgnorable(text, 0);
  while (at < text.size() && text[at] == '/') at = SkipIgnorable(text, at + 1);
  if (at < text.size() && text[at] == '@') return true;
  if (at >= text.size() || (text[at] != 'a' && text[at] != 'A')) return false;
  at = SkipIgnorable(text, at + 1);
  if (at >= text.size() || (text[at] != 't' && text[at] != 'T')) return false;
  return at + 1 >= text.size() || !IsAsciiWord(text[at + 1]);
}

}  // namespace

std::string NeutralizeMentions(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '<' && BeginsMention(text.substr(at + 1))) {
      out.append("＜");
    } else {
      out.push_back(text[at]);
    }
  }
  return out;
}

}  // namespace outrider::providers
