#include "app/delivery_bench/http_call.h"

#include <fmt/format.h>

#include <future>

namespace outrider::app {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr std::size_t kLargestAnswer = std::size_t{1} << 30;

}  // namespace

http::HttpEngineOptions LocalHttp() {
  http::HttpEngineOptions options;
  options.policy = {.allow_plain_http = true, .allow_private_addresses = true};
  options.max_response_body = kLargestAnswer;
  return options;
}

Result<std::string> CallHttp(http::HttpEngine& engine, const std::string& method, const std::string& url,
                             std::string body) {
  std::promise<http::HttpResult> promise;
  http::HttpRequest request;
  request.method = method;
  request.url = Secret(url);
  request.headers = {{"content-type", "application/json"}};
  request.body = std::move(body);
  engine.Send(std::move(request), kPatience, {},
              [&promise](http::HttpResult result) { promise.set_value(std::move(result)); });
  http::HttpResult result = promise.get_future().get();
  if (result.kind != http::HttpResult::Kind::kAnswered) {
    return Fail(ErrorCode::kUnavailable, fmt::format("no answer ({}) {}", result.reason, result.detail));
  }
  if (result.response.status != 200) {
    return Fail(ErrorCode::kUnavailable, fmt::format("HTTP {}: {}", result.response.status, result.response.body));
  }
  return std::move(result.response.body);
}

}  // namespace outrider::app
