// The fake IM server's own tests, seen by a client that hides nothing: every fault is what it says it is.
#include "tests/support/fake_im/fake_im_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/raw_http/raw_client.h"

namespace outrider::fake_im {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::RawAnswer;
using testing::RawClient;
using ::testing::SizeIs;
using Json = nlohmann::json;
using End = RawAnswer::End;

constexpr char kPath[] = "/open-apis/bot/v2/hook/t";
constexpr char kHello[] = R"({"msg_type":"text","content":{"text":"hello"}})";

class FakeImServerTest : public ::testing::Test {
 protected:
  FakeImServerTest() {
    auto started = FakeImServer::Start({.bots = {{.token = "t", .per_second = 0, .per_minute = 0}}});
    EXPECT_TRUE(started.has_value());
    server_ = std::move(*started);
  }
  // On a connection of its own.
  RawAnswer Post(const std::string& path, const std::string& body) {
    return RawClient(server_->port()).Post(path, body);
  }
  RawAnswer Get(const std::string& path) { return RawClient(server_->port()).Get(path); }
  RawAnswer PostUnder(Fault fault) {
    server_->AddFault(std::move(fault));
    RawAnswer answer = Post(kPath, kHello);
    EXPECT_EQ(server_->faults().back().fired, 1u);
    return answer;
  }
  std::unique_ptr<FakeImServer> server_;
};

TEST_F(FakeImServerTest, TakesMessagesOverOneConnection) {
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    const RawAnswer answer = client.Post(kPath, kHello);
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.body, HasSubstr("\"code\":0"));
    EXPECT_THAT(answer.bytes, HasSubstr("X-Tt-Logid: fake"));
  }
  EXPECT_THAT(server_->deliveries(), SizeIs(3));
}

TEST_F(FakeImServerTest, OtherPathsAndMethodsAreNotFound) {
  for (const RawAnswer& answer : {Get(kPath), Post("/open-apis/im/v1/chats", "{}"), Get("/")}) {
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(answer.body, "404 page not found");
    EXPECT_THAT(answer.bytes, HasSubstr("Content-Type: text/plain"));
  }
}

TEST_F(FakeImServerTest, RefuseResetsBeforeTheBody) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kRefuse});
  EXPECT_EQ(answer.end, End::kReset);
  EXPECT_THAT(answer.bytes, IsEmpty());
  EXPECT_THAT(server_->deliveries(), IsEmpty());
}

TEST_F(FakeImServerTest, ResetBeforeAcceptTakesNothing) {
  EXPECT_EQ(PostUnder({.kind = FaultKind::kResetBeforeAccept}).end, End::kReset);
  EXPECT_THAT(server_->deliveries(), IsEmpty());
}

TEST_F(FakeImServerTest, AcceptThenResetTakesTheMessage) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kAcceptThenReset});
  EXPECT_EQ(answer.end, End::kReset);
  EXPECT_THAT(answer.bytes, IsEmpty());
  EXPECT_THAT(server_->deliveries(), SizeIs(1));
}

TEST_F(FakeImServerTest, AcceptThenTimeoutTakesTheMessageAndSaysNothing) {
  server_->AddFault({.kind = FaultKind::kAcceptThenTimeout});
  RawClient client(server_->port());
  EXPECT_EQ(client.Request("POST", kPath, kHello, std::chrono::milliseconds{200}).end, End::kTimeout);
  EXPECT_THAT(server_->deliveries(), SizeIs(1));
}

TEST_F(FakeImServerTest, AcceptThen504TakesTheMessage) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kAcceptThen504});
  EXPECT_EQ(answer.status, 504);
  EXPECT_THAT(server_->deliveries(), SizeIs(1));
}

TEST_F(FakeImServerTest, ASlowBodyComesInTheEnd) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kSlowBody, .ms = 1});
  EXPECT_EQ(answer.end, End::kComplete);
  EXPECT_THAT(answer.body, HasSubstr("\"code\":0"));
}

TEST_F(FakeImServerTest, ASlowBodyIsSlow) {
  server_->AddFault({.kind = FaultKind::kSlowBody, .ms = 60'000});
  RawClient client(server_->port());
  const RawAnswer answer = client.Request("POST", kPath, kHello, std::chrono::milliseconds{200});
  EXPECT_EQ(answer.end, End::kTimeout);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
}

TEST_F(FakeImServerTest, TruncatedJsonIsAWholeAnswer) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kTruncatedJson});
  EXPECT_EQ(answer.end, End::kComplete);
  EXPECT_FALSE(Json::accept(answer.body));
  EXPECT_THAT(server_->deliveries(), SizeIs(1));
}

