// Slack's incoming webhooks: the answer is a word in plain text, and the HTTP status says the same.
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/support/fake_im/endpoint.h"

namespace outrider::fake_im {
namespace {

using Json = nlohmann::json;

Answer Word(int status, std::string_view word) {
  Answer answer;
  answer.status = status;
  answer.content_type = "text/html";
  answer.body = word;
  return answer;
}

class SlackHooks final : public Endpoint {
 public:
  std::string_view vendor() const override { return "slack"; }
  bool Owns(std::string_view path) const override { return path.starts_with("/services/"); }
  void Set(BotSettings settings) override {
    std::string token = settings.token;
    hooks_[std::move(token)] = Robot{std::move(settings), {}, {}, {}};
  }
  void Forget() override { hooks_.clear(); }
  Answer Refusal(int status, std::int64_t, std::string_view text) const override { return Word(status, text); }

  Answer Post(const Call& call, std::vector<Delivery>& deliveries) override {
    const auto found = hooks_.find(call.path.substr(call.path.rfind('/') + 1));
    if (found == hooks_.end()) return Word(404, "no_service");
    Robot& hook = found->second;
    const Json body = Json::parse(call.body, nullptr, false);
    if (!body.is_object()) return Word(400, "invalid_payload");
    const bool has_text = body.contains("text") && body["text"].is_string() && !body["text"].get<std::string>().empty();
    const bool has_blocks = body.contains("blocks") && body["blocks"].is_array() && !body["blocks"].empty();
    if (!has_text && !has_blocks) return Word(400, "no_text");
    if (IsOverRate(hook, call.now)) {
      Answer answer = Word(429, "rate_limited");
      answer.headers = {{"Retry-After", "1"}};
      return answer;
    }
    hook.taken.push_back(call.now);
    Deliver(call, hook, has_blocks ? "blocks" : "text", has_text ? body["text"].get<std::string>() : "", deliveries);
    return Word(200, "ok");
  }

 private:
  std::map<std::string, Robot> hooks_;
};

}  // namespace

std::unique_ptr<Endpoint> MakeSlackHooks() { return std::make_unique<SlackHooks>(); }

}  // namespace outrider::fake_im
