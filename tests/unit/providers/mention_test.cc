#include "providers/mention.h"

#include <gtest/gtest.h>

namespace outrider::providers {
namespace {

TEST(MentionTest, OpeningAndClosingTagsLoseTheirBracket) {
  EXPECT_EQ(NeutralizeMentions(R"(<at user_id="all">all</at>)"), R"(＜at user_id="all">all＜/at>)");
  EXPECT_EQ(NeutralizeMentions("<at id=all></at>"), "＜at id=all>＜/at>");
  EXPECT_EQ(NeutralizeMentions("<AT><aT/>"), "＜AT>＜aT/>");
}

TEST(MentionTest, WhatALenientParserSkipsHidesNothing) {
  for (const char* text :
       {"< at id=all>", "<\tat>", "<\n/ at>", "<\u200bat>", "<a\u200bt id=all>", "<\u00a0at>", "<//at>", "<\001at>"}) {
    EXPECT_EQ(NeutralizeMentions(text).find('<'), std::string::npos) << text;
  }
}

TEST(MentionTest, WecomsMentionLosesItsBracketToo) {
  EXPECT_EQ(NeutralizeMentions("<@all> < @zhang> <\u200b@li>"), "＜@all> ＜ @zhang> ＜\u200b@li>");
  EXPECT_EQ(NeutralizeMentions("a@b <a@b>"), "a@b <a@b>");
}

TEST(MentionTest, ATagAtTheVeryEndIsNeutralizedToo) {
  EXPECT_EQ(NeutralizeMentions("x<at"), "x＜at");
  EXPECT_EQ(NeutralizeMentions("<<at>"), "<＜at>");
}

TEST(MentionTest, EverythingElseStays) {
  for (const char* text : {"", "<", "a < b", "<attach>", "<a href=x>", "<b>at</b>", "x<atlas>", "at all", "@all",
                           "&lt;at id=all&gt;", "**bold** _x_ `code` [a](b)", "1 <2> 3", "<a title>"}) {
    EXPECT_EQ(NeutralizeMentions(text), text);
  }
}

TEST(MentionTest, DoingItTwiceChangesNothing) {
  const std::string once = NeutralizeMentions("<at id=all></at> < at>");
  EXPECT_EQ(NeutralizeMentions(once), once);
}

}  // namespace
}  // namespace outrider::providers
