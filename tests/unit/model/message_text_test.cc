#include "model/message_text.h"

#include "model/text.h"
#include "tests/unit/model/property.h"

namespace outrider {
namespace {

std::string Repeat(std::string_view text, int times) {
  std::string repeated;
  for (int i = 0; i < times; ++i) repeated += text;
  return repeated;
}

TEST(MessageTextTest, TheDefaultsAreSmartFlows) {
  EXPECT_EQ(kDefaultSummaryMaxCharacters, 180u);
  EXPECT_EQ(kDefaultFallbackText, "我为你生成了一份日程调整建议，请回到系统确认是否应用。");
}

// SmartFlow's normalizeMessageTemplate, step 1.
TEST(ChooseSummaryTest, ABlankFallbackBecomesTheDefault) {
  EXPECT_EQ(ChooseSummary("s", "").fallback, kDefaultFallbackText);
  EXPECT_EQ(ChooseSummary("s", " \u3000\n").fallback, kDefaultFallbackText);
  EXPECT_EQ(ChooseSummary("s", " 请查看 ").fallback, "请查看");
}

// Step 2.
TEST(ChooseSummaryTest, ABlankSummaryGivesWayToTheFallback) {
  for (const char* blank : {"", " ", "\t\n", "\u3000\u00a0\u2028"}) {
    const SummaryChoice choice = ChooseSummary(blank, "请查看");
    EXPECT_EQ(choice.summary, "");
    EXPECT_EQ(choice.fallback, "请查看");
    EXPECT_TRUE(choice.fallback_used);
  }
}

// Step 3.
TEST(ChooseSummaryTest, ASummaryWithALinkGivesWayToTheFallback) {
  for (const char* linking : {"see https://example.com", "x://y", "WWW.example.com", "wWw.", "看 www.例子.cn"}) {
    const SummaryChoice choice = ChooseSummary(linking, "请查看");
    EXPECT_EQ(choice.summary, "") << linking;
    EXPECT_TRUE(choice.fallback_used) << linking;
  }
}

TEST(ChooseSummaryTest, WhatIsNoLinkStays) {
  for (const char* text : {"www", "http:/x", ": //", "example.com", "ｗｗｗ.example", "ww.w"}) {
    const SummaryChoice choice = ChooseSummary(text, "请查看");
    EXPECT_EQ(choice.summary, text);
    EXPECT_FALSE(choice.fallback_used) << text;
  }
}

// Step 4.
TEST(ChooseSummaryTest, ALongSummaryIsCutAt180CharactersWithoutEllipsis) {
  EXPECT_EQ(ChooseSummary(Repeat("调", 180), "").summary, Repeat("调", 180));
  const SummaryChoice choice = ChooseSummary(Repeat("调", 181), "");
  EXPECT_EQ(choice.summary, Repeat("调", 180));
  EXPECT_FALSE(choice.fallback_used);
}

TEST(ChooseSummaryTest, TheCutIsTrimmedAgain) {
  EXPECT_EQ(ChooseSummary(Repeat("调", 178) + "\u3000 整", "").summary, Repeat("调", 178));
}

TEST(ChooseSummaryTest, AnotherLimitIsPossibleAndZeroMeansTheDefault) {
  EXPECT_EQ(ChooseSummary("日程调整", "", 2).summary, "日程");
  EXPECT_EQ(ChooseSummary(Repeat("调", 181), "", 0).summary, Repeat("调", 180));
}

TEST(ChooseSummaryTest, ALinkBehindTheCutCountsToo) {
  EXPECT_TRUE(ChooseSummary(Repeat("调", 200) + "https://x", "f").fallback_used);
}

// What its Go code does that other languages don't.
TEST(ChooseSummaryTest, EachBadByteCountsAsOneCharacterAndIsReplaced) {
  EXPECT_EQ(ChooseSummary("a\xFF\xFE"
                          "b",
                          "", 3)
                .summary,
            "a\uFFFD\uFFFD");
}

// The fallback is cleaned like the summary.
TEST(ChooseSummaryTest, AFallbackIsCutAndItsLinksAreRefusedToo) {
  EXPECT_EQ(ChooseSummary("", "see https://evil.example").fallback, kDefaultFallbackText);
  EXPECT_EQ(ChooseSummary("", Repeat("请", 200)).fallback, Repeat("请", 180));
}

// SmartFlow's buildSendRequest, steps 1 to 3.
TEST(BuildMessageTextTest, TheUrlGetsALineOfItsOwn) {
  EXPECT_EQ(BuildMessageText(ChooseSummary(" 新建议 ", ""), " /assistant/42 "), "新建议\n/assistant/42");
}

TEST(BuildMessageTextTest, AUrlThatTheTextContainsIsNotRepeated) {
  EXPECT_EQ(BuildMessageText(ChooseSummary("见 /assistant/42。", ""), "/assistant/42"), "见 /assistant/42。");
}

TEST(BuildMessageTextTest, ABlankUrlCountsAsContained) {
  EXPECT_EQ(BuildMessageText(ChooseSummary("新建议", ""), ""), "新建议");
  EXPECT_EQ(BuildMessageText(ChooseSummary("新建议", ""), " \u3000"), "新建议");
}

TEST(BuildMessageTextTest, TheFallbackSpeaksWhenTheChoiceSaysSoOrTheSummaryIsBlank) {
  EXPECT_EQ(BuildMessageText({.summary = "s", .fallback = " f ", .fallback_used = true}, ""), "f");
  EXPECT_EQ(BuildMessageText({.summary = " ", .fallback = "f", .fallback_used = false}, ""), "f");
  EXPECT_EQ(BuildMessageText({.summary = "", .fallback = "\u3000", .fallback_used = true}, "/a"),
            std::string(kDefaultFallbackText) + "\n/a");
}

TEST(MessageTextTest, ATextIsNeverBlankAndLinksOnlyToTheTarget) {
  ExpectProperty([] {
    static const std::vector<std::string> kPieces = {"调", "W", "w",      "ww.",  "://", ":",
                                                     "/",  " ", "\u3000", "\xFF", "a"};
    const auto gen = rc::gen::exec([] {
      std::string text;
      for (int left = *rc::gen::inRange(0, 12); left > 0; --left) text += *rc::gen::elementOf(kPieces);
      return text;
    });
    const SummaryChoice choice = ChooseSummary(*gen, *gen, *rc::gen::inRange<std::size_t>(0, 8));
    const std::string text = BuildMessageText(choice, "");
    RC_ASSERT(!TrimSpace(text).empty());
    RC_ASSERT(!HasExternalLink(text));
    RC_ASSERT(IsValidUtf8(text));
    RC_ASSERT(choice.fallback_used == choice.summary.empty());
  });
}

}  // namespace
}  // namespace outrider
