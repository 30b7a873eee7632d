#include "providers/feishu_bot.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "model/text.h"
#include "platform/crypto/hmac.h"
#include "providers/content.h"
#include "providers/feishu_bot_codes.h"
#include "providers/feishu_content.h"
#include "providers/redact.h"
#include "providers/webhook_address.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kUrlKey = "webhook_url";
constexpr std::string_view kSecretKey = "secret";
constexpr std::string_view kHookPath = "/open-apis/bot/v2/hook/";
constexpr std::string_view kFlowPath = "/flow/api/trigger-webhook/";

constexpr std::array kSettings = {
    SettingInfo{.key = kUrlKey, .required = true, .secret = true},
    SettingInfo{.key = kSecretKey, .required = false, .secret = true},
};

constexpr std::array<std::string_view, 2> kHosts = {"open.feishu.cn", "open.larksuite.com"};
constexpr AddressRule kAddress{
    .key = kUrlKey, .example = "https://open.feishu.cn/open-apis/bot/v2/hook/<token>", .hosts = kHosts};

std::vector<std::string> UrlFaults(const std::string& url, bool insecure) {
  if (LowerAscii(url).find(kFlowPath) != std::string::npos) {
    return {
        fmt::format("webhook_url: is the address of a Feishu flow ({}...), which takes another kind of message; add a "
                    "custom bot to the group and give its address, {}, or use the provider feishu_flow",
                    kFlowPath, kAddress.example)};
  }
  AddressReading reading = ReadWebhookAddress(url, kAddress, insecure);
  if (reading.address.scheme.empty()) return reading.faults;
  const std::string& path = reading.address.path;
  const std::string token = path.starts_with(kHookPath) ? path.substr(kHookPath.size()) : std::string();
  if (!IsPlainToken(token)) reading.faults.push_back(fmt::format("webhook_url: its path must be {}<token>", kHookPath));
  if (reading.address.has_query || reading.address.has_fragment) {
    reading.faults.emplace_back("webhook_url: must not hold a query or a fragment");
  }
  return reading.faults;
}

constexpr std::array<std::string_view, 2> kCodeKeys = {"code", "StatusCode"};
constexpr std::array<std::string_view, 2> kMessageKeys = {"msg", "StatusMessage"};
constexpr AnswerRules kAnswers{
    .vendor = "feishu", .codes = kFeishuBotCodes, .code_keys = kCodeKeys, .message_keys = kMessageKeys};

}  // namespace

std::string FeishuBotSign(std::string_view secret, std::string_view unix_seconds) {
  return crypto::Base64(crypto::HmacSha256(fmt::format("{}\n{}", unix_seconds, secret), ""));
}

std::span<const SettingInfo> FeishuBot::Settings() { return kSettings; }

std::vector<std::string> FeishuBot::Check(const ChannelSettings& channel) {
  std::vector<std::string> faults = UrlFaults(channel.Setting(kUrlKey), channel.allow_insecure_targets);
  const std::string secret = channel.Setting(kSecretKey);
  if (TrimSpace(secret) != secret) faults.push_back("secret: has white space around it");
  return faults;
}

std::unique_ptr<Provider> FeishuBot::Make(const ChannelSettings& channel) {
  return std::make_unique<FeishuBot>(Secret(channel.Setting(kUrlKey)), Secret(channel.Setting(kSecretKey)));
}

FeishuBot::FeishuBot(Secret webhook_url, Secret secret)
    : webhook_url_(std::move(webhook_url)),
      secret_(std::move(secret)),
      token_(webhook_url_.Reveal().substr(webhook_url_.Reveal().rfind('/') + 1)) {}

SendPlan FeishuBot::BuildRequest(const Notification& notification, const SendContext& context) const {
  const auto render = [&](const Message& message) -> Rendering {
    const auto object = FeishuObjectBody(message);
    if (!object) return CantCarry("a Feishu bot");
    Json json = Json::parse(*object);
    if (!secret_.empty()) {
      const std::string timestamp = UnixSeconds(context.now);
      json["timestamp"] = timestamp;
      json["sign"] = FeishuBotSign(secret_.Reveal(), timestamp);
    }
    std::string body = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (body.size() > kMaxBodyBytes) return TooLarge("a Feishu bot", "request", body.size(), kMaxBodyBytes, "bytes");
    return body;
  };
  return PostJson(webhook_url_, RenderOrFallBack(notification, render));
}

SendOutcome FeishuBot::ReadResponse(const http::HttpResponse& response) const {
  const std::array<std::string_view, 2> known = {token_.Reveal(), secret_.Reveal()};
  SendOutcome outcome = ReadCodedAnswer(kAnswers, response, known);
  std::string_view log_id = http::FindHeader(response.headers, "x-tt-logid");
  if (log_id.empty()) log_id = http::FindHeader(response.headers, "x-request-id");
  outcome.provider_log_id = RedactId(log_id, known);
  return outcome;
}

}  // namespace outrider::providers
