#include "app/delivery_bench/fake_bots.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "app/delivery_bench/http_call.h"

namespace outrider::app {

using nlohmann::json;

namespace {

const std::string kNothingButTheCount = "deliveries?after=9223372036854775807";

}  // namespace

struct FakeBots::State {
  Result<std::string> Control(const std::string& method, const std::string& command, const json& body = {}) {
    return CallHttp(engine, method, fmt::format("{}/__fake/{}", url, command), body.is_null() ? "" : body.dump());
  }

  std::string url;
  http::HttpEngine engine{LocalHttp()};
};

FakeBots::FakeBots(std::unique_ptr<State> state) : state_(std::move(state)) {}
FakeBots::~FakeBots() = default;

Result<std::unique_ptr<FakeBots>> FakeBots::Open(const std::string& url) {
  auto state = std::make_unique<State>();
  state->url = url;
  const auto answer = state->Control("GET", kNothingButTheCount);
  if (!answer || !json::accept(*answer)) {
    return Fail(ErrorCode::kInvalid, fmt::format("no fake IM server answers at {}; a bench sends to nobody else", url));
  }
  return std::unique_ptr<FakeBots>(new FakeBots(std::move(state)));
}

Result<void> FakeBots::Reset(const std::vector<std::string>& tokens) {
  if (auto done = state_->Control("POST", "reset"); !done) return std::unexpected(done.error());
  for (const std::string& token : tokens) {
    auto done = state_->Control("POST", "bots", {{"token", token}, {"per_second", 0}, {"per_minute", 0}});
    if (!done) return std::unexpected(done.error());
  }
  return {};
}

Result<void> FakeBots::Silence(const std::string& token) {
  auto done = state_->Control("POST", "fault",
                              {{"match", {{"path", "/open-apis/bot/v2/hook/" + token}}},
                               {"kind", "accept_then_timeout"},
                               {"accept", false},
                               {"times", 0}});
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<std::size_t> FakeBots::Count() {
  auto answer = state_->Control("GET", kNothingButTheCount);
  if (!answer) return std::unexpected(answer.error());
  const json document = json::parse(*answer, nullptr, false);
  if (!document.is_object()) return Fail(ErrorCode::kUnavailable, "the fake IM server's list can't be read");
  return document.at("count").get<std::size_t>();
}

Result<std::vector<FakeBots::Taken>> FakeBots::Read(std::size_t skip) {
  auto answer = state_->Control("GET", fmt::format("deliveries?after={}", skip));
  if (!answer) return std::unexpected(answer.error());
  const json document = json::parse(*answer, nullptr, false);
  if (!document.is_object()) return Fail(ErrorCode::kUnavailable, "the fake IM server's list can't be read");
  std::vector<Taken> taken;
  for (const json& delivery : document.at("deliveries")) {
    taken.push_back({delivery.at("text").get<std::string>(),
                     ParseRfc3339(delivery.at("time").get<std::string>()).value_or(Timestamp{})});
  }
  return taken;
}

std::string FakeBots::WebhookUrl(std::string_view token) const {
  return fmt::format("{}/open-apis/bot/v2/hook/{}", state_->url, token);
}

}  // namespace outrider::app
