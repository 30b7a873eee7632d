// What the property tests of this room share: a check that gtest sees, and texts as people and attackers write them.
// rapidcheck prints the seed of a failure; RC_PARAMS="seed=..." repeats it.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace outrider {

template <class Property>
void ExpectProperty(Property&& property) {
  EXPECT_TRUE(rc::check(std::forward<Property>(property))) << "the counterexample stands above";
}

// Between `least` and `most` pieces: letters, white space of several planes, quotes, escapes, emoji. Well-formed UTF-8.
inline rc::Gen<std::string> GenText(std::size_t least = 0, std::size_t most = 12) {
  return rc::gen::exec([least, most] {
    static const std::vector<std::string> kPieces = {
        "a",    "Z",  "7",  " ", "\t", "\n",   "\"",      "\\",     "/",      "~",          "<",         "é",
        "ß",    "你", "，", "🎉", "🔥",  "\x7f", "\u00a0",  "\u3000", "\u2028", "\U0010ffff", "e\u0301",   "%",
        "\x01", "'",  ":",  "{", "}",  "[",    "order-1", "null",   "0",      "\u200b",     "\u202eabc", "\ufeff"};
    const auto count = *rc::gen::inRange(least, most + 1);
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += *rc::gen::elementOf(kPieces);
    return text;
  });
}

// Any bytes, with many that begin or continue a code point.
inline rc::Gen<std::string> GenBytes() {
  return rc::gen::exec([] {
    static const std::vector<std::string> kPieces = {"a",        "\x80",         "\xBF",         "\xC2",     "\xC0\x80",
                                                     "\xE2\x82", "\xE2\x82\xAC", "\xED\xA0\x80", "\xF0\x9F", "🎉",
                                                     "\xF4\x90", "\xFF",         "\xE0\x80",     " ",        "\u3000"};
    std::string bytes = *rc::gen::arbitrary<std::string>();
    const int count = *rc::gen::inRange(0, 8);
    for (int i = 0; i < count; ++i) bytes += *rc::gen::elementOf(kPieces);
    return bytes;
  });
}

}  // namespace outrider
