#include "tests/integration/http/engine_fixture.h"

#include "tests/integration/http/fake_resolver.h"

namespace outrider::http {

HttpResult Await(std::future<HttpResult> future) {
  if (future.wait_for(std::chrono::seconds{30}) != std::future_status::ready) {
    ADD_FAILURE() << "done was not called";
    return {};
  }
  return future.get();
}

EngineTest::~EngineTest() { testing::FakeResolver::Clear(); }

HttpEngineOptions EngineTest::Lenient() {
  HttpEngineOptions options;
  options.policy = {.allow_plain_http = true, .allow_private_addresses = true};
  return options;
}

HttpRequest EngineTest::Post(const std::string& url, const std::string& body) {
  return {.method = "POST", .url = Secret(url), .headers = {{"Content-Type", "application/json"}}, .body = body};
}

std::future<HttpResult> EngineTest::Begin(HttpRequest request, std::chrono::milliseconds deadline,
                                          std::function<bool()> before_send) {
  auto promise = std::make_shared<std::promise<HttpResult>>();
  std::future<HttpResult> future = promise->get_future();
  engine_->Send(std::move(request), deadline, std::move(before_send),
                [promise](HttpResult result) { promise->set_value(std::move(result)); });
  return future;
}

std::string InWords(const HttpResult& result) {
  switch (result.kind) {
    case HttpResult::Kind::kAnswered:
      return "answered/" + std::to_string(result.response.status);
    case HttpResult::Kind::kNotSent:
      return "not_sent/" + result.reason;
    case HttpResult::Kind::kNoAnswer:
      return "no_answer/" + result.reason;
  }
  return "?";
}

}  // namespace outrider::http
