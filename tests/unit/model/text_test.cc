#include "model/text.h"

#include <algorithm>

#include "tests/unit/model/property.h"

namespace outrider {
namespace {

TEST(Utf8Test, WellFormedTextsOfEachLengthAreValid) {
  for (const char* text : {"", "a", "\x7f", "\u0080", "\u07ff", "\u0800", "\xED\x9F\xBF", "\ue000", "\uffff",
                           "\U00010000", "\U0010ffff", "你好，🎉"}) {
    EXPECT_TRUE(IsValidUtf8(text)) << text;
  }
  EXPECT_TRUE(IsValidUtf8(std::string_view("\0", 1)));
}

// RFC 3629, section 3 and 4: the borders of every form.
TEST(Utf8Test, OverlongFormsSurrogatesAndWhatLiesAboveAreInvalid) {
  for (const char* text :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF"}) {
    EXPECT_FALSE(IsValidUtf8(text)) << testing::PrintToString(std::string(text));
  }
}

TEST(Utf8Test, ACutCodePointIsInvalid) {
  const std::string_view party = "🎉";
  for (std::size_t size = 1; size < party.size(); ++size) EXPECT_FALSE(IsValidUtf8(party.substr(0, size)));
  EXPECT_FALSE(
      IsValidUtf8("\xE4\xBD"
                  "a"));
}

// Each bad byte counts as one and comes back as U+FFFD.
TEST(Utf8Test, EachBadByteBecomesOneReplacement) {
  EXPECT_EQ(SanitizeUtf8("a\xFF"
                         "b"),
            "a\uFFFDb");
  EXPECT_EQ(SanitizeUtf8("\xF0\x9F\x8E"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(SanitizeUtf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(SanitizeUtf8("\xE4\xBD你"), "\uFFFD\uFFFD你");
  EXPECT_EQ(CountCodePoints("\xED\xA0\x80"), 3u);
  EXPECT_EQ(CountCodePoints("a\xFF你"), 3u);
}

TEST(Utf8Test, SanitizingIsCleanAndStableAndKeepsTheCount) {
  ExpectProperty([] {
    const std::string bytes = *GenBytes();
    const std::string clean = SanitizeUtf8(bytes);
    RC_ASSERT(IsValidUtf8(clean));
    RC_ASSERT(SanitizeUtf8(clean) == clean);
    RC_ASSERT(CountCodePoints(clean) == CountCodePoints(bytes));
    RC_ASSERT(IsValidUtf8(bytes) == (clean == bytes));
  });
}

TEST(CutTest, CodePointsAreCountedNotBytes) {
  EXPECT_EQ(CountCodePoints("你好，🎉"), 4u);
  EXPECT_EQ(CutCodePoints("你好，🎉", 3), "你好，");
  EXPECT_EQ(CutCodePoints("你好", 2), "你好");
  EXPECT_EQ(CutCodePoints("你好", 0), "");
  EXPECT_EQ(CutCodePoints("", 5), "");
}

TEST(CutTest, BytesAreCutAtABorder) {
  EXPECT_EQ(CutBytes("你好", 6), "你好");
  EXPECT_EQ(CutBytes("你好", 5), "你");
  EXPECT_EQ(CutBytes("你好", 3), "你");
  EXPECT_EQ(CutBytes("你好", 2), "");
  EXPECT_EQ(CutBytes("🎉a", 4), "🎉");
  EXPECT_EQ(CutBytes("abc", 0), "");
}

TEST(CutTest, ACutIsTheLongestPrefixThatFitsAndSplitsNothing) {
  ExpectProperty([] {
    const std::string text = *GenText(0, 20);
    const std::size_t limit = *rc::gen::inRange<std::size_t>(0, 60);
    const std::string_view bytes = CutBytes(text, limit);
    RC_ASSERT(text.starts_with(bytes));
    RC_ASSERT(bytes.size() <= limit);
    RC_ASSERT(IsValidUtf8(bytes));
    if (bytes.size() < text.size()) {
      RC_ASSERT(CutCodePoints(text, CountCodePoints(bytes) + 1).size() > limit);
    }
    const std::string_view points = CutCodePoints(text, limit);
    RC_ASSERT(text.starts_with(points));
    RC_ASSERT(IsValidUtf8(points));
    RC_ASSERT(CountCodePoints(points) == std::min(limit, CountCodePoints(text)));
  });
}

TEST(CutTest, BadBytesAreCutLikeAnyOther) {
  ExpectProperty([] {
    const std::string bytes = *GenBytes();
    const std::size_t limit = *rc::gen::inRange<std::size_t>(0, 30);
    RC_ASSERT(CutBytes(bytes, limit).size() <= limit);
    RC_ASSERT(CountCodePoints(CutCodePoints(bytes, limit)) == std::min(limit, CountCodePoints(bytes)));
  });
}

// The white space of Go's unicode.IsSpace.
TEST(TrimSpaceTest, TakesEveryWhiteSpaceThereIs) {
  for (const char* space : {"\t",     "\n",     "\v",     "\f",     "\r",     " ",      "\u0085", "\u00a0", "\u1680",
                            "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008",
                            "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"}) {
    EXPECT_EQ(TrimSpace(std::string(space) + "x" + space), "x");
    EXPECT_EQ(TrimSpace(space), "");
  }
}

TEST(TrimSpaceTest, LeavesWhatOnlyLooksLikeSpace) {
  // Zero-width space, word joiner, byte order mark, Mongolian vowel separator, NUL, file separator.
  for (const std::string text : {"\u200b", "\u2060", "\ufeff", "\u180e", "\x1c", "\x1f"}) {
    EXPECT_EQ(TrimSpace(text), text);
  }
  EXPECT_EQ(TrimSpace(std::string_view("\0", 1)).size(), 1u);
}

TEST(TrimSpaceTest, KeepsTheSpaceInside) { EXPECT_EQ(TrimSpace("\u3000 a \u3000 b\n"), "a \u3000 b"); }

TEST(TrimSpaceTest, ATrailingByteIsNotTakenForTheEndOfASpace) {
  // U+0105 ends in 0x85, as U+0085 does; U+00E0 in 0xA0.
  EXPECT_EQ(TrimSpace("ą"), "ą");
  EXPECT_EQ(TrimSpace("à"), "à");
  EXPECT_EQ(TrimSpace("\x85"), "\x85");
}

TEST(TrimSpaceTest, TrimmingTwiceChangesNothing) {
  ExpectProperty([] {
    const std::string text = *GenText();
    const std::string_view once = TrimSpace(text);
    RC_ASSERT(TrimSpace(once) == once);
    RC_ASSERT(text.find(once) != std::string::npos);
  });
}

}  // namespace
}  // namespace outrider
