#include "providers/feishu_flow.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <regex>
#include <utility>

#include "model/text.h"
#include "providers/mention.h"
#include "providers/redact.h"
#include "providers/retry_after.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kUrlKey = "webhook_url";
constexpr std::string_view kTokenKey = "bearer_token";
constexpr std::string_view kFrontendKey = "frontend_base_url";
constexpr std::string_view kDefaultFrontend = "https://smartflow.example.com";
constexpr std::size_t kMaxUrl = 2048;

constexpr std::array kSettings = {SettingInfo{.key = kUrlKey, .required = true, .secret = true},
                                  SettingInfo{.key = kTokenKey, .required = false, .secret = true},
                                  SettingInfo{.key = kFrontendKey, .required = false, .secret = false}};

constexpr std::string_view kTitle = "SmartFlow 日程调整建议";
constexpr std::string_view kActionText = "查看并确认调整";
constexpr std::array<std::string_view, 5> kTextIds = {"trigger_id", "preview_id", "trigger_type", "target_type",
                                                      "trace_id"};
constexpr std::array<std::string_view, 2> kNumberIds = {"user_id", "target_id"};

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7F; });
}

Json NumberOrText(const std::string& text) {
  const bool digits =
      !text.empty() && text.size() <= 18 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  return digits ? Json(std::stoll(text)) : Json(text);
}

std::string ActionUrl(std::string_view base, std::string_view target) {
  if (target.starts_with("http://") || target.starts_with("https://")) return std::string(target);
  while (base.ends_with('/')) base.remove_suffix(1);
  while (target.starts_with('/')) target.remove_prefix(1);
  return fmt::format("{}/{}", base, target);
}

struct Meaning {
  SendVerdict verdict;
  std::string_view reason;
};

Meaning OfStatus(int status) {
  if (status == 429) return {SendVerdict::kNotNow, "provider_rate_limited"};
  if (status == 408 || status == 425) return {SendVerdict::kNotNow, "provider_timeout"};
  if (status == 401 || status == 403) return {SendVerdict::kRefused, "provider_auth_failed"};
  if (status >= 500) return {SendVerdict::kNoAnswer, "provider_5xx"};
  return {SendVerdict::kRefused, "payload_invalid"};
}

}  // namespace

std::span<const SettingInfo> FeishuFlow::Settings() { return kSettings; }

std::vector<std::string> FeishuFlow::Check(const ChannelSettings& channel) {
  std::vector<std::string> faults;
  const std::string url = channel.Setting(kUrlKey);
  static const std::regex kStrict(R"(https://(www\.)?feishu\.cn/flow/api/trigger-webhook/[A-Za-z0-9_\-]+)");
  static const std::regex kLoose(R"(https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?/flow/api/trigger-webhook/[A-Za-z0-9_\-]+)");
  if (url.size() > kMaxUrl || !std::regex_match(url, channel.allow_insecure_targets ? kLoose : kStrict)) {
    faults.emplace_back(
        "webhook_url: isn't an address of the form https://www.feishu.cn/flow/api/trigger-webhook/<id>");
  }
  if (!IsPrintable(channel.Setting(kTokenKey))) {
    faults.emplace_back("bearer_token: must be printable ASCII without spaces");
  }
  static const std::regex kBase(R"(https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/\-]*)?)");
  if (!std::regex_match(channel.Setting(kFrontendKey, kDefaultFrontend), kBase)) {
    faults.emplace_back(
        "frontend_base_url: must be the address that paths are put behind, such as https://app.example.com");
  }
  return faults;
}

std::unique_ptr<Provider> FeishuFlow::Make(const ChannelSettings& channel) {
  return std::make_unique<FeishuFlow>(Secret(channel.Setting(kUrlKey)), Secret(channel.Setting(kTokenKey)),
                                      channel.Setting(kFrontendKey, kDefaultFrontend));
}

FeishuFlow::FeishuFlow(Secret webhook_url, Secret bearer_token, std::string frontend_base_url)
    : webhook_url_(std::move(webhook_url)),
      bearer_token_(std::move(bearer_token)),
      frontend_base_url_(std::move(frontend_base_url)) {}

