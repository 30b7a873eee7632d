#include "providers/message_forms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "model/text.h"

namespace outrider::providers {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Shown(const Message& message, std::string_view fallback = "") {
  std::vector<std::string> shown;
  for (const Message& form : FormsOf(message, fallback)) {
    switch (form.kind) {
      case Message::Kind::kText:
        shown.push_back("text " + form.text);
        break;
      case Message::Kind::kTitledText:
        shown.push_back("post " + form.title + "|" + form.text);
        break;
      case Message::Kind::kMarkdown:
        shown.emplace_back("markdown");
        break;
      case Message::Kind::kCard:
        shown.emplace_back("card");
        break;
      case Message::Kind::kHtml:
        shown.emplace_back("html");
        break;
    }
  }
  return shown;
}

TEST(MessageFormsTest, ACardBecomesAPostOfWhatIsReadThenAText) {
  EXPECT_THAT(
      Shown({.kind = Message::Kind::kCard, .card = R"({"header":{"title":{"tag":"plain_text","content":"Order 7"}},
                                 "elements":[{"tag":"markdown","content":"**paid**"},{"tag":"hr"},
                                             {"tag":"button","text":{"tag":"plain_text","content":"Open"},
                                              "url":"https://example.com"}]})"}),
      ElementsAre("card", "post Order 7|**paid**\nOpen", "text Order 7\n**paid**\nOpen"));
}

TEST(MessageFormsTest, TheFallbackTextStandsForTheText) {
  EXPECT_THAT(Shown({.kind = Message::Kind::kCard, .card = R"({"elements":[{"content":"x"}]})"}, "order 7"),
              ElementsAre("card", "text order 7"));
  EXPECT_THAT(Shown({.kind = Message::Kind::kMarkdown, .title = "T", .text = "**b**"}, "order 7"),
              ElementsAre("markdown", "post T|**b**", "text order 7"));
  EXPECT_THAT(Shown({.kind = Message::Kind::kHtml, .text = "<b>"}, "order 7"), ElementsAre("html", "text order 7"));
}

TEST(MessageFormsTest, MarkdownAndTitledTextsBecomeTexts) {
  EXPECT_THAT(Shown({.kind = Message::Kind::kMarkdown, .title = "T", .text = "**b**"}),
              ElementsAre("markdown", "post T|**b**", "text T\n**b**"));
  EXPECT_THAT(Shown({.kind = Message::Kind::kTitledText, .title = "T", .text = "b"}),
              ElementsAre("post T|b", "text T\nb"));
}

TEST(MessageFormsTest, ALongTextBecomesAShorterOneAndAShortOneStays) {
  const std::string wide(kShortTextCharacters, 'x');
  EXPECT_THAT(Shown({.text = wide}), ElementsAre("text " + wide));
  EXPECT_THAT(Shown({.text = wide + "é"}), ElementsAre("text " + wide + "é", "text " + wide + "…"));
}

TEST(MessageFormsTest, WhereNothingIsReadThereIsNoSimplerForm) {
  EXPECT_THAT(Shown({.kind = Message::Kind::kCard, .card = R"({"type":"template","data":{"template_id":"A"}})"}),
              ElementsAre("card"));
  EXPECT_THAT(Shown({.kind = Message::Kind::kHtml, .text = "<b>"}), ElementsAre("html"));
  EXPECT_THAT(Shown({.kind = Message::Kind::kCard, .card = "not JSON"}), ElementsAre("card"));
}

}  // namespace
}  // namespace outrider::providers
