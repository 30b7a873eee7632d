// WeCom's group robots. Every answer has HTTP 200, and a refusal's words hold a hint, the caller's address and a link.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "tests/support/fake_im/endpoint.h"

namespace outrider::fake_im {
namespace {

using Json = nlohmann::json;

Answer Refused(std::int64_t code, std::string_view text) {
  return ErrcodeAnswer(code, fmt::format("{}, hint: [1732500000123456789], from ip: 203.0.113.77, more info at "
                                         "https://open.work.weixin.qq.com/devtool/query?e={}",
                                         text, code));
}

class WecomRobots final : public Endpoint {
 public:
  std::string_view vendor() const override { return "wecom"; }
  bool Owns(std::string_view path) const override { return path == "/cgi-bin/webhook/send"; }
  void Set(BotSettings settings) override {
    std::string token = settings.token;
    robots_[std::move(token)] = Robot{std::move(settings), {}, {}, {}};
  }
  void Forget() override { robots_.clear(); }
  Answer Refusal(int, std::int64_t code, std::string_view text) const override { return Refused(code, text); }

  Answer Post(const Call& call, std::vector<Delivery>& deliveries) override {
    const auto found = robots_.find(Parameter(call.query, "key"));
    if (found == robots_.end()) return Refused(93000, "invalid webhook url");
    Robot& robot = found->second;
    const Json body = Json::parse(call.body, nullptr, false);
    if (!body.is_object()) return Refused(47001, "data format error");
    const std::string type = body.value("msgtype", std::string());
    std::string text;
    if (type == "text" || type == "markdown" || type == "markdown_v2") {
      const Json part = body.value(type, Json::object());
      text = part.is_object() ? part.value("content", std::string()) : std::string();
      if (text.empty()) return Refused(44004, "empty content");
      const std::size_t most = type == "text" ? 2048 : 4096;
      if (text.size() > most) return Refused(40058, fmt::format("{}.content exceed max length {}", type, most));
    } else if (type == "template_card" || type == "news") {
      text = type;
    } else {
      return Refused(40008, "invalid message type");
    }
    if (IsOverRate(robot, call.now)) return Refused(45009, "api freq out of limit");
    robot.taken.push_back(call.now);
    Deliver(call, robot, type, text, deliveries);
    return ErrcodeAnswer(0, "ok");
  }

 private:
  std::map<std::string, Robot> robots_;
};

}  // namespace

std::unique_ptr<Endpoint> MakeWecomRobots() { return std::make_unique<WecomRobots>(); }

}  // namespace outrider::fake_im
