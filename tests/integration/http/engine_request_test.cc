// What leaves: the bytes of a request, what is refused before any does, and when the last look is taken.
#include <gmock/gmock.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/integration/http/engine_fixture.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/raw_http/raw_server.h"

namespace outrider::http {
namespace {

using std::chrono::seconds;
using testing::AnswerAlways;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::RawConnection;
using testing::RawServer;
using ::testing::SizeIs;
using ::testing::StartsWith;

class EngineRequestTest : public EngineTest {
 protected:
  std::string SeenBytes(HttpRequest request) {
    EXPECT_EQ(InWords(Send(std::move(request))), "answered/200");
    return server_.requests().empty() ? "" : server_.requests().back();
  }
  RawServer server_{AnswerAlways("ok")};
};

TEST_F(EngineRequestTest, APostArrivesAsWritten) {
  HttpRequest request = Post(server_.Url("/hook/a%2Fb?x=%20y&z"), R"({"text":"你好"})");
  request.headers.emplace_back("X-Empty", "");
  request.headers.emplace_back("X-Words", "one, two");
  const std::string bytes = SeenBytes(std::move(request));
  EXPECT_THAT(bytes, StartsWith("POST /hook/a%2Fb?x=%20y&z HTTP/1.1\r\n"));
  EXPECT_THAT(bytes, HasSubstr("\r\nHost: 127.0.0.1:" + std::to_string(server_.port()) + "\r\n"));
  EXPECT_THAT(bytes, HasSubstr("\r\nUser-Agent: outrider\r\n"));
  EXPECT_THAT(bytes, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(bytes, HasSubstr("\r\nX-Empty:\r\n"));
  EXPECT_THAT(bytes, HasSubstr("\r\nX-Words: one, two\r\n"));
  EXPECT_THAT(bytes, EndsWith("\r\n\r\n{\"text\":\"你好\"}"));
}

TEST_F(EngineRequestTest, NothingIsAskedForThatWasntSaid) {
  HttpRequest request = Post(server_.Url(), std::string(2'000'000, 'x'));
  request.headers.clear();
  const std::string bytes = SeenBytes(std::move(request));
  for (const char* header : {"Accept-Encoding", "Expect", "Content-Type", "Transfer-Encoding", "Cookie", "Upgrade"}) {
    EXPECT_THAT(bytes.substr(0, 1000), Not(HasSubstr(header))) << header;
  }
  EXPECT_THAT(bytes, EndsWith(std::string(1000, 'x')));
}

TEST_F(EngineRequestTest, EveryMethodHasItsShape) {
  EXPECT_THAT(SeenBytes({.method = "GET", .url = Secret(server_.Url("/g"))}), StartsWith("GET /g HTTP/1.1\r\n"));
  EXPECT_THAT(server_.requests().back(), Not(HasSubstr("Content-")));
  EXPECT_THAT(SeenBytes({.method = "DELETE", .url = Secret(server_.Url())}), StartsWith("DELETE / HTTP/1.1\r\n"));
  EXPECT_THAT(SeenBytes({.method = "POST", .url = Secret(server_.Url())}), HasSubstr("Content-Length: 0\r\n"));
  EXPECT_THAT(SeenBytes({.method = "PUT", .url = Secret(server_.Url()), .body = "b"}),
              StartsWith("PUT / HTTP/1.1\r\n"));
  EXPECT_THAT(server_.requests().back(), EndsWith("\r\n\r\nb"));
  EXPECT_THAT(SeenBytes({.method = "PATCH", .url = Secret(server_.Url()), .body = "b"}),
              StartsWith("PATCH / HTTP/1.1\r\n"));
}

TEST_F(EngineRequestTest, AHandleKeepsNothingOfTheRequestBefore) {
  HttpRequest first = Post(server_.Url(), "first");
  first.headers.emplace_back("X-First", "1");
  SeenBytes(std::move(first));
  const std::string bytes = SeenBytes({.method = "GET", .url = Secret(server_.Url("/second"))});
  EXPECT_THAT(bytes, StartsWith("GET /second HTTP/1.1\r\n"));
  EXPECT_THAT(bytes, Not(HasSubstr("irst")));
  SeenBytes({.method = "DELETE", .url = Secret(server_.Url())});
  SeenBytes({.method = "HEAD", .url = Secret(server_.Url("/head"))});
  EXPECT_THAT(server_.requests().back(), StartsWith("HEAD /head HTTP/1.1\r\n"));
  EXPECT_EQ(server_.connections(), 1u) << "one connection carries all";
}

TEST_F(EngineRequestTest, HeadersThatWouldSpeakForTheEngineAreRefused) {
  for (const auto& [name, value] : Headers{{"X-A", "1\r\nX-Evil: 1"},
                                           {"X-A", "1\nX-Evil: 1"},
                                           {"X-A", std::string("1\0", 2)},
                                           {"X-A", "tab\there"},
                                           {"X-A", "\x7f"},
                                           {"X A", "1"},
                                           {"X-A: 1\r\nX-Evil", "1"},
                                           {"", "1"},
                                           {"Content-Length", "1"},
                                           {"transfer-encoding", "chunked"},
                                           {"Host", "elsewhere"},
                                           {"Expect", "100-continue"},
                                           {"Accept-Encoding", "gzip"},
                                           {"Connection", "close"}}) {
    HttpRequest request = Post(server_.Url());
    request.headers.emplace_back(name, value);
    EXPECT_EQ(InWords(Send(std::move(request))), "not_sent/request_invalid") << name << "=" << value;
  }
  HttpRequest request = Post(server_.Url());
  request.method = "GET / HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET";
  EXPECT_EQ(InWords(Send(std::move(request))), "not_sent/request_invalid");
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(EngineRequestTest, UrlsThatAreNoTargetAreRefused) {
  const std::string at = "127.0.0.1:" + std::to_string(server_.port());
  for (const std::string& url : std::vector<std::string>{
           "http://user@" + at + "/", "http://user:password@" + at + "/", "http://:@" + at + "/", "ftp://" + at + "/",
           "gopher://" + at + "/", "file:///etc/hostname", "dict://" + at + "/", "ws://" + at + "/", "", "http://",
           "/path", "http://" + at + "/a b", "http://" + at + "/a\r\nX-Evil: 1", "http://" + at + "/\tb",
           "http://" + at + std::string("/\0b", 3), "http://127.0.0.1:99999/"}) {
    EXPECT_EQ(InWords(Send(url)), "not_sent/target_refused") << url;
  }
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(EngineRequestTest, PlainHttpNeedsThePolicysWord) {
  Use({.policy = {.allow_plain_http = false, .allow_private_addresses = true}});
  EXPECT_EQ(InWords(Send(server_.Url())), "not_sent/target_refused");
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(EngineRequestTest, TheEnvironmentsProxyIsNotAsked) {
  RawServer proxy(AnswerAlways("from the proxy"));
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::setenv(name, proxy.Url("").c_str(), 1);
  const HttpResult result = Send(server_.Url());
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
  EXPECT_EQ(result.response.body, "ok");
  EXPECT_EQ(proxy.connections(), 0u);
}

TEST_F(EngineRequestTest, TheLastLookIsTakenOverAnOpenConnectionBeforeTheFirstByte) {
  RawServer server([](RawConnection& connection) {
    connection.ReadRequest();
    connection.Answer(200, "");
  });
  bool stood = false;
  std::string received = "?";
  const HttpResult result = Send(Post(server.Url()), seconds{20}, [&] {
    stood = server.WaitForConnections(1);
    received = server.received();
    return true;
  });
  EXPECT_EQ(InWords(result), "answered/200");
  EXPECT_TRUE(stood);
  EXPECT_EQ(received, "");
}

TEST_F(EngineRequestTest, WhatIsNoLongerOursNeverLeaves) {
  RawServer server([](RawConnection& connection) { connection.ReadToEnd(); });
  const HttpResult result = Send(Post(server.Url()), seconds{20}, [] { return false; });
  EXPECT_EQ(InWords(result), "not_sent/not_mine");
  ASSERT_TRUE(server.WaitForEnded(1));
  EXPECT_EQ(server.received(), "");
}

TEST_F(EngineRequestTest, TheLastLookIsTakenOnUsedConnectionsToo) {
  EXPECT_EQ(InWords(Send(server_.Url("/first"))), "answered/200");
  EXPECT_EQ(InWords(Send(Post(server_.Url("/second")), seconds{20}, [] { return false; })), "not_sent/not_mine");
  EXPECT_EQ(InWords(Send(server_.Url("/third"))), "answered/200");
  EXPECT_THAT(server_.requests(), SizeIs(2));
  EXPECT_THAT(server_.received(), Not(HasSubstr("/second")));
}

TEST_F(EngineRequestTest, ARequestIsTimedFromSendOn) {
  const HttpResult result = Send(server_.Url());
  EXPECT_GT(result.duration.count(), 0);
  EXPECT_LT(result.duration, seconds{20});
}

}  // namespace
}  // namespace outrider::http