SendPlan FeishuFlow::BuildRequest(const Notification& notification, const SendContext& context) const {
  const Message& message = notification.message;
  const bool is_text = message.kind == Message::Kind::kText || message.kind == Message::Kind::kTitledText;
  const std::string_view text = is_text ? TrimSpace(message.text) : TrimSpace(notification.fallback_text);
  if (text.empty()) {
    SendOutcome refused;
    refused.verdict = SendVerdict::kRefused;
    refused.reason = "payload_invalid";
    refused.detail = "a flow takes a text; there is none, and no fallback_text";
    return refused;
  }
  const auto known = [&](std::string_view name) {
    const auto found = notification.metadata.find(std::string(name));
    return found == notification.metadata.end() ? std::string() : found->second;
  };
  Json body = {{"event", "smartflow.schedule_adjustment_ready"},
               {"version", "1"},
               {"notification_id", notification.record_id},
               {"message",
                {{"title", kTitle},
                 {"summary", NeutralizeMentions(text)},
                 {"action_text", kActionText},
                 {"action_url", ActionUrl(frontend_base_url_, known("target_url"))}}},
               {"sent_at", FormatRfc3339(context.now)}};
  for (const std::string_view name : kNumberIds) body[std::string(name)] = NumberOrText(known(name));
  for (const std::string_view name : kTextIds) {
    const std::string value = known(name);
    if (name != "trace_id" || !value.empty()) body[std::string(name)] = value;
  }
  http::HttpRequest request;
  request.method = "POST";
  request.url = webhook_url_;
  request.headers = {{"Content-Type", "application/json; charset=utf-8"}};
  if (!bearer_token_.empty()) request.headers.push_back({"Authorization", "Bearer " + bearer_token_.Reveal()});
  request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return request;
}

SendOutcome FeishuFlow::ReadResponse(const http::HttpResponse& response) const {
  SendOutcome outcome;
  outcome.http_status = response.status;
  const auto canonical = CanonicalJson(response.body);
  const Json body = canonical ? Json::parse(*canonical) : Json();
  const auto code = body.is_object() ? body.find("code") : body.end();
  const bool has_code = body.is_object() && code != body.end() && code->is_number_integer();
  const bool success_status = response.status >= 200 && response.status < 300;
  if (has_code) outcome.provider_code = code->dump();
  if (success_status && has_code && *code == 0) {
    outcome.verdict = SendVerdict::kAccepted;
  } else if (success_status && !has_code) {
    outcome.verdict = SendVerdict::kNoAnswer;
    outcome.reason = "unreadable_answer";
    outcome.detail = fmt::format("HTTP {} without a readable code; whether it was taken is unknown", response.status);
  } else {
    const Meaning meaning =
        success_status ? Meaning{SendVerdict::kRefused, "payload_invalid"} : OfStatus(response.status);
    outcome.verdict = meaning.verdict;
    outcome.reason = meaning.reason;
    outcome.throttled = response.status == 429;
    outcome.alert = response.status == 401 || response.status == 403;
    const auto said = body.is_object() ? body.find("msg") : body.end();
    const bool has_words = body.is_object() && said != body.end() && said->is_string();
    outcome.detail = fmt::format("HTTP {}: {}", response.status, has_words ? said->get<std::string>() : "no words");
  }
  if (outcome.verdict != SendVerdict::kAccepted) outcome.retry_after = ReadRetryAfter(response.headers);
  const std::string_view url = webhook_url_.Reveal();
  const std::array<std::string_view, 3> secrets = {url, url.substr(url.rfind('/') + 1), bearer_token_.Reveal()};
  outcome.detail = Redact(outcome.detail, kMaxDetailCharacters, secrets);
  outcome.answer = Redact(response.body, kMaxAnswerCharacters, secrets);
  return outcome;
}

std::string_view FeishuFlow::NameFailure(std::string_view reason) const {
  return reason.find("timeout") != std::string_view::npos ? "provider_timeout" : "network_error";
}

}  // namespace outrider::providers
