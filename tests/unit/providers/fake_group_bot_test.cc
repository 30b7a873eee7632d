// The fake vendor's own tests: what it says, and in which order it looks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/fake_im/fault.h"
#include "tests/support/fake_im/group_bot.h"

namespace outrider::fake_im {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;

constexpr std::int64_t kNow = 1'599'360'473;
Timestamp At(std::int64_t unix_seconds) { return Timestamp{seconds{unix_seconds}}; }

constexpr char kHello[] = R"({"msg_type":"text","content":{"text":"hello"}})";

std::int64_t CodeOf(const Answer& answer) { return Json::parse(answer.body).at("code").get<std::int64_t>(); }

class GroupBotsTest : public ::testing::Test {
 protected:
  Answer Post(const std::string& body, std::int64_t at = kNow, const std::string& client = "127.0.0.1") {
    return bots_.Post("t", body, client, At(at));
  }
  void Set(BotSettings settings) {
    settings.token = "t";
    bots_.Set(std::move(settings));
  }
  GroupBots bots_;
};

std::string Signed(const std::string& timestamp, const std::string& sign) {
  return Json{{"msg_type", "text"}, {"content", {{"text", "x"}}}, {"timestamp", timestamp}, {"sign", sign}}.dump();
}

TEST_F(GroupBotsTest, TakesAMessageAndKeepsItAsItCame) {
  Set({});
  const Answer answer = Post(kHello);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"})");
  ASSERT_EQ(bots_.deliveries().size(), 1u);
  EXPECT_EQ(bots_.deliveries()[0].body, kHello);
  EXPECT_EQ(bots_.deliveries()[0].text, "hello");
  EXPECT_EQ(bots_.deliveries()[0].sequence, 1u);
  EXPECT_EQ(bots_.deliveries()[0].time, At(kNow));
}

