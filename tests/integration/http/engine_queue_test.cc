// Many at once: the bound on what is in flight, the queue behind it, and the end.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "platform/http/server.h"
#include "tests/integration/http/engine_fixture.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/raw_http/raw_server.h"

namespace outrider::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RawConnection;
using testing::RawServer;

class EngineQueueTest : public EngineTest {
 protected:
  EngineQueueTest() {
    HttpEngineOptions options = Lenient();
    options.max_in_flight = 1;
    options.max_queued = 2;
    Use(options);
  }
  RawServer silent_{[](RawConnection& connection) {
    connection.ReadRequest();
    connection.ReadToEnd();
  }};
  RawServer server_{testing::AnswerAlways("ok")};
};

TEST_F(EngineQueueTest, WhatWaitsIsSentInItsTurn) {
  auto first = Begin(Post(silent_.Url()), milliseconds{300});
  auto second = Begin(Post(server_.Url("/2")));
  auto third = Begin(Post(server_.Url("/3")));
  EXPECT_EQ(engine_->in_flight(), 3u);
  EXPECT_EQ(InWords(Await(std::move(first))), "no_answer/timeout");
  EXPECT_EQ(InWords(Await(std::move(second))), "answered/200");
  EXPECT_EQ(InWords(Await(std::move(third))), "answered/200");
  EXPECT_THAT(server_.requests(), ::testing::ElementsAre(::testing::HasSubstr("/2"), ::testing::HasSubstr("/3")));
  EXPECT_EQ(engine_->in_flight(), 0u);
}

TEST_F(EngineQueueTest, DeadlinesRunInTheQueueToo) {
  auto first = Begin(Post(silent_.Url()));
  ASSERT_TRUE(silent_.WaitForRequests(1));
  const HttpResult waited = Send(Post(server_.Url()), milliseconds{100});
  EXPECT_EQ(InWords(waited), "not_sent/timeout");
  EXPECT_GE(waited.duration, milliseconds{100});
  EXPECT_LT(waited.duration, seconds{10});
  EXPECT_EQ(engine_->in_flight(), 1u);
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(EngineQueueTest, TheQueueIsBounded) {
  auto first = Begin(Post(silent_.Url()));
  ASSERT_TRUE(silent_.WaitForRequests(1));
  auto second = Begin(Post(server_.Url()));
  auto third = Begin(Post(server_.Url()));
  EXPECT_EQ(InWords(Send(server_.Url())), "not_sent/queue_full");
  engine_.reset();
  for (auto* one : {&second, &third}) EXPECT_EQ(InWords(Await(std::move(*one))), "not_sent/stopped");
}

TEST_F(EngineQueueTest, ADeadlineInThePastIsNeverSent) {
  EXPECT_EQ(InWords(Send(Post(server_.Url()), milliseconds{0})), "not_sent/timeout");
  EXPECT_EQ(InWords(Send(Post(server_.Url()), milliseconds{-5})), "not_sent/timeout");
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(EngineQueueTest, TheEndAnswersEverybody) {
  auto sent = Begin(Post(silent_.Url()));
  ASSERT_TRUE(silent_.WaitForRequests(1));
  auto waiting = Begin(Post(server_.Url()));
  engine_.reset();
  EXPECT_EQ(InWords(Await(std::move(sent))), "no_answer/stopped");
  EXPECT_EQ(InWords(Await(std::move(waiting))), "not_sent/stopped");
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(EngineQueueTest, WhatACallbackSendsAtTheEndIsAnsweredToo) {
  std::promise<HttpResult> again;
  HttpEngine* engine = engine_.get();
  engine->Send(
      Post(silent_.Url()), seconds{20}, [] { return true; },
      [&](HttpResult) {
        engine->Send(
            Post(server_.Url()), seconds{20}, [] { return true; },
            [&](HttpResult result) { again.set_value(std::move(result)); });
      });
  ASSERT_TRUE(silent_.WaitForRequests(1));
  std::future<HttpResult> future = again.get_future();
  engine_.reset();
  ASSERT_EQ(future.wait_for(seconds{0}), std::future_status::ready);
  EXPECT_EQ(InWords(future.get()), "not_sent/stopped");
}

TEST_F(EngineQueueTest, AnEngineThatDidNothingEnds) { engine_.reset(); }

TEST_F(EngineQueueTest, CallbacksMaySendAgain) {
  std::promise<HttpResult> second;
  engine_->Send(Post(server_.Url("/1")), seconds{20}, nullptr, [&](HttpResult) {
    engine_->Send(Post(server_.Url("/2")), seconds{20}, nullptr,
                  [&](HttpResult result) { second.set_value(std::move(result)); });
  });
  EXPECT_EQ(InWords(Await(second.get_future())), "answered/200");
}

TEST(EngineLoadTest, EveryRequestOfEveryThreadIsAnsweredOnce) {
  std::atomic<int> served{0};
  auto server = HttpServer::Start({}, [&served](const ServerRequest& request) {
    ++served;
    return ServerResponse{.body = request.body};
  });
  ASSERT_TRUE(server.has_value());
  const std::string url = "http://127.0.0.1:" + std::to_string((*server)->port()) + "/";
  HttpEngineOptions options;
  options.policy = {.allow_plain_http = true, .allow_private_addresses = true};
  options.max_in_flight = 32;
  HttpEngine engine(options);
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  std::atomic<int> echoed{0};
  std::atomic<int> called{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string body = std::to_string(t * kEach + i);
        engine.Send({.url = Secret(url), .body = body}, seconds{60}, nullptr, [&, body](HttpResult result) {
          if (result.kind == HttpResult::Kind::kAnswered && result.response.body == body) ++echoed;
          ++called;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(testing::WaitUntil([&] { return called == kThreads * kEach; }));
  EXPECT_EQ(echoed, kThreads * kEach);
  EXPECT_EQ(served, kThreads * kEach);
  EXPECT_EQ(engine.in_flight(), 0u);
}

}  // namespace
}  // namespace outrider::http
