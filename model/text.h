// Text rules: what a message's characters may be and how a text is cut.
//
// A "character" is a Unicode code point, as Go counts runes; limits of some vendors count bytes
// (WeCom), so both cuts exist and neither ever splits a code point. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace outrider {

// Well-formed UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);
// Each bad byte becomes one U+FFFD (what Go's rune conversion does).
std::string SanitizeUtf8(std::string_view text);
// Code points; each bad byte counts as one.
std::size_t CountCodePoints(std::string_view text);
// The first code point of `text`, U+FFFD for a bad byte, which it is taken off. REQUIRES: `text` isn't empty.
char32_t TakeCodePoint(std::string_view& text);
// Well-formed, and every code point that ends a line, moves the cursor or turns the direction of writing written as
// \u{hex} (a line feed as \n): data can't forge a line of a log or a terminal.
std::string EscapeUnprintable(std::string_view text);
// The longest prefix of at most `limit` code points; no ellipsis.
std::string_view CutCodePoints(std::string_view text, std::size_t limit);
// The longest prefix of at most `limit` bytes that ends at a code point's border.
std::string_view CutBytes(std::string_view text, std::size_t limit);
// Without leading and trailing white space in Unicode's sense (U+0085, U+00A0, U+1680, U+2000..200A, U+2028/9, U+202F,
// U+205F, U+3000 besides ASCII's): the trimming of dedupe keys and of SmartFlow's texts.
std::string_view TrimSpace(std::string_view text);
// A-Z in lower case, every other byte as it is.
std::string LowerAscii(std::string_view text);

}  // namespace outrider
