#include "providers/feishu_bot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <utility>

#include "model/request.h"
#include "model/retry_policy.h"
#include "model/text.h"
#include "platform/crypto/hmac.h"
#include "providers/feishu_bot_codes.h"
#include "providers/mention.h"
#include "providers/redact.h"
#include "providers/retry_after.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kUrlKey = "webhook_url";
constexpr std::string_view kSecretKey = "secret";
constexpr std::string_view kHookPath = "/open-apis/bot/v2/hook/";
constexpr std::string_view kFlowPath = "/flow/api/trigger-webhook/";
constexpr std::size_t kMaxUrl = 2048;

constexpr std::array kSettings = {
    SettingInfo{.key = kUrlKey, .required = true, .secret = true},
    SettingInfo{.key = kSecretKey, .required = false, .secret = true},
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

std::string Setting(const ChannelSettings& channel, std::string_view key) {
  const auto found = channel.settings.find(std::string(key));
  return found == channel.settings.end() ? std::string() : found->second.Reveal();
}

std::vector<std::string> UrlFaults(const std::string& url, bool insecure) {
  const std::string example = "https://open.feishu.cn/open-apis/bot/v2/hook/<token>";
  if (url.size() > kMaxUrl) return {fmt::format("webhook_url: is longer than {} characters", kMaxUrl)};
  if (Lower(url).find(kFlowPath) != std::string::npos) {
    return {
        fmt::format("webhook_url: is the address of a Feishu flow ({}...), which takes another kind of message; add a "
                    "custom bot to the "
                    "group and give its address, {}",
                    kFlowPath, example)};
  }
  // So few characters that no two readers of URLs can disagree about the parts.
  static const std::regex kForm(R"((https?)://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}))?(/[^?#]*)?([?#].*)?)",
                                std::regex::icase);
  std::smatch part;
  if (!std::regex_match(url, part, kForm)) {
    if (url.find('@') != std::string::npos) return {"webhook_url: must not hold a user name or password"};
    return {fmt::format("webhook_url: isn't an address of the form {}", example)};
  }
  std::vector<std::string> faults;
  if (!insecure) {
    const std::string host = Lower(part[2].str());
    if (Lower(part[1].str()) != "https") faults.push_back("webhook_url: must begin with https://");
    if (host != "open.feishu.cn" && host != "open.larksuite.com") {
      faults.push_back("webhook_url: its host must be open.feishu.cn or open.larksuite.com");
    }
    if (part[4].matched && part[4].str() != "443") faults.push_back("webhook_url: its port must be 443");
  }
  const std::string path = part[5].str();
  const std::string token = path.starts_with(kHookPath) ? path.substr(kHookPath.size()) : std::string();
  const bool plain = std::all_of(token.begin(), token.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (token.empty() || !plain) faults.push_back(fmt::format("webhook_url: its path must be {}<token>", kHookPath));
  if (part[6].matched) faults.push_back("webhook_url: must not hold a query or a fragment");
  return faults;
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json TextBody(std::string_view text) {
  return {{"msg_type", "text"}, {"content", {{"text", NeutralizeMentions(text)}}}};
}

Json PostBody(const Message& message) {
  const Json node = {{"tag", "text"}, {"text", NeutralizeMentions(message.text)}};
  const Json post = {{"title", NeutralizeMentions(message.title)}, {"content", Json::array({Json::array({node})})}};
  return {{"msg_type", "post"}, {"content", {{"post", {{"zh_cn", post}}}}}};
}

Json CardBody(Json card) { return {{"msg_type", "interactive"}, {"card", std::move(card)}}; }

Json MarkdownBody(const Message& message) {
  const Json element = {{"tag", "markdown"}, {"content", NeutralizeMentions(message.text)}};
  Json card = {{"schema", "2.0"}, {"body", {{"elements", Json::array({element})}}}};
  if (!message.title.empty()) {
    card["header"] = {{"title", {{"tag", "plain_text"}, {"content", NeutralizeMentions(message.title)}}}};
  }
  return CardBody(std::move(card));
}

// Nothing when this vendor can't carry the message.
std::optional<Json> BodyOf(const Message& message) {
  const bool blank = TrimSpace(message.text).empty();
  switch (message.kind) {
    case Message::Kind::kText:
      if (blank) return std::nullopt;
      return TextBody(message.text);
    case Message::Kind::kTitledText:
      if (blank && TrimSpace(message.title).empty()) return std::nullopt;
      return PostBody(message);
    case Message::Kind::kMarkdown:
      if (blank) return std::nullopt;
      return MarkdownBody(message);
    case Message::Kind::kCard: {
      Json card = Json::parse(message.card, nullptr, false);
      if (!card.is_object()) return std::nullopt;
      return CardBody(std::move(card));
    }
    case Message::Kind::kHtml:
      return std::nullopt;
  }
  return std::nullopt;
}

SendOutcome RefusedBeforeSending(std::string reason, std::string detail) {
  SendOutcome outcome;
  outcome.verdict = SendVerdict::kRefused;
  outcome.reason = std::move(reason);
  outcome.detail = std::move(detail);
  return outcome;
}

// Which statuses leave open whether the message was taken.
bool IsAmbiguous(int status) { return status == 408 || status == 425 || status >= 500 || status < 300; }

void ClassifyByStatus(int status, SendOutcome& outcome) {
  outcome.reason = fmt::format("http_{}", status);
  if (IsAmbiguous(status)) {
    outcome.verdict = SendVerdict::kNoAnswer;
    if (status < 300) outcome.reason = "unreadable_answer";
    outcome.detail = fmt::format("HTTP {} without a readable code; whether the message was taken is unknown", status);
  } else if (status == 429) {
    outcome.verdict = SendVerdict::kNotNow;
    outcome.throttled = true;
    outcome.detail = "HTTP 429: too many requests";
  } else if (status < 400) {
    outcome.verdict = SendVerdict::kChannelDown;
    outcome.alert = true;
    outcome.detail = fmt::format("HTTP {}: a redirect, which isn't followed; check the channel's webhook_url", status);
  } else if (status == 401 || status == 403 || status == 404 || status == 410) {
    outcome.verdict = SendVerdict::kChannelDown;
    outcome.alert = true;
    outcome.detail = fmt::format("HTTP {}: nothing takes messages there; check the channel's webhook_url", status);
  } else {
    outcome.verdict = SendVerdict::kRefused;
    outcome.detail = fmt::format("HTTP {} without a readable code", status);
  }
}

// The number under `key`; nothing when there is none, or another kind of value (which is then contradictory, not a
// code).
struct CodeField {
  bool present = false;
  bool is_integer = false;
  std::int64_t value = 0;
  std::string written;
};

CodeField ReadCode(const Json& body, const char* key) {
  CodeField field;
  const auto found = body.find(key);
  if (found == body.end()) return field;
  field.present = true;
  field.written = Dump(*found);
  // Beyond int64 it is no vendor's code, and would wrap into one.
  if (found->is_number_unsigned()) {
    field.is_integer = found->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
  } else {
    field.is_integer = found->is_number_integer();
  }
  if (field.is_integer) field.value = found->get<std::int64_t>();
  return field;
}

std::string ReadText(const Json& body, const char* key) {
  const auto found = body.find(key);
  return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const FeishuBotCode* FindCode(std::int64_t code, std::string_view message) {
  const std::string lower = Lower(message);
  for (const FeishuBotCode& row : kFeishuBotCodes) {
    if (row.code == code && lower.find(row.text) != std::string::npos) return &row;
  }
  return nullptr;
}

// `detail` takes the vendor's own words in; they are redacted by the caller with the rest.
void ClassifyByCode(const CodeField& code, const std::string& message, int status, SendOutcome& outcome) {
  constexpr std::size_t kMaxCode = 64;
  outcome.provider_code = code.written.substr(0, kMaxCode);
  const std::string words = message.empty() ? std::string() : fmt::format(", \"{}\"", message);
  if (const FeishuBotCode* row = FindCode(code.value, message)) {
    outcome.verdict = row->verdict;
    outcome.reason = fmt::format("feishu_{}", row->code);
    outcome.throttled = row->throttled;
    outcome.alert = row->alert;
    outcome.downgrade = row->downgrade;
    outcome.detail = fmt::format("{} (code {}{})", row->meaning, row->code, words);
    return;
  }
  outcome.verdict = status >= 300 && IsAmbiguous(status) ? SendVerdict::kNoAnswer : SendVerdict::kNotNow;
  outcome.reason = fmt::format("feishu{}", kUnknownCodeSuffix);
  outcome.alert = true;
  outcome.detail =
      fmt::format("an unknown code, taken as temporary until the attempts are used up (code {}{})", code.value, words);
}

// True when the body settles the outcome.
bool ClassifyByBody(const Json& body, int status, SendOutcome& outcome) {
  if (!body.is_object()) return false;
  const CodeField code = ReadCode(body, "code");
  const CodeField legacy = ReadCode(body, "StatusCode");
  std::string message = ReadText(body, "msg");
  if (message.empty()) message = ReadText(body, "StatusMessage");
  if (code.is_integer && code.value != 0) {
    ClassifyByCode(code, message, status, outcome);
    return true;
  }
  if (legacy.is_integer && legacy.value != 0) {
    ClassifyByCode(legacy, message, status, outcome);
    return true;
  }
  const CodeField& proof = code.present ? code : legacy;
  if (!proof.is_integer) return false;
  outcome.provider_code = proof.written;
  const bool contradicted = (legacy.present && !legacy.is_integer) || status < 200 || status >= 300;
  if (!contradicted) {
    outcome.verdict = SendVerdict::kAccepted;
    return true;
  }
  outcome.verdict = SendVerdict::kNoAnswer;
  outcome.reason = "contradictory_answer";
  outcome.detail =
      fmt::format("code 0, but HTTP {} or the body says otherwise; whether the message was taken is unknown", status);
  return true;
}

}  // namespace

std::string FeishuBotSign(std::string_view secret, std::string_view unix_seconds) {
  return crypto::Base64(crypto::HmacSha256(fmt::format("{}\n{}", unix_seconds, secret), ""));
}

std::span<const SettingInfo> FeishuBot::Settings() { return kSettings; }

std::vector<std::string> FeishuBot::Check(const ChannelSettings& channel) {
  const std::string url = Setting(channel, kUrlKey);
  std::vector<std::string> faults;
  if (url.empty()) {
    faults.push_back("webhook_url: is missing");
  } else {
    faults = UrlFaults(url, channel.allow_insecure_targets);
  }
  const std::string secret = Setting(channel, kSecretKey);
  if (TrimSpace(secret) != secret) faults.push_back("secret: has white space around it");
  return faults;
}

std::unique_ptr<Provider> FeishuBot::Make(const ChannelSettings& channel) {
  return std::make_unique<FeishuBot>(Secret(Setting(channel, kUrlKey)), Secret(Setting(channel, kSecretKey)));
}

FeishuBot::FeishuBot(Secret webhook_url, Secret secret)
    : webhook_url_(std::move(webhook_url)),
      secret_(std::move(secret)),
      token_(webhook_url_.Reveal().substr(webhook_url_.Reveal().rfind('/') + 1)) {}

SendPlan FeishuBot::BuildRequest(const Notification& notification, const SendContext& context) const {
  std::optional<Json> body = BodyOf(notification.message);
  const bool has_fallback = !TrimSpace(notification.fallback_text).empty();
  const auto finish = [&](Json& json) {
    if (!secret_.empty()) {
      const auto seconds = std::chrono::floor<std::chrono::seconds>(context.now.time_since_epoch()).count();
      const std::string timestamp = std::to_string(seconds);
      json["timestamp"] = timestamp;
      json["sign"] = FeishuBotSign(secret_.Reveal(), timestamp);
    }
    return Dump(json);
  };

  if (!body && !has_fallback) {
    return RefusedBeforeSending(
        "payload_invalid",
        "a Feishu bot can't carry this message (HTML, an empty text, or a card that isn't a JSON object), and there is "
        "no fallback_text");
  }
  std::string bytes;
  if (body) bytes = finish(*body);
  if ((!body || bytes.size() > kMaxBodyBytes) && has_fallback) {
    Json fallback = TextBody(notification.fallback_text);
    bytes = finish(fallback);
  }
  if (bytes.size() > kMaxBodyBytes) {
    return RefusedBeforeSending(
        "payload_too_large",
        fmt::format("the request has {} bytes and a Feishu bot takes {}{}", bytes.size(), kMaxBodyBytes,
                    has_fallback ? ", with the fallback_text too" : "; shorten it or give a fallback_text"));
  }
  http::HttpRequest request;
  request.method = "POST";
  request.url = webhook_url_;
  request.headers = {{"Content-Type", "application/json"}};
  request.body = std::move(bytes);
  return request;
}

SendOutcome FeishuBot::ReadResponse(const http::HttpResponse& response) const {
  SendOutcome outcome;
  outcome.http_status = response.status;
  // Stricter than the library alone, which reads `{"code":0}` out of what goes on after a NUL byte, and bounded in
  // depth.
  const auto canonical = CanonicalJson(response.body);
  const Json body = canonical ? Json::parse(*canonical) : Json();
  if (!ClassifyByBody(body, response.status, outcome)) ClassifyByStatus(response.status, outcome);
  if (outcome.verdict != SendVerdict::kAccepted) outcome.retry_after = ReadRetryAfter(response.headers);

  std::string_view log_id = http::FindHeader(response.headers, "x-tt-logid");
  if (log_id.empty()) log_id = http::FindHeader(response.headers, "x-request-id");
  const std::array<std::string_view, 2> known = {token_.Reveal(), secret_.Reveal()};
  outcome.provider_log_id = RedactId(log_id, known);
  outcome.detail = Redact(outcome.detail, kMaxDetailCharacters, known);
  outcome.answer = Redact(response.body, kMaxAnswerCharacters, known);
  return outcome;
}

}  // namespace outrider::providers