TEST_F(GroupBotsTest, KnownSignaturesAreAccepted) {
  Set({.secret = "demo"});
  EXPECT_EQ(CodeOf(Post(Signed("1599360473", "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="))), 0);
  Set({.secret = "xxx"});
  EXPECT_EQ(CodeOf(Post(Signed("1661860880", "QnWVTSBe6FmQDE0bG6X0mURbI+DnvVyu1h+j5dHOjrU="), 1'661'860'880)), 0);
}

TEST_F(GroupBotsTest, TheSignatureTheWrongWayRoundIsRefused) {
  Set({.secret = "demo"});
  EXPECT_EQ(CodeOf(Post(Signed("1599360473", "DkEDUyVoOOJ539qBvUgMyzkzIdRWlf4e/V3Rq+ONJnQ="))), 19021);
  EXPECT_TRUE(bots_.deliveries().empty());
}

TEST_F(GroupBotsTest, ASignatureLivesForAnHourEitherWay) {
  Set({.secret = "demo"});
  const std::string body = Signed("1599360473", "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=");
  EXPECT_EQ(CodeOf(Post(body, kNow + 3600)), 0);
  EXPECT_EQ(CodeOf(Post(body, kNow + 3601)), 19021);
  EXPECT_EQ(CodeOf(Post(body, kNow - 3600)), 0);
  EXPECT_EQ(CodeOf(Post(body, kNow - 3601)), 19021);
  EXPECT_EQ(CodeOf(Post(kHello)), 19021) << "none at all";
}

TEST_F(GroupBotsTest, ChecksInItsOrder) {
  // Each request is wrong in everything that comes after, too.
  EXPECT_EQ(CodeOf(Post(std::string(30'000, 'x'))), 19001);
  Set({.secret = "demo", .keywords = {"alarm"}, .ip_allow = {"10.0.0.0/8"}, .per_second = 1});
  Answer answer = Post(std::string(30'000, 'x'));
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(CodeOf(answer), 9499);
  EXPECT_EQ(answer.body.find("too many"), std::string::npos);
  answer = Post("{");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(CodeOf(answer), 9499);
  EXPECT_EQ(CodeOf(Post(R"({"msg_type":"no"})")), 19022);
  EXPECT_EQ(CodeOf(Post(R"({"msg_type":"no"})", kNow, "10.1.2.3")), 19021);
  Set({.keywords = {"alarm"}, .ip_allow = {"10.0.0.0/8"}, .per_second = 1});
  EXPECT_EQ(CodeOf(Post(R"({"msg_type":"no","content":{}})", kNow, "10.1.2.3")), 19002);
  EXPECT_EQ(CodeOf(Post(kHello, kNow, "10.1.2.3")), 19024);
  const std::string good = R"({"msg_type":"text","content":{"text":"an alarm"}})";
  EXPECT_EQ(CodeOf(Post(good, kNow, "10.1.2.3")), 0);
  EXPECT_EQ(CodeOf(Post(good, kNow, "10.1.2.3")), 11232);
  EXPECT_EQ(bots_.deliveries().size(), 1u);
}

TEST_F(GroupBotsTest, AddressesMayBeSingleOrBlocks) {
  Set({.ip_allow = {"192.0.2.7", "2001:db8::/32", "nonsense"}});
  EXPECT_EQ(CodeOf(Post(kHello, kNow, "192.0.2.7")), 0);
  EXPECT_EQ(CodeOf(Post(kHello, kNow, "192.0.2.8")), 19022);
  EXPECT_EQ(CodeOf(Post(kHello, kNow, "2001:db8::1")), 0);
  EXPECT_EQ(CodeOf(Post(kHello, kNow, "2001:db9::1")), 19022);
}

TEST_F(GroupBotsTest, BothRatesHoldInSlidingWindows) {
  Set({.per_second = 5, .per_minute = 7});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(CodeOf(Post(kHello, kNow)), 0);
  EXPECT_EQ(CodeOf(Post(kHello, kNow)), 11232);
  EXPECT_EQ(CodeOf(Post(kHello, kNow + 1)), 0);
  EXPECT_EQ(CodeOf(Post(kHello, kNow + 1)), 0);
  EXPECT_EQ(CodeOf(Post(kHello, kNow + 59)), 11232) << "seven in the minute";
  EXPECT_EQ(CodeOf(Post(kHello, kNow + 60)), 0);
}

TEST_F(GroupBotsTest, TheRateMayBeRefusedTheOtherWay) {
  Set({.per_second = 1, .rate_code = 9499});
  Post(kHello);
  const Answer answer = Post(kHello);
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(CodeOf(answer), 9499);
  EXPECT_NE(answer.body.find("too many request"), std::string::npos);
}

TEST_F(GroupBotsTest, UnknownTokensAreBotsOnlyWhenTold) {
  EXPECT_EQ(CodeOf(bots_.Post("other", kHello, "127.0.0.1", At(kNow))), 19001);
  bots_.AcceptAnyToken(true);
  EXPECT_EQ(CodeOf(bots_.Post("other", kHello, "127.0.0.1", At(kNow))), 0);
}

TEST_F(GroupBotsTest, ContentsOfTheWrongFormAreRefused) {
  Set({.per_second = 0, .per_minute = 0});
  for (const char* body :
       {R"({})", R"({"msg_type":1})", R"({"msg_type":"text"})", R"({"msg_type":"text","content":"{\"text\":\"x\"}"})",
        R"({"msg_type":"text","content":{"text":""}})", R"({"msg_type":"post","content":{"zh_cn":{"content":[[]]}}})",
        R"({"msg_type":"post","content":{"post":{"zh_cn":{"content":[{"tag":"text"}]}}}})",
        R"({"msg_type":"interactive","content":{"card":{}}})", R"({"msg_type":"interactive","card":"{}"})"}) {
    EXPECT_EQ(CodeOf(Post(body)), 19002) << body;
  }
  for (const char* body :
       {R"({"msg_type":"image","content":{"image_key":"img_x"}})",
        R"({"msg_type":"post","content":{"post":{"zh_cn":{"title":"T","content":[[{"tag":"text","text":"a"}]]}}}})",
        R"({"msg_type":"interactive","card":{"schema":"2.0"}})"}) {
    EXPECT_EQ(CodeOf(Post(body)), 0) << body;
  }
}

TEST_F(GroupBotsTest, KeywordsAreSearchedInTextsAndTitlesOnly) {
  Set({.keywords = {"alarm"}, .per_second = 0, .per_minute = 0});
  EXPECT_EQ(
      CodeOf(Post(
          R"({"msg_type":"post","content":{"post":{"zh_cn":{"title":"alarm","content":[[{"tag":"text","text":"a"}]]}}}})")),
      0);
  EXPECT_EQ(
      CodeOf(Post(R"({"msg_type":"interactive","card":{"header":{"title":{"tag":"plain_text","content":"alarm"}}}})")),
      0);
  EXPECT_EQ(
      CodeOf(Post(
          R"({"msg_type":"post","content":{"post":{"zh_cn":{"content":[[{"tag":"a","text":"x","href":"https://alarm"}]]}}}})")),
      19024);
  EXPECT_EQ(bots_.deliveries()[0].text, "alarm — a");
}

TEST(FaultListTest, FiresAsOftenAsItWasToldAndCounts) {
  FaultList faults;
  faults.Add({.kind = FaultKind::kCode, .path = "/a", .times = 2});
  EXPECT_FALSE(faults.Take("/b", At(0)));
  EXPECT_TRUE(faults.Take("/a/b", At(0)));
  EXPECT_TRUE(faults.Take("/a", At(0)));
  EXPECT_FALSE(faults.Take("/a", At(0)));
  EXPECT_EQ(faults.All()[0].fired, 2u);
  EXPECT_EQ(faults.All()[0].seen, 3u);
}

TEST(FaultListTest, FiresForTheNthRequestOnly) {
  FaultList faults;
  faults.Add({.kind = FaultKind::kCode, .nth = 3});
  EXPECT_FALSE(faults.Take("/", At(0)));
  EXPECT_FALSE(faults.Take("/", At(0)));
  EXPECT_TRUE(faults.Take("/", At(0)));
  EXPECT_FALSE(faults.Take("/", At(0)));
}

TEST(FaultListTest, ARateLetsItsLimitThroughAndSaysWhenToComeBack) {
  FaultList faults;
  faults.Add({.kind = FaultKind::kRate, .times = 0, .limit = 2, .reset = 10});
  EXPECT_FALSE(faults.Take("/", At(100)));
  EXPECT_FALSE(faults.Take("/", At(101)));
  const auto refused = faults.Take("/", At(103));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->reset, 7);
  EXPECT_FALSE(faults.Take("/", At(110)));
}

TEST(FaultListTest, AWrongFaultIsRefusedWithAReason) {
  for (const char* json : {"", "[]", "{}", R"({"kind":"no"})", R"({"kind":1})", R"({"kind":"refuse","tiems":1})",
                           R"({"kind":"refuse","match":{"pat":"/"}})", R"({"kind":"refuse","times":-1})",
                           R"({"kind":"code","n":"x"})", R"({"kind":"status_only"})"}) {
    const auto fault = ParseFault(json);
    ASSERT_FALSE(fault) << json;
    EXPECT_FALSE(fault.error().message.empty());
  }
  const auto fault =
      ParseFault(R"({"match":{"path":"/x","nth":2},"kind":"code","n":11232,"text":"slow","status":400,"accept":true})");
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->path, "/x");
  EXPECT_EQ(fault->nth, 2u);
  EXPECT_EQ(fault->n, 11232);
  EXPECT_EQ(fault->accept, true);
}

}  // namespace
}  // namespace outrider::fake_im
