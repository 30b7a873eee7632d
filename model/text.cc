#include "model/text.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>

namespace outrider {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

constexpr std::array<std::string_view, 25> kSpaces = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
    "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
    "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F",
    "\xE3\x80\x80"};

std::uint8_t ByteAt(std::string_view text, std::size_t at) { return static_cast<std::uint8_t>(text[at]); }

bool IsContinuation(std::string_view text, std::size_t at, std::uint8_t low = 0x80, std::uint8_t high = 0xBF) {
  return at < text.size() && ByteAt(text, at) >= low && ByteAt(text, at) <= high;
}

// How many bytes the well-formed code point at the front takes; 0 when the first byte begins none (RFC 3629, section
// 4).
std::size_t CodePointLength(std::string_view text) {
  const std::uint8_t first = ByteAt(text, 0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return IsContinuation(text, 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const std::uint8_t low = first == 0xE0 ? 0xA0 : 0x80;
    const std::uint8_t high = first == 0xED ? 0x9F : 0xBF;
    return IsContinuation(text, 1, low, high) && IsContinuation(text, 2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const std::uint8_t low = first == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t high = first == 0xF4 ? 0x8F : 0xBF;
    return IsContinuation(text, 1, low, high) && IsContinuation(text, 2) && IsContinuation(text, 3) ? 4 : 0;
  }
  return 0;
}

// A bad byte is a step of its own.
std::size_t StepLength(std::string_view text) {
  const std::size_t length = CodePointLength(text);
  return length == 0 ? 1 : length;
}

bool IsUnprintable(char32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0) ||
         (code_point >= 0x200B && code_point <= 0x200F) || (code_point >= 0x2028 && code_point <= 0x202E) ||
         (code_point >= 0x2066 && code_point <= 0x2069) || code_point == 0xFEFF;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = CodePointLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string SanitizeUtf8(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = CodePointLength(text);
    clean += length == 0 ? kReplacement : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

std::size_t CountCodePoints(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(StepLength(text));
  return count;
}

char32_t TakeCodePoint(std::string_view& text) {
  const std::size_t length = CodePointLength(text);
  char32_t code_point = 0xFFFD;
  if (length == 1) {
    code_point = ByteAt(text, 0);
  } else if (length > 1) {
    code_point = ByteAt(text, 0) & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) code_point = (code_point << 6U) | (ByteAt(text, i) & 0x3FU);
  }
  text.remove_prefix(length == 0 ? 1 : length);
  return code_point;
}

std::string EscapeUnprintable(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const std::string_view before = text;
    const char32_t code_point = TakeCodePoint(text);
    if (code_point == '\n') {
      escaped += "\\n";
    } else if (IsUnprintable(code_point)) {
      escaped += fmt::format("\\u{{{:x}}}", static_cast<std::uint32_t>(code_point));
    } else {
      escaped += SanitizeUtf8(before.substr(0, before.size() - text.size()));
    }
  }
  return escaped;
}

std::string_view CutCodePoints(std::string_view text, std::size_t limit) {
  std::size_t end = 0;
  for (std::size_t count = 0; count < limit && end < text.size(); ++count) end += StepLength(text.substr(end));
  return text.substr(0, end);
}

std::string_view CutBytes(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = 0;
  for (std::size_t step = StepLength(text); end + step <= limit; step = StepLength(text.substr(end))) end += step;
  return text.substr(0, end);
}

std::string_view TrimSpace(std::string_view text) {
  const auto trim_once = [&text] {
    for (const std::string_view space : kSpaces) {
      if (text.starts_with(space)) {
        text.remove_prefix(space.size());
        return true;
      }
      if (text.ends_with(space)) {
        text.remove_suffix(space.size());
        return true;
      }
    }
    return false;
  };
  while (trim_once()) {
  }
  return text;
}

std::string LowerAscii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace outrider
