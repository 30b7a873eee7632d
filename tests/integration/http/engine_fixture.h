// EngineTest: an engine and its results, for tests that say one sentence each.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>

#include "platform/http/engine.h"

namespace outrider::http {

// For results that never come: reports a failure and gives an empty result.
HttpResult Await(std::future<HttpResult> future);

class EngineTest : public ::testing::Test {
 protected:
  ~EngineTest() override;

  // Plain http and 127.0.0.1 allowed, as for all servers of these tests.
  static HttpEngineOptions Lenient();
  // Replaces the engine.
  void Use(HttpEngineOptions options) { engine_ = std::make_unique<HttpEngine>(std::move(options)); }

  static HttpRequest Post(const std::string& url, const std::string& body = "{}");
  std::future<HttpResult> Begin(
      HttpRequest request, std::chrono::milliseconds deadline = std::chrono::seconds{20},
      std::function<bool()> before_send = [] { return true; });
  HttpResult Send(
      HttpRequest request, std::chrono::milliseconds deadline = std::chrono::seconds{20},
      std::function<bool()> before_send = [] { return true; }) {
    return Await(Begin(std::move(request), deadline, std::move(before_send)));
  }
  HttpResult Send(const std::string& url) { return Send(Post(url)); }

  std::unique_ptr<HttpEngine> engine_ = std::make_unique<HttpEngine>(Lenient());
};

// "not_sent/connect_failed", "answered/200": what a test expects of a result, in words.
std::string InWords(const HttpResult& result);

}  // namespace outrider::http
