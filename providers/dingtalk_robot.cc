#include "providers/dingtalk_robot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "model/retry_policy.h"
#include "model/text.h"
#include "platform/crypto/hmac.h"
#include "providers/coded_answer.h"
#include "providers/dingtalk_robot_codes.h"
#include "providers/webhook_address.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kUrlKey = "webhook_url";
constexpr std::string_view kSecretKey = "secret";
constexpr std::string_view kKeywordsKey = "keywords";
constexpr std::string_view kSendKeyKey = "send_key";
constexpr std::string_view kVendor = "a DingTalk robot";
constexpr std::string_view kTokenParameter = "access_token=";
constexpr std::size_t kMaxTitle = 64;
constexpr int kGate = 1111;
constexpr std::chrono::seconds kLeastGateWait{60};

constexpr std::array kSettings = {SettingInfo{.key = kUrlKey, .required = true, .secret = true},
                                  SettingInfo{.key = kSecretKey, .required = false, .secret = true},
                                  SettingInfo{.key = kKeywordsKey, .required = false, .secret = false},
                                  SettingInfo{.key = kSendKeyKey, .required = false, .secret = false}};

constexpr std::array<std::string_view, 1> kHosts = {"oapi.dingtalk.com"};
constexpr AddressRule kAddress{
    .key = kUrlKey, .example = "https://oapi.dingtalk.com/robot/send?access_token=<token>", .hosts = kHosts};

constexpr std::array<std::string_view, 1> kCodeKeys = {"errcode"};
constexpr std::array<std::string_view, 1> kMessageKeys = {"errmsg"};
constexpr AnswerRules kAnswers{.vendor = "dingtalk",
                               .codes = kDingtalkRobotCodes,
                               .code_keys = kCodeKeys,
                               .message_keys = kMessageKeys,
                               .code_may_be_text = true};

// Exactly once: a signature that is encoded twice is another one.
std::string PercentEncodeBase64(std::string_view base64) {
  std::string encoded;
  for (const char c : base64) {
    if (c == '+') {
      encoded += "%2B";
    } else if (c == '/') {
      encoded += "%2F";
    } else if (c == '=') {
      encoded += "%3D";
    } else {
      encoded += c;
    }
  }
  return encoded;
}

Json MarkdownBody(const Message& message) {
  const std::string title = AsMarkdownTitle(message.title);
  const std::string text = title.empty() ? message.text : fmt::format("### {}\n\n{}", title, message.text);
  // The title is what the list of conversations shows; the vendor demands one.
  const std::string shown = title.empty() ? FirstLine(message.text, kMaxTitle) : title;
  return {{"msgtype", "markdown"}, {"markdown", {{"title", shown}, {"text", text}}}};
}

// What the vendor looks for keywords in: texts and titles, not the targets of links.
void CollectText(const Json& json, std::string& text) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_structured()) {
      CollectText(value, text);
    } else if (value.is_string() && (key == "title" || key == "text" || key == "content")) {
      text += value.get<std::string>() + '\n';
    }
  }
}

