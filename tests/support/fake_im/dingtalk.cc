// DingTalk's custom robots. Every answer has HTTP 200. The checks come in the order token, penalty, size, JSON,
// signature, type and content, keyword, rate: our choice. Who exceeds the rate is shut out for ten minutes.
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/support/fake_im/endpoint.h"

namespace outrider::fake_im {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kSignatureLife = 3'600'000;  // milliseconds, either way

std::string Sign(const std::string& timestamp, const std::string& secret) {
  const std::string message = timestamp + "\n" + secret;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(), digest.data(), &length);
  std::array<unsigned char, 4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1> text{};
  const int written = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(length));
  return {text.begin(), text.begin() + written};
}

// What is wrong with the signature, in the vendor's words; empty: nothing.
std::string SignatureFault(const Call& call, const std::string& secret) {
  const std::string timestamp = Parameter(call.query, "timestamp");
  std::int64_t milliseconds = 0;
  std::from_chars(timestamp.data(), timestamp.data() + timestamp.size(), milliseconds);
  const std::int64_t now = std::chrono::floor<std::chrono::milliseconds>(call.now.time_since_epoch()).count();
  if (milliseconds < now - kSignatureLife || milliseconds > now + kSignatureLife) return "invalid timestamp";
  return Parameter(call.query, "sign") == Sign(timestamp, secret) ? "" : "sign not match";
}

// What a person would read; nothing when the type isn't known or a part is missing.
std::string ReadableText(const Json& body) {
  const auto text = [&](const char* part, const char* key) {
    const Json& value = body.value(part, Json::object());
    return value.is_object() ? value.value(key, std::string()) : std::string();
  };
  const std::string type = body.value("msgtype", std::string());
  if (type == "text") return text("text", "content");
  if (type == "markdown") {
    const std::string title = text("markdown", "title");
    return title.empty() ? "" : title + " — " + text("markdown", "text");
  }
  if (type == "link" || type == "actionCard") return text(type.c_str(), "title") + " — " + text(type.c_str(), "text");
  return {};
}

class DingtalkRobots final : public Endpoint {
 public:
  std::string_view vendor() const override { return "dingtalk"; }
  bool Owns(std::string_view path) const override { return path == "/robot/send"; }
  void Set(BotSettings settings) override {
    std::string token = settings.token;
    robots_[std::move(token)] = Robot{std::move(settings), {}, {}, {}};
  }
  void Forget() override { robots_.clear(); }
  Answer Refusal(int, std::int64_t code, std::string_view text) const override { return ErrcodeAnswer(code, text); }

  Answer Post(const Call& call, std::vector<Delivery>& deliveries) override {
    const auto found = robots_.find(Parameter(call.query, "access_token"));
    if (found == robots_.end()) return ErrcodeAnswer(300005, "token is not exist");
    Robot& robot = found->second;
    const BotSettings& settings = robot.settings;
    if (call.now < robot.closed_until) return TooFast(settings);
    if (call.body.size() > settings.max_body) return ErrcodeAnswer(460101, "message too long, exceed 20000 bytes");
    const Json body = Json::parse(call.body, nullptr, false);
    if (!body.is_object()) return ErrcodeAnswer(40035, "miss param: json");
    if (!settings.secret.empty()) {
      const std::string fault = SignatureFault(call, settings.secret);
      if (!fault.empty()) return ErrcodeAnswer(310000, fault);
    }
    const std::string text = ReadableText(body);
    if (text.empty()) return ErrcodeAnswer(400105, "unsupported msgtype");
    if (!HasKeyword(settings, text)) return ErrcodeAnswer(310000, "keywords not in content");
    const std::string key = body.value("msgUuid", std::string());
    if (settings.knows_keys && !key.empty() && robot.keys.contains(key)) return ErrcodeAnswer(0, "ok");
    if (IsOverRate(robot, call.now)) {
      robot.closed_until = call.now + std::chrono::minutes{10};
      return TooFast(settings);
    }
    robot.taken.push_back(call.now);
    if (!key.empty()) robot.keys[key] = true;
    Deliver(call, robot, body.at("msgtype").get<std::string>(), text, deliveries);
    // The vendor's own example has the code as a text.
    Answer answer;
    answer.body = settings.code_as_text ? R"({"errcode":"0","errmsg":"ok"})" : R"({"errcode":0,"errmsg":"ok"})";
    return answer;
  }

 private:
  static Answer TooFast(const BotSettings& settings) {
    if (settings.rate_code == 1111) {
      Answer answer;
      answer.body = R"({"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"a1b2"})";
      return answer;
    }
    const int code = settings.rate_code == BotSettings{}.rate_code ? 130101 : settings.rate_code;
    return ErrcodeAnswer(code, "send too fast, exceed 20 times per minute");
  }

  std::map<std::string, Robot> robots_;
};

}  // namespace

std::unique_ptr<Endpoint> MakeDingtalkRobots() { return std::make_unique<DingtalkRobots>(); }

}  // namespace outrider::fake_im
