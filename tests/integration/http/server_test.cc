// HttpServer as a client sees it that hides nothing.
#include "platform/http/server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "tests/support/process/wait_until.h"
#include "tests/support/raw_http/raw_client.h"

namespace outrider::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using testing::RawAnswer;
using testing::RawClient;
using ::testing::SizeIs;
using ::testing::StartsWith;
using End = testing::RawAnswer::End;

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() { Start({}); }
  void Start(HttpServerOptions options) {
    server_.reset();
    auto started = HttpServer::Start(options, [this](const ServerRequest& request) { return Handle(request); });
    ASSERT_TRUE(started.has_value()) << started.error().message;
    server_ = std::move(*started);
  }
  ServerResponse Handle(const ServerRequest& request) {
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(request);
    }
    if (request.path == "/throw") throw std::runtime_error("SECRET");
    if (request.path == "/throw-int") throw 1;
    if (request.path == "/split") return {.headers = {{"X-A", "1\r\nX-Evil: 1"}}};
    if (request.path == "/status-0") return {.status = 0};
    if (request.path == "/none") return {.status = 204, .body = ""};
    if (request.path == "/big") return {.body = std::string(8'000'000, 'x')};
    return {.status = 201, .content_type = "text/x-test", .body = "hello", .headers = {{"X-Own", "1"}}};
  }
  std::vector<ServerRequest> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  // On a connection of its own.
  RawAnswer Say(const std::string& bytes, milliseconds deadline = seconds{10}) {
    RawClient client(server_->port());
    client.Write(bytes);
    return client.Read(deadline);
  }
  RawAnswer Get(const std::string& path) { return Say("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"); }

  std::mutex mutex_;
  std::vector<ServerRequest> seen_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, TheHandlerSeesTheRequestAndTheClientItsAnswer) {
  const RawAnswer answer =
      Say("POST /a/b%20c%2Fd?x=%20y HTTP/1.1\r\nHost: here\r\nX-Mixed-Case: Value\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_THAT(answer.bytes, HasSubstr("\r\nContent-Type: text/x-test\r\n"));
  EXPECT_THAT(answer.bytes, HasSubstr("\r\nX-Own: 1\r\n"));
  ASSERT_THAT(seen(), SizeIs(1));
  const ServerRequest request = seen().front();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/a/b c/d");
  EXPECT_EQ(request.query, "x=%20y");
  EXPECT_EQ(request.body, "body");
  EXPECT_THAT(request.headers, Contains(Pair("x-mixed-case", "Value")));
}

TEST_F(HttpServerTest, AConnectionCarriesManyRequests) {
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.Get("/").status, 201);
  client.Write("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.Read().status, 201);
  EXPECT_EQ(client.Read().status, 201);
  EXPECT_THAT(seen(), SizeIs(5));
}

TEST_F(HttpServerTest, AConnectionEndsWhenTheClientSaysSo) {
  for (const char* head : {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"}) {
    RawClient client(server_->port());
    client.Write(head);
    EXPECT_EQ(client.Read().status, 201);
    EXPECT_EQ(client.Read().end, End::kClosed);
  }
}

TEST_F(HttpServerTest, AnAnswerToHeadHasTheLengthButNoBody) {
  RawClient client(server_->port());
  const RawAnswer answer = client.Request("HEAD", "/");
  EXPECT_EQ(answer.status, 201);
  EXPECT_THAT(answer.bytes, HasSubstr("\r\nContent-Length: 5\r\n"));
  EXPECT_THAT(answer.bytes, ::testing::EndsWith("\r\n\r\n"));
  EXPECT_THAT(client.Get("/").bytes, StartsWith("HTTP/1.1 201")) << "nothing was left over";
  EXPECT_EQ(seen().front().method, "HEAD");
}

TEST_F(HttpServerTest, NoContentHasNoLength) { EXPECT_THAT(Get("/none").bytes, Not(HasSubstr("Content-Length"))); }

TEST_F(HttpServerTest, WhatTheHandlerThrowsIs500AndStaysInside) {
  for (const char* path : {"/throw", "/throw-int", "/split", "/status-0"}) {
    const RawAnswer answer = Get(path);
    EXPECT_EQ(answer.status, 500) << path;
    EXPECT_THAT(answer.bytes, Not(HasSubstr("SECRET")));
    EXPECT_THAT(answer.bytes, Not(HasSubstr("Evil")));
  }
  EXPECT_EQ(Get("/").status, 201);
}

TEST_F(HttpServerTest, WhatIsNoRequestIs400) {
  for (const char* bytes : {"nonsense\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/3.0\r\n\r\n", "GET /%zz HTTP/1.1\r\n\r\n",
                            "GET /%4 HTTP/1.1\r\n\r\n", "GET /% HTTP/1.1\r\n\r\n", "GET /%00 HTTP/1.1\r\n\r\n",
                            "GET relative HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\n\r\n",
                            "GET http://elsewhere/ HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    EXPECT_EQ(Say(bytes).status, 400) << bytes;
  }
  EXPECT_THAT(seen(), IsEmpty());
}

TEST_F(HttpServerTest, HeadersAreBounded) {
  EXPECT_EQ(Say("GET / HTTP/1.1\r\nX-Long: " + std::string(20'000, 'x') + "\r\n\r\n").status, 431);
  EXPECT_EQ(Say("GET /" + std::string(500'000, 'x') + " HTTP/1.1\r\n\r\n").status, 431);
  EXPECT_THAT(seen(), IsEmpty());
}

TEST_F(HttpServerTest, BodiesAreBounded) {
  Start({.max_body = 1000});
  const auto post = [](std::size_t size) {
    return fmt::format("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}", size, std::string(size, 'x'));
  };
  EXPECT_EQ(Say(post(1000)).status, 201);
  EXPECT_EQ(Say(post(1001)).status, 413);
  RawClient client(server_->port());
  client.Write(post(300'000));
  EXPECT_EQ(client.Read().status, 413);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(client.Write(std::string(1000, 'x'))) << "a reset could overtake the answer";
  }
  EXPECT_EQ(Say("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n").status, 413);
  EXPECT_EQ(Say(fmt::format("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n", 1001,
                            std::string(1001, 'x')))
                .status,
            413);
  EXPECT_THAT(seen(), SizeIs(1));
}

TEST_F(HttpServerTest, ABodyMayComeInChunks) {
  EXPECT_EQ(Say("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n").status, 201);
  EXPECT_EQ(seen().front().body, "abcd");
}

TEST_F(HttpServerTest, AClientThatAsksFirstIsToldToGoOn) {
  RawClient client(server_->port());
  client.Write("POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.Read().status, 100);
  client.Write("body");
  EXPECT_EQ(client.Read().status, 201);
  EXPECT_EQ(seen().front().body, "body");
}

// Row 54 of the fault matrix. The client keeps writing, so only a bound on the whole request ends it.
TEST_F(HttpServerTest, ARequestThatTricklesIsDropped) {
  Start({.idle_timeout = seconds{1}});
  RawClient client(server_->port());
  client.Write("GET / HTTP/1.1\r\n");
  const auto begin = std::chrono::steady_clock::now();
  RawAnswer answer;
  do {
    client.Write("X-More: 1\r\n");
    answer = client.Read(milliseconds{50});
  } while (answer.end == End::kTimeout && std::chrono::steady_clock::now() - begin < seconds{20});
  EXPECT_NE(answer.end, End::kTimeout);
  EXPECT_EQ(answer.status, 0);
  EXPECT_THAT(seen(), IsEmpty());
}

TEST_F(HttpServerTest, AnIdleConnectionIsDropped) {
  Start({.idle_timeout = seconds{1}});
  RawClient silent(server_->port());
  RawClient used(server_->port());
  EXPECT_EQ(used.Get("/").status, 201);
  EXPECT_EQ(silent.Read().end, End::kClosed);
  EXPECT_EQ(used.Read().end, End::kClosed);
}

TEST_F(HttpServerTest, AClientThatDoesntReadIsDropped) {
  Start({.max_connections = 1, .idle_timeout = seconds{1}});
  RawClient greedy(server_->port());
  greedy.Write("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(testing::WaitUntil([this] { return Get("/").status == 201; })) << "its place is free again";
}

TEST_F(HttpServerTest, ConnectionsBeyondTheLimitAreToldSo) {
  Start({.max_connections = 2});
  RawClient first(server_->port());
  RawClient second(server_->port());
  EXPECT_EQ(first.Get("/").status, 201);
  EXPECT_EQ(second.Get("/").status, 201);
  RawClient third(server_->port());
  EXPECT_EQ(third.Read().status, 503);
  EXPECT_EQ(first.Get("/").status, 201) << "those that are in stay";
}

TEST_F(HttpServerTest, AFloodOfConnectionsLeavesNothingBehind) {
  Start({.max_connections = 8});
  {
    std::vector<std::unique_ptr<RawClient>> flood;
    for (int i = 0; i < 200; ++i) flood.push_back(std::make_unique<RawClient>(server_->port()));
    for (const auto& client : flood) client->Write("GET / HT");
  }
  EXPECT_TRUE(testing::WaitUntil([this] { return Get("/").status == 201; }));
}

TEST_F(HttpServerTest, ListensOnIpv6) {
  Start({.listen = "[::1]:0"});
  RawClient client(server_->port(), true);
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(client.Get("/").status, 201);
}

TEST_F(HttpServerTest, AMalformedAddressIsInvalid) {
  for (const char* listen :
       {"", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:80 ", "localhost:8080", "::1:8080", "[::1]", "[127.0.0.1]:80", "[::1:80", "256.0.0.1:80"}) {
    const auto started = HttpServer::Start({.listen = listen}, [](const ServerRequest&) { return ServerResponse{}; });
    ASSERT_FALSE(started.has_value()) << listen;
    EXPECT_EQ(started.error().code, ErrorCode::kInvalid) << listen;
    EXPECT_THAT(started.error().message, HasSubstr(std::string("\"") + listen + "\"")) << listen;
  }
}

TEST_F(HttpServerTest, ATakenAddressIsUnavailable) {
  const auto second = HttpServer::Start({.listen = fmt::format("127.0.0.1:{}", server_->port())},
                                        [](const ServerRequest&) { return ServerResponse{}; });
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("Address already in use"));
}

TEST_F(HttpServerTest, ItsPortIsFreeWhenItIsGone) {
  const std::string listen = fmt::format("127.0.0.1:{}", server_->port());
  RawClient client(server_->port());
  EXPECT_EQ(client.Get("/").status, 201);
  server_.reset();
  EXPECT_NE(client.Read().end, End::kTimeout) << "its connections are closed";
  Start({.listen = listen});
  EXPECT_EQ(Get("/").status, 201);
}

TEST_F(HttpServerTest, EndsWhileAHandlerRuns) {
  std::promise<void> entered;
  std::promise<void> leave;
  auto server = HttpServer::Start({}, [&](const ServerRequest&) {
    entered.set_value();
    leave.get_future().wait();
    return ServerResponse{};
  });
  ASSERT_TRUE(server.has_value());
  RawClient client((*server)->port());
  client.Write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  entered.get_future().wait();
  auto end = std::async(std::launch::async, [&server] { server->reset(); });
  leave.set_value();
  EXPECT_EQ(end.wait_for(seconds{30}), std::future_status::ready);
}

}  // namespace
}  // namespace outrider::http