TEST_F(FakeImServerTest, ATruncatedBodyIsNot) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kTruncatedBody});
  EXPECT_EQ(answer.end, End::kClosed);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(server_->deliveries(), SizeIs(1));
}

TEST_F(FakeImServerTest, AnHtmlPageTakesNothing) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kHtmlBody});
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("<html>"));
  EXPECT_THAT(server_->deliveries(), IsEmpty());
}

TEST_F(FakeImServerTest, AnyFaultMayBeToldToAccept) {
  PostUnder({.kind = FaultKind::kHtmlBody, .accept = true});
  EXPECT_THAT(server_->deliveries(), SizeIs(1));
  PostUnder({.kind = FaultKind::kTruncatedJson, .accept = false});
  EXPECT_THAT(server_->deliveries(), SizeIs(1));
}

TEST_F(FakeImServerTest, AHugeBodyIsAsBigAsItWasTold) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kHugeBody, .bytes = 3'000'000});
  EXPECT_EQ(answer.end, End::kComplete);
  EXPECT_EQ(answer.body.size(), 3'000'000u);
  EXPECT_TRUE(Json::accept(answer.body));
}

TEST_F(FakeImServerTest, ARedirectNamesItsTarget) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kRedirect302, .location = "/there"});
  EXPECT_EQ(answer.status, 302);
  EXPECT_THAT(answer.bytes, HasSubstr("Location: /there"));
}

TEST_F(FakeImServerTest, AStatusMayComeAlone) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kStatusOnly, .n = 503});
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "");
}

TEST_F(FakeImServerTest, ACodeComesWithItsText) {
  const RawAnswer answer = PostUnder({.kind = FaultKind::kCode, .n = 9499, .text = "too many request", .status = 400});
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(Json::parse(answer.body), Json::parse(R"({"code":9499,"data":{},"msg":"too many request"})"));
  EXPECT_THAT(server_->deliveries(), IsEmpty());
}

TEST_F(FakeImServerTest, ARateSaysHowLongToWait) {
  server_->AddFault({.kind = FaultKind::kRate, .times = 0, .limit = 1, .reset = 3600});
  EXPECT_EQ(Post(kPath, kHello).status, 200);
  const RawAnswer answer = Post(kPath, kHello);
  EXPECT_EQ(answer.status, 429);
  EXPECT_THAT(answer.bytes, HasSubstr("x-ogw-ratelimit-reset: 3600"));
  server_->AdvanceClock(std::chrono::hours{1});
  EXPECT_EQ(Post(kPath, kHello).status, 200);
}

TEST_F(FakeImServerTest, AClockSkewSpoilsSignatures) {
  server_->SetBot({.token = "t", .secret = "demo"});
  const auto now = std::chrono::floor<std::chrono::seconds>(server_->Now().time_since_epoch()).count();
  const std::string timestamp = std::to_string(now);
  const std::string body = Json{{"msg_type", "text"},
                                {"content", {{"text", "x"}}},
                                {"timestamp", timestamp},
                                {"sign", SignatureOf(timestamp, "demo")}}
                               .dump();
  server_->AddFault({.kind = FaultKind::kClockSkew, .s = 4000});
  EXPECT_THAT(Post(kPath, body).body, HasSubstr("19021"));
  EXPECT_THAT(Post(kPath, body).body, HasSubstr("\"code\":0"));
  server_->AdvanceClock(std::chrono::seconds{4000});
  EXPECT_THAT(Post(kPath, body).body, HasSubstr("19021"));
}

TEST_F(FakeImServerTest, AFaultHitsOnlyThePathItWasSetFor) {
  server_->SetBot({.token = "other"});
  server_->AddFault({.kind = FaultKind::kStatusOnly, .path = "/open-apis/bot/v2/hook/other", .n = 500});
  EXPECT_EQ(Post(kPath, kHello).status, 200);
  EXPECT_EQ(Post("/open-apis/bot/v2/hook/other", kHello).status, 500);
}