// Nothing when this vendor can't carry the message.
std::optional<Json> BodyOf(const Message& message) {
  switch (message.kind) {
    case Message::Kind::kText:
    case Message::Kind::kTitledText: {
      const std::string text = PlainText(message);
      if (text.empty()) return std::nullopt;
      return Json{{"msgtype", "text"}, {"text", {{"content", text}}}};
    }
    case Message::Kind::kMarkdown:
      if (TrimSpace(message.text).empty()) return std::nullopt;
      return MarkdownBody(message);
    case Message::Kind::kCard: {
      Json body = Json::parse(message.card, nullptr, false);
      if (!body.is_object() || !body.contains("msgtype")) return std::nullopt;
      return body;
    }
    case Message::Kind::kHtml:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::string DingtalkSign(std::string_view secret, std::string_view unix_milliseconds) {
  return crypto::Base64(crypto::HmacSha256(secret, fmt::format("{}\n{}", unix_milliseconds, secret)));
}

std::span<const SettingInfo> DingtalkRobot::Settings() { return kSettings; }

std::vector<std::string> DingtalkRobot::Check(const ChannelSettings& channel) {
  AddressReading reading = ReadWebhookAddress(channel.Setting(kUrlKey), kAddress, channel.allow_insecure_targets);
  std::vector<std::string>& faults = reading.faults;
  if (!reading.address.scheme.empty()) {
    const std::string_view query = reading.address.query;
    const bool good = reading.address.path == "/robot/send" && query.starts_with(kTokenParameter) &&
                      IsPlainToken(query.substr(kTokenParameter.size())) && !reading.address.has_fragment;
    if (!good) faults.emplace_back("webhook_url: must end with /robot/send?access_token=<token> and nothing else");
  }
  const std::string secret = channel.Setting(kSecretKey);
  if (TrimSpace(secret) != secret) faults.emplace_back("secret: has white space around it");
  if (Keywords(channel.Setting(kKeywordsKey)).size() > Keywords::kMost) {
    faults.push_back(fmt::format("keywords: are more than {}; a robot has no more", Keywords::kMost));
  }
  const std::string send_key = channel.Setting(kSendKeyKey, "sent");
  if (send_key != "sent" && send_key != "trusted" && send_key != "off") {
    faults.emplace_back("send_key: must be sent, trusted or off");
  }
  return faults;
}

std::unique_ptr<Provider> DingtalkRobot::Make(const ChannelSettings& channel) {
  return std::make_unique<DingtalkRobot>(channel);
}

bool DingtalkRobot::TrustsSendKey(const ChannelSettings& channel) { return channel.Setting(kSendKeyKey) == "trusted"; }

DingtalkRobot::DingtalkRobot(const ChannelSettings& channel)
    : webhook_url_(channel.Setting(kUrlKey)),
      token_(webhook_url_.Reveal().substr(webhook_url_.Reveal().rfind('=') + 1)),
      secret_(channel.Setting(kSecretKey)),
      keywords_(channel.Setting(kKeywordsKey)),
      sends_key_(channel.Setting(kSendKeyKey) != "off") {}

SendPlan DingtalkRobot::BuildRequest(const Notification& notification, const SendContext& context) const {
  const auto render = [&](const Message& message) -> Rendering {
    std::optional<Json> json = BodyOf(message);
    if (!json) return CantCarry(kVendor);
    std::string text;
    CollectText(*json, text);
    if (!keywords_.AllowsText(text)) return KeywordMissing(kVendor);
    if (sends_key_ && !context.send_key.empty()) (*json)["msgUuid"] = context.send_key;
    std::string body = json->dump(-1, ' ', false, Json::error_handler_t::replace);
    if (body.size() > kMaxBodyBytes) return TooLarge(kVendor, "request", body.size(), kMaxBodyBytes, "bytes");
    return body;
  };
  SendPlan plan = PostJson(webhook_url_, RenderOrFallBack(notification, render));
  auto* request = std::get_if<http::HttpRequest>(&plan);
  if (request != nullptr && !secret_.empty()) {
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(context.now.time_since_epoch()).count();
    const std::string timestamp = std::to_string(milliseconds);
    request->url = Secret(fmt::format("{}&timestamp={}&sign={}", webhook_url_.Reveal(), timestamp,
                                      PercentEncodeBase64(DingtalkSign(secret_.Reveal(), timestamp))));
  }
  return plan;
}

SendOutcome DingtalkRobot::ReadResponse(const http::HttpResponse& response) const {
  const std::array<std::string_view, 2> known = {token_.Reveal(), secret_.Reveal()};
  const auto fields = ReadAnswerFields(response.body);
  if (fields && !fields->contains("errcode") && IntegerField(*fields, "status") == kGate) {
    SendOutcome outcome;
    outcome.verdict = SendVerdict::kNotNow;
    outcome.reason = "dingtalk_gate";
    outcome.provider_code = std::to_string(kGate);
    outcome.throttled = true;
    outcome.detail = "the gate in front of the vendor's service takes this machine for a crawler (status 1111)";
    const std::int64_t most = std::chrono::duration_cast<std::chrono::seconds>(kMaxRetryAfter).count();
    const std::int64_t wait = IntegerField(*fields, "wait").value_or(0);
    outcome.retry_after = std::chrono::seconds{std::clamp<std::int64_t>(wait, kLeastGateWait.count(), most)};
    SealOutcome(response, known, outcome);
    return outcome;
  }
  return ReadCodedAnswer(kAnswers, response, known);
}

}  // namespace outrider::providers
