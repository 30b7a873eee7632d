#include "providers/wecom_robot.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/text.h"
#include "providers/coded_answer.h"
#include "providers/content.h"
#include "providers/mention.h"
#include "providers/webhook_address.h"
#include "providers/wecom_robot_codes.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kUrlKey = "webhook_url";
constexpr std::string_view kMarkdownKey = "markdown";
constexpr std::string_view kMaxTextKey = "max_text_bytes";
constexpr std::string_view kVendor = "a WeCom robot";
constexpr std::string_view kKeyParameter = "key=";

constexpr std::array kSettings = {SettingInfo{.key = kUrlKey, .required = true, .secret = true},
                                  SettingInfo{.key = kMarkdownKey, .required = false, .secret = false},
                                  SettingInfo{.key = kMaxTextKey, .required = false, .secret = false}};

constexpr std::array<std::string_view, 1> kHosts = {"qyapi.weixin.qq.com"};
constexpr AddressRule kAddress{
    .key = kUrlKey, .example = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=<key>", .hosts = kHosts};

constexpr std::array<std::string_view, 1> kCodeKeys = {"errcode"};
constexpr std::array<std::string_view, 1> kMessageKeys = {"errmsg"};
constexpr AnswerRules kAnswers{
    .vendor = "wecom", .codes = kWecomRobotCodes, .code_keys = kCodeKeys, .message_keys = kMessageKeys};

// Nothing when it isn't a number from `least` to `most`.
std::optional<std::size_t> ReadSize(std::string_view text, std::size_t least, std::size_t most) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) return std::nullopt;
  return value;
}

std::size_t MaxTextBytes(const ChannelSettings& channel) {
  const std::string text = channel.Setting(kMaxTextKey, std::to_string(WecomRobot::kMaxTextBytes));
  return ReadSize(text, 1, WecomRobot::kLargestMaxTextBytes).value_or(0);
}

Rendering Content(std::string_view type, std::string content, std::size_t most) {
  if (content.size() > most) return TooLarge(kVendor, type, content.size(), most, "bytes");
  const Json json = {{"msgtype", type}, {type, {{"content", std::move(content)}}}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::span<const SettingInfo> WecomRobot::Settings() { return kSettings; }

std::vector<std::string> WecomRobot::Check(const ChannelSettings& channel) {
  AddressReading reading = ReadWebhookAddress(channel.Setting(kUrlKey), kAddress, channel.allow_insecure_targets);
  std::vector<std::string>& faults = reading.faults;
  if (!reading.address.scheme.empty()) {
    const std::string_view query = reading.address.query;
    const bool good = reading.address.path == "/cgi-bin/webhook/send" && query.starts_with(kKeyParameter) &&
                      IsPlainToken(query.substr(kKeyParameter.size())) && !reading.address.has_fragment;
    if (!good) faults.emplace_back("webhook_url: must end with /cgi-bin/webhook/send?key=<key> and nothing else");
  }
  const std::string markdown = channel.Setting(kMarkdownKey, "markdown");
  if (markdown != "markdown" && markdown != "markdown_v2") {
    faults.emplace_back("markdown: must be markdown or markdown_v2");
  }
  if (MaxTextBytes(channel) == 0) {
    faults.push_back(fmt::format("max_text_bytes: must be a number from 1 to {}", kLargestMaxTextBytes));
  }
  return faults;
}

std::unique_ptr<Provider> WecomRobot::Make(const ChannelSettings& channel) {
  return std::make_unique<WecomRobot>(channel);
}

WecomRobot::WecomRobot(const ChannelSettings& channel)
    : webhook_url_(channel.Setting(kUrlKey)),
      key_(webhook_url_.Reveal().substr(webhook_url_.Reveal().rfind('=') + 1)),
      markdown_(channel.Setting(kMarkdownKey, "markdown")),
      max_text_bytes_(MaxTextBytes(channel)) {}

SendPlan WecomRobot::BuildRequest(const Notification& notification, const SendContext&) const {
  const auto render = [&](const Message& message) -> Rendering {
    switch (message.kind) {
      case Message::Kind::kText:
      case Message::Kind::kTitledText: {
        const std::string text = NeutralizeMentions(PlainText(message));
        if (text.empty()) return CantCarry(kVendor);
        return Content("text", text, max_text_bytes_);
      }
      case Message::Kind::kMarkdown: {
        if (TrimSpace(message.text).empty()) return CantCarry(kVendor);
        const std::string title = AsMarkdownTitle(message.title);
        const std::string text = NeutralizeMentions(message.text);
        return Content(markdown_, title.empty() ? text : fmt::format("# {}\n{}", title, text), kMaxMarkdownBytes);
      }
      case Message::Kind::kCard: {
        const Json body = Json::parse(message.card, nullptr, false);
        if (!body.is_object() || !body.contains("msgtype")) return CantCarry(kVendor);
        return body.dump(-1, ' ', false, Json::error_handler_t::replace);
      }
      case Message::Kind::kHtml:
        break;
    }
    return CantCarry(kVendor);
  };
  return PostJson(webhook_url_, RenderOrFallBack(notification, render));
}

SendOutcome WecomRobot::ReadResponse(const http::HttpResponse& response) const {
  const std::array<std::string_view, 1> known = {key_.Reveal()};
  return ReadCodedAnswer(kAnswers, response, known);
}

}  // namespace outrider::providers