TEST_F(FakeImServerTest, WhileDownNothingListensAndThenItIsBack) {
  server_->GoDown();
  EXPECT_FALSE(RawClient(server_->port()).connected());
  server_->ComeBack();
  EXPECT_EQ(Post(kPath, kHello).status, 200);
  server_->ComeBack();
  EXPECT_EQ(Post(kPath, kHello).status, 200) << "coming back twice is harmless";
}

TEST_F(FakeImServerTest, TheControlApiTellsTheTruth) {
  Post(kPath, kHello);
  Post(kPath, kHello);
  const Json all = Json::parse(Get("/__fake/deliveries").body);
  EXPECT_EQ(all["count"], 2);
  EXPECT_EQ(all["deliveries"][0]["sequence"], 1);
  EXPECT_EQ(all["deliveries"][0]["token"], "t");
  EXPECT_EQ(all["deliveries"][0]["body"], kHello);
  EXPECT_EQ(all["deliveries"][0]["text"], "hello");
  EXPECT_THAT(Json::parse(Get("/__fake/deliveries?after=1").body)["deliveries"], SizeIs(1));
  EXPECT_EQ(Json::parse(Get("/__fake/requests").body)["count"], 2) << "the control API's own aren't counted";
}

TEST_F(FakeImServerTest, TheControlApiSetsBotsFaultsAndTheClock) {
  EXPECT_EQ(Post("/__fake/bots", R"({"token":"u","keywords":["k"],"per_second":1})").status, 200);
  EXPECT_THAT(Post("/open-apis/bot/v2/hook/u", kHello).body, HasSubstr("19024"));
  EXPECT_EQ(
      Json::parse(Post("/__fake/fault", R"({"match":{"path":"/open-apis/"},"kind":"code","n":11232,"text":"slow"})")
                      .body)["id"],
      1);
  EXPECT_THAT(Post(kPath, kHello).body, HasSubstr("11232"));
  EXPECT_EQ(Json::parse(Get("/__fake/faults").body)["faults"][0]["fired"], 1);
  const Timestamp before = server_->Now();
  EXPECT_EQ(Post("/__fake/clock", R"({"advance_s":3600})").status, 200);
  EXPECT_GE(server_->Now() - before, std::chrono::hours{1});
  EXPECT_EQ(RawClient(server_->port()).Request("DELETE", "/__fake/faults").status, 200);
  EXPECT_THAT(server_->faults(), IsEmpty());
  EXPECT_EQ(Post("/__fake/reset", "").status, 200);
  EXPECT_THAT(server_->deliveries(), IsEmpty());
  EXPECT_THAT(Post("/open-apis/bot/v2/hook/u", kHello).body, HasSubstr("19001")) << "as at the start";
}

TEST_F(FakeImServerTest, TheControlApiRefusesWhatItDoesntUnderstand) {
  for (const auto& [path, body] : {std::pair{"fault", "{}"},
                                   {"fault", "{"},
                                   {"bots", "{}"},
                                   {"bots", R"({"token":"t","secrets":"x"})"},
                                   {"bots", R"({"token":1})"},
                                   {"clock", "{}"},
                                   {"down", R"({"for_ms":"x"})"}}) {
    EXPECT_EQ(Post(std::string("/__fake/") + path, body).status, 400) << path << " " << body;
  }
  EXPECT_EQ(Post("/__fake/nothing", "{}").status, 404);
  EXPECT_EQ(Get("/__fake/nothing").status, 404);
}

TEST_F(FakeImServerTest, DownForAWhileComesBackByItself) {
  EXPECT_EQ(Post("/__fake/down", R"({"for_ms":1})").status, 200);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  int status = 0;
  while (status != 200 && std::chrono::steady_clock::now() < until) {
    RawClient client(server_->port());
    if (client.connected()) status = client.Post(kPath, kHello).status;
  }
  EXPECT_EQ(status, 200);
}

TEST_F(FakeImServerTest, ATakenPortIsAFault) {
  const auto second = FakeImServer::Start({.port = server_->port()});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
}

TEST_F(FakeImServerTest, EndsWithConnectionsOpen) {
  server_->AddFault({.kind = FaultKind::kAcceptThenTimeout});
  RawClient client(server_->port());
  RawClient idle(server_->port());
  client.Request("POST", kPath, kHello, std::chrono::milliseconds{50});
  server_.reset();
}

}  // namespace
}  // namespace outrider::fake_im
